"""Which Braze a ledger is about: the REST endpoint that acknowledged its values.

For any other endpoint its values prove nothing, so a plan or a send for one is stopped. Two
workspaces of one instance share an endpoint, and Braze has no API that names the workspace of a
key: telling those apart is left to the brand (a destination or a database for each).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.braze.instances import normalise_endpoint
from braze_pipeline.errors import EndpointMismatch, NotBuilt
from braze_pipeline.ledger.apply import open_ledger
from braze_pipeline.ledger.ledger import Ledger, count, ledger_of
from braze_pipeline.ledger.moved import mark_sent_by_other_identifier
from braze_pipeline.storage import journal
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse


EMPTIED = "reset"
"""The reason of a ledger's endpoint if the ledger was emptied for it."""


def claim(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings) -> Ledger:
    """Open a template's ledger for its endpoint: an empty ledger is bound to it from now on.

    Raises:
        EndpointMismatch: another endpoint acknowledged the ledger's values, or it is not known
            which one did.
        LedgerError: the ledger or its journal cannot be used.
    """
    ledger = open_ledger(con, warehouse, t)
    check(con, warehouse, t)
    if not _fits(ledger, t):
        _bind(ledger, t, reason=None)
    return ledger


def check(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings) -> None:
    """The same for reading: nothing is written.

    Raises:
        EndpointMismatch: as in ``claim``.
    """
    ledger = ledger_of(con, t)
    if not _fits(ledger, t) and _has_anything(ledger, warehouse, t):
        raise _mismatch(ledger, warehouse, t)


def adopt(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings, *, reason: str
) -> None:
    """Make the ledger count for the template's endpoint; plans made before do not.

    Raises:
        NotBuilt: there is no such ledger.
    """
    ledger = open_ledger(con, warehouse, t)
    if not ledger.exists():
        raise NotBuilt(
            f"The ledger {ledger.name} does not exist yet.",
            fix="Run the pipeline: the first run creates it.",
        )
    with transaction(con):
        _bind(ledger, t, reason=reason)
        ledger.record_change("adopt", None)


def start_over(ledger: Ledger, t: TemplateSettings) -> None:
    """Empty the ledger, for the template's endpoint: the next run sends everything in full."""
    con = ledger.con
    with transaction(con):
        con.execute(f"DELETE FROM {ledger.users_table}")
        for name in ("acks", "refused", "in_doubt"):
            con.execute(f"DELETE FROM ledger.{name} WHERE ledger = ?", [ledger.name])
        con.execute(
            "UPDATE ledger.attributes SET type = NULL, first_sent_at = NULL, reset_ack = NULL "
            "WHERE ledger = ?",
            [ledger.name],
        )
        con.execute(
            "UPDATE ledger.templates SET as_of = NULL, attributes = [] WHERE ledger = ?",
            [ledger.name],
        )
        con.execute("DELETE FROM ledger.removed_attributes WHERE ledger = ?", [ledger.name])
        mark_sent_by_other_identifier(ledger)
        _bind(ledger, t, reason=EMPTIED)
        ledger.record_change("reset", None)


def bound_to(ledger: Ledger) -> str | None:
    """The endpoint that a ledger is about; None where it is not known."""
    if not count(  # `doctor` also reads databases of 0.1.0, which had no such table
        ledger.con,
        "SELECT count(*) FROM duckdb_tables() "
        "WHERE schema_name = 'ledger' AND table_name = 'endpoints'",
    ):
        return None
    row = ledger.con.execute(
        "SELECT endpoint FROM ledger.endpoints WHERE ledger = ? ORDER BY rowid DESC LIMIT 1",
        [ledger.name],
    ).fetchone()
    return row[0] if row else None


def _fits(ledger: Ledger, t: TemplateSettings) -> bool:
    return bound_to(ledger) == normalise_endpoint(t.destination.endpoint)


def _has_anything(ledger: Ledger, warehouse: Warehouse, t: TemplateSettings) -> bool:
    """Whether the ledger has anything from Braze, or a send that may still bring something."""
    if not ledger.exists():
        return False
    return bool(
        ledger.has_acknowledgements()
        or count(
            ledger.con,
            f"SELECT count(*) FROM {ledger.users_table} WHERE known_how = 'lookup'",
        )
        or journal.unapplied(warehouse.journal_path, t.destination.name)
    )


def _bind(ledger: Ledger, t: TemplateSettings, *, reason: str | None) -> None:
    ledger.con.execute(
        "INSERT INTO ledger.endpoints (ledger, endpoint, reason, bound_at) VALUES (?, ?, ?, ?)",
        [ledger.name, normalise_endpoint(t.destination.endpoint), reason, utc_now()],
    )


def _mismatch(ledger: Ledger, warehouse: Warehouse, t: TemplateSettings) -> EndpointMismatch:
    was, here = bound_to(ledger), normalise_endpoint(t.destination.endpoint)
    users = ledger.count_users()
    last = ledger.con.execute(
        "SELECT max(acknowledged_at) FROM ledger.acks WHERE ledger = ?", [ledger.name]
    ).fetchone()
    when = f", last acknowledged {last[0]:%Y-%m-%d %H:%M} UTC" if last and last[0] else ""
    of = (
        f"belongs to {was}"
        if was
        else "does not record its endpoint (it is from before endpoints were recorded)"
    )
    return EndpointMismatch(
        f"The ledger {ledger.name} in {warehouse.path} {of}: {users:,} users{when}. This run is "
        f"for {here}; nothing was planned or sent.",
        fix=f"If {here} is the same workspace, confirm it once: `braze-pipeline ledger adopt "
        '--reason "…"`. If it is a different one, use another database for it '
        "(BRAZE_PIPELINE_DATABASE), or empty this ledger: `braze-pipeline ledger reset --all`.",
    )
