"""The ledger's tables: their names, and the number that goes up with each change.

The wide table's columns are the matter of ``columns``; the others are in
``core/migrations/ledger_*.sql``, and what they mean is in ``docs/ledger.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from braze_pipeline.storage.warehouse import quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

CURRENT = "DATE '9999-12-31'"
"""In s{j}: the user was part of the newest day carried out, whichever that is. So a day costs
only the users who joined or left, and not a rewrite of everybody's date."""


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or nothing."""
    con.execute("BEGIN")
    try:
        yield
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def ledger_name(t: TemplateSettings) -> str:
    """The ledger a template writes to.

    The same person has different ids as external_id and as braze_id, so these are two ledgers.
    """
    d = t.destination
    return d.name if d.identifier == "external_id" else f"{d.name}_by_{d.identifier}"


def ledgers(con: duckdb.DuckDBPyConnection, destination: str | None = None) -> list[str]:
    """The ledgers there are, of one destination or of all."""
    rows = con.execute(
        "SELECT ledger FROM ledger.ledgers WHERE ? IS NULL OR destination = ? ORDER BY ledger",
        [destination, destination],
    ).fetchall()
    return [name for (name,) in rows]


def destinations(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The destinations that have a ledger here."""
    rows = con.execute("SELECT DISTINCT destination FROM ledger.ledgers ORDER BY 1").fetchall()
    return [name for (name,) in rows]


def wide(ledger: str) -> str:
    """The quoted name of a ledger's wide table."""
    return f"ledger.{quote(ledger + '_users')}"


def version(con: duckdb.DuckDBPyConnection, ledger: str) -> int:
    """The ledger's version; 0 for one that is not there yet."""
    row = con.execute("SELECT version FROM ledger.ledgers WHERE ledger = ?", [ledger]).fetchone()
    return int(row[0]) if row else 0


def bump(con: duckdb.DuckDBPyConnection, ledger: str, what: str, plan_id: str | None) -> None:
    """Raise the version: plans made before, other than ``plan_id``, are outdated from now on."""
    con.execute("UPDATE ledger.ledgers SET version = version + 1 WHERE ledger = ?", [ledger])
    con.execute(
        "INSERT INTO ledger.changes (ledger, version, plan_id, what, changed_at) "
        "VALUES (?, ?, ?, ?, ?)",
        [ledger, version(con, ledger), plan_id, what, datetime.now(UTC).replace(tzinfo=None)],
    )


def only_changed_by(
    con: duckdb.DuckDBPyConnection, ledger: str, *, since: int, plan_id: str
) -> bool:
    """Whether nothing but the given plan's own send changed the ledger since a version."""
    row = con.execute(
        "SELECT count(*) FROM ledger.changes "
        "WHERE ledger = ? AND version > ? AND plan_id IS DISTINCT FROM ?",
        [ledger, since, plan_id],
    ).fetchone()
    return row is not None and row[0] == 0


def count(con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> int:
    """The one number that a query gives (NULL counts as 0)."""
    row = con.execute(query, list(parameters)).fetchone()
    return int(row[0] or 0) if row else 0
