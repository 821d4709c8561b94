"""The DuckDB file opens; the ledger in it is of a schema that is known, and about this Braze."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from braze_pipeline.core.health.finding import Finding, failed, fine, worth
from braze_pipeline.core.ledger import endpoint, tables
from braze_pipeline.core.ledger.tables import MIGRATIONS
from braze_pipeline.errors import DatabaseLocked, EndpointMismatch, LedgerError, PipelineError

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.core.warehouse import Warehouse
    from braze_pipeline.settings import TemplateSettings

_WAIT_SECONDS = 2.0


def database(warehouse: Warehouse, templates: Sequence[TemplateSettings] = ()) -> list[Finding]:
    """Open it for reading; nothing is created or migrated."""
    path = warehouse.path
    if not path.exists():
        return [fine("database", f"{path} is not there yet; the first run makes it.")]
    try:
        with replace(warehouse, lock_wait=_WAIT_SECONDS).connect(read_only=True) as con:
            version = _version(con)
            found = [fine("database", f"{path} opens."), _schema(version)]
            if 0 < version <= len(MIGRATIONS):
                ledgers = {tables.ledger_name(t): t for t in templates}
                found += [_endpoint(con, warehouse, t) for t in ledgers.values()]
            return found
    except DatabaseLocked:
        return [
            worth(
                "database",
                f"{path} is open in another process.",
                "Right while a run builds its tables; else close the shell or notebook that holds "
                "it. Runs wait for it for a minute.",
            )
        ]
    except PipelineError as error:
        return [failed("database", error)]


def _version(con: duckdb.DuckDBPyConnection) -> int:
    """The ledger's schema version; 0 where there is no ledger."""
    there = tables.count(
        con,
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'ledger' AND table_name = 'meta'",
    )
    return tables.count(con, "SELECT max(schema_version) FROM ledger.meta") if there else 0


def _endpoint(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings) -> Finding:
    name = f"ledger {tables.ledger_name(t)}"
    try:
        endpoint.check(con, warehouse, t)
    except EndpointMismatch as error:
        return failed(name, error)
    return fine(name, f"About {t.destination.endpoint}, or still empty.")


def _schema(version: int) -> Finding:
    if not version:
        return fine("ledger", "There is none yet; the first plan makes it.")
    if version > len(MIGRATIONS):
        newer = LedgerError(
            f"The ledger has schema version {version}; this version knows {len(MIGRATIONS)}.",
            fix="Use the version of braze_pipeline that wrote it, or a newer one.",
        )
        return failed("ledger", newer)
    if version < len(MIGRATIONS):
        return worth(
            "ledger",
            f"The ledger has schema version {version}; the next run brings it to "
            f"{len(MIGRATIONS)}.",
            "Make a backup first: an older version cannot read it afterwards.",
        )
    return fine("ledger", f"Schema version {version}.")
