"""What a restored ledger does not know: what Braze acknowledged after the export.

A value that was sent after the export and has changed back since is just what the restored ledger
says: a comparison alone would never send it again. So where the ledger before the import says
something else, that attribute is in doubt (see ``doubts``), and the days that it had carried out
still count for the stale guard. Sends that only the journal knows of have everything sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from braze_pipeline.ledger import tables
from braze_pipeline.ledger.tables import CURRENT
from braze_pipeline.storage import journal

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

_BEFORE = "__before"
_PAIRS = "__before_columns"


def remember(con: duckdb.DuckDBPyConnection, ledger: str) -> None:
    """Keep what a ledger says, for ``carry_over``."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_BEFORE} AS FROM {tables.wide(ledger)}")
    for name in ("attributes", "templates", "doubts"):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {_BEFORE}_{name} AS FROM ledger.{name} WHERE ledger = ?",
            [ledger],
        )


def carry_over(con: duckdb.DuckDBPyConnection, ledger: str) -> None:
    """Put into the restored ledger what the one before knows better."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_PAIRS} AS SELECT b.column_no AS was, n.column_no AS now "
        f"FROM {_BEFORE}_attributes b JOIN ledger.attributes n USING (attribute) "
        "WHERE n.ledger = ?",
        [ledger],
    )
    _doubt(con, ledger)
    for was, now in con.execute(
        f"SELECT b, n FROM {_BEFORE}_templates b JOIN ledger.templates n USING (template) "
        "WHERE n.ledger = ? AND b.as_of >= coalesce(n.as_of, b.as_of)",
        [ledger],
    ).fetchall():
        _evaluated(con, ledger, was, now)
    for name in ("", "_attributes", "_templates", "_doubts", "_columns"):
        con.execute(f"DROP TABLE {_BEFORE}{name}")


def only_in_journal(
    con: duckdb.DuckDBPyConnection, path: Path, destination: str, folded: list[dict[str, Any]]
) -> list[tuple[str, int, str]]:
    """Sends (plan, number, start) that neither the file's ``folded`` nor this database knows.

    Call it before the import, and after ``apply_acknowledgements``.
    """
    known = {(r["plan_id"], r["send_id"], r["started_at"]) for r in folded if r["complete"]}
    known |= set(con.execute("SELECT plan_id, send_id, started_at FROM ledger.folded").fetchall())
    return [send for send in journal.acknowledged(path, destination) if send not in known]


def send_all_again(
    con: duckdb.DuckDBPyConnection, ledger: str, lost: list[tuple[str, int, str]]
) -> None:
    """Whatever these sends brought, the next run sends every value; so they are done with."""
    con.execute(
        "UPDATE ledger.attributes SET reset_ack = (SELECT max(ack_no) FROM ledger.acks "
        "WHERE ledger = $ledger) WHERE ledger = $ledger",
        {"ledger": ledger},
    )
    con.executemany(
        "INSERT INTO ledger.folded (plan_id, send_id, started_at, complete) VALUES (?, ?, ?, true)",
        lost,
    )


def _doubt(con: duckdb.DuckDBPyConnection, ledger: str) -> None:
    pairs = con.execute(f"SELECT was, now FROM {_PAIRS}").fetchall()
    differs = ", ".join(
        f"CASE WHEN b.a{was} IS NOT NULL AND b.v{was}::VARCHAR IS DISTINCT FROM l.v{now}::VARCHAR "
        f"THEN {now} END"
        for was, now in pairs
    )
    con.execute(
        "INSERT INTO ledger.doubts (ledger, plan_id, user_id, columns) "
        "SELECT $ledger, plan_id, user_id, list(now) FROM ("
        f"SELECT plan_id, user_id, unnest(columns) AS was FROM {_BEFORE}_doubts) "
        f"JOIN {_PAIRS} USING (was) GROUP BY ALL "
        "UNION ALL SELECT $ledger, 'import', user_id, columns FROM ("
        f"SELECT b.user_id, list_filter([{differs}]::INTEGER[], lambda k: k IS NOT NULL) "
        f"AS columns FROM {_BEFORE} b LEFT JOIN {tables.wide(ledger)} l USING (user_id)) "
        "WHERE len(columns) > 0",
        {"ledger": ledger},
    )


def _evaluated(
    con: duckdb.DuckDBPyConnection, ledger: str, was: dict[str, Any], now: dict[str, Any]
) -> None:
    """The newest day evaluated of each user, as the ledger before the import has it."""
    wide, i, j = tables.wide(ledger), was["template_no"], now["template_no"]
    con.execute(f"UPDATE {wide} SET s{j} = ?::DATE WHERE s{j} = {CURRENT}", [now["as_of"]])
    con.execute(
        f"MERGE INTO {wide} l USING (FROM {_BEFORE} WHERE s{i} IS NOT NULL) b "
        f"ON l.user_id = b.user_id "
        f"WHEN MATCHED THEN UPDATE SET s{j} = greatest(l.s{j}, b.s{i}) "
        f"WHEN NOT MATCHED THEN INSERT (user_id, known, known_how, known_at, s{j}, f{j}, u{j}) "
        f"VALUES (b.user_id, b.known, b.known_how, b.known_at, b.s{i}, b.f{i}, b.u{i})"
    )
    con.execute(
        "UPDATE ledger.templates SET as_of = ?, evaluations = greatest(evaluations, ?), "
        "attributes = ? WHERE ledger = ? AND template_no = ?",
        [was["as_of"], was["evaluations"], was["attributes"], ledger, j],
    )
