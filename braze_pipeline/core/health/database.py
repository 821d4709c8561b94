"""The DuckDB file opens, and the ledger in it is of a schema that this version knows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from braze_pipeline.core.health.finding import Finding, failed, fine, worth
from braze_pipeline.core.ledger.tables import MIGRATIONS
from braze_pipeline.errors import DatabaseLocked, LedgerError, PipelineError

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.core.warehouse import Warehouse

_WAIT_SECONDS = 2.0


def database(warehouse: Warehouse) -> list[Finding]:
    """Open it for reading; nothing is created or migrated."""
    path = warehouse.path
    if not path.exists():
        return [fine("database", f"{path} is not there yet; the first run makes it.")]
    try:
        with replace(warehouse, lock_wait=_WAIT_SECONDS).connect(read_only=True) as con:
            return [fine("database", f"{path} opens."), _schema(con)]
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


def _schema(con: duckdb.DuckDBPyConnection) -> Finding:
    there = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'ledger' AND table_name = 'meta'"
    ).fetchone()
    if not there or not there[0]:
        return fine("ledger", "There is none yet; the first plan makes it.")
    row = con.execute("SELECT max(schema_version) FROM ledger.meta").fetchone()
    version = int(row[0] or 0) if row else 0
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
