"""Which Braze a ledger is about: the REST endpoint that acknowledged what it says.

For any other endpoint its values prove nothing, so a plan or a send for one is stopped. Two
workspaces of one instance share an endpoint, and Braze has no API that names the workspace of a
key: telling those apart is left to the brand (a destination or a database for each).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from braze_pipeline.braze.instances import normalise_endpoint
from braze_pipeline.errors import EndpointMismatch, NotBuilt
from braze_pipeline.ledger import tables
from braze_pipeline.ledger.apply import apply_acknowledgements
from braze_pipeline.storage import journal

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse


def claim(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings) -> None:
    """Bring the ledger up to date, and make sure that it is about the template's endpoint.

    An empty ledger is, from now on.

    Raises:
        EndpointMismatch: it says what another endpoint acknowledged, or not which one did.
        LedgerError: the ledger or its journal cannot be used.
    """
    apply_acknowledgements(con, warehouse, t.destination.name)
    check(con, warehouse, t)
    if not _fits(con, t):
        _bind(con, t, reason=None)


def check(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings) -> None:
    """The same for reading: nothing is written.

    Raises:
        EndpointMismatch: as in ``claim``.
    """
    if not _fits(con, t) and _says_anything(con, warehouse, t):
        raise _mismatch(con, warehouse, t)


def adopt(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings, *, reason: str
) -> None:
    """Have what the ledger says count for the template's endpoint; plans made before do not.

    Raises:
        NotBuilt: there is no such ledger.
    """
    apply_acknowledgements(con, warehouse, t.destination.name)
    ledger = tables.ledger_name(t)
    if ledger not in tables.ledgers(con):
        raise NotBuilt(
            f"There is no ledger {ledger} yet.", fix="Run the pipeline: the first run makes it."
        )
    with tables.transaction(con):
        _bind(con, t, reason=reason)
        tables.bump(con, ledger, "adopt", None)


def start_over(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> None:
    """Empty the ledger, for the template's endpoint: the next run sends everything in full."""
    ledger = tables.ledger_name(t)
    with tables.transaction(con):
        con.execute(f"DELETE FROM {tables.wide(ledger)}")
        for name in ("acks", "refused", "doubts"):
            con.execute(f"DELETE FROM ledger.{name} WHERE ledger = ?", [ledger])
        con.execute(
            "UPDATE ledger.attributes SET type = NULL, first_sent_at = NULL, reset_ack = NULL "
            "WHERE ledger = ?",
            [ledger],
        )
        con.execute(
            "UPDATE ledger.templates SET as_of = NULL, attributes = [] WHERE ledger = ?", [ledger]
        )
        _bind(con, t, reason="reset")
        tables.bump(con, ledger, "reset", None)


def bound_to(con: duckdb.DuckDBPyConnection, ledger: str) -> str | None:
    """The endpoint that a ledger is about; None where it does not say."""
    there = tables.count(
        con,
        "SELECT count(*) FROM duckdb_tables() "
        "WHERE schema_name = 'ledger' AND table_name = 'endpoints'",
    )
    row = (
        there
        and con.execute(
            "SELECT endpoint FROM ledger.endpoints WHERE ledger = ? ORDER BY rowid DESC LIMIT 1",
            [ledger],
        ).fetchone()
    )
    return row[0] if row else None


def _fits(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> bool:
    return bound_to(con, tables.ledger_name(t)) == normalise_endpoint(t.destination.endpoint)


def _says_anything(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings
) -> bool:
    """Whether the ledger has anything from Braze, or a send that may still bring something."""
    ledger = tables.ledger_name(t)
    if ledger not in tables.ledgers(con):
        return False
    return bool(
        tables.count(con, "SELECT count(*) FROM ledger.acks WHERE ledger = ?", [ledger])
        or tables.count(
            con, f"SELECT count(*) FROM {tables.wide(ledger)} WHERE known_how = 'lookup'"
        )
        or journal.unapplied(warehouse.journal_path, t.destination.name)
    )


def _bind(con: duckdb.DuckDBPyConnection, t: TemplateSettings, *, reason: str | None) -> None:
    con.execute(
        "INSERT INTO ledger.endpoints (ledger, endpoint, reason, bound_at) VALUES (?, ?, ?, ?)",
        [
            tables.ledger_name(t), normalise_endpoint(t.destination.endpoint), reason,
            datetime.now(UTC).replace(tzinfo=None),
        ],
    )  # fmt: skip


def _mismatch(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings
) -> EndpointMismatch:
    ledger, here = tables.ledger_name(t), normalise_endpoint(t.destination.endpoint)
    was = bound_to(con, ledger)
    users = tables.count(con, f"SELECT count(*) FROM {tables.wide(ledger)}")
    last = con.execute(
        "SELECT max(acknowledged_at) FROM ledger.acks WHERE ledger = ?", [ledger]
    ).fetchone()
    when = f", last acknowledged {last[0]:%Y-%m-%d %H:%M} UTC" if last and last[0] else ""
    of = f"is about {was}" if was else "does not say which endpoint it is about (0.1.0 did not)"
    return EndpointMismatch(
        f"The ledger {ledger} in {warehouse.path} {of}: {users:,} users{when}. This run is for "
        f"{here}; nothing was planned or sent.",
        fix=f"If {here} is the same workspace, say so once: `braze-pipeline ledger adopt --reason "
        '"…"`. If it is another one, give it a database of its own (BRAZE_PIPELINE_DATABASE), or '
        "empty this ledger: `braze-pipeline ledger reset --all`.",
    )
