"""The files open, are of schemas that this version knows, and each ledger is about this Braze."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.errors import DatabaseLocked, EndpointMismatch, LedgerError, PipelineError
from braze_pipeline.ledger import endpoint, tables
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning
from braze_pipeline.storage.migrations import ACTIONS, DATABASE, JOURNAL, LEDGER, Schema

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.migrations import Connection
    from braze_pipeline.storage.warehouse import Warehouse

_WAIT_SECONDS = 2.0


def database(warehouse: Warehouse, templates: Sequence[TemplateSettings] = ()) -> list[Finding]:
    """Open each file for reading; nothing is created or migrated."""
    return [
        *_duckdb(warehouse, templates),
        *_sqlite(warehouse.journal_path, JOURNAL),
        *_sqlite(warehouse.actions_path, ACTIONS),
    ]


def _duckdb(warehouse: Warehouse, templates: Sequence[TemplateSettings]) -> list[Finding]:
    path = warehouse.path
    if not path.exists():
        return [ok("database", f"{path} is not there yet; the first run makes it.")]
    try:
        with replace(warehouse, lock_wait=_WAIT_SECONDS).connect(read_only=True) as con:
            found = [ok("database", f"{path} opens."), *_versions(con, path, DATABASE)]
            if 0 < LEDGER.found(con) <= LEDGER.version:
                ledgers = {tables.ledger_name(t): t for t in templates}
                found += [_endpoint(con, warehouse, t) for t in ledgers.values()]
            return found
    except DatabaseLocked:
        return [
            warning(
                "database",
                f"{path} is open in another process.",
                "Right while a run builds its tables; else close the shell or notebook that holds "
                "it. Runs wait for it for a minute.",
            )
        ]
    except PipelineError as error:
        return [failure("database", error)]


def _endpoint(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings) -> Finding:
    name = f"ledger {tables.ledger_name(t)}"
    try:
        endpoint.check(con, warehouse, t)
    except EndpointMismatch as error:
        return failure(name, error)
    return ok(name, f"About {t.destination.endpoint}, or still empty.")


def _sqlite(path: Path, schema: Schema) -> list[Finding]:
    name = f"{schema.name} schema"
    if not path.exists():
        return [ok(name, f"{path} is not there yet; the first run makes it.")]
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as con:
            sound = con.execute("PRAGMA quick_check(1)").fetchone()[0]
            if sound != "ok":
                raise sqlite3.DatabaseError("damaged")
            return list(_versions(con, path, [schema]))
    except sqlite3.Error as error:
        return [failure(name, _unreadable(path, error))]


def _versions(con: Connection, path: Path, schemas: Sequence[Schema]) -> Iterator[Finding]:
    new = not any(schema.found(con) for schema in schemas)
    for schema in schemas:
        name, found = f"{schema.name} schema", schema.found(con)
        try:
            schema.refuse_newer(con, path)
        except PipelineError as error:
            yield failure(name, error)
            continue
        if new:
            yield ok(name, "Not there yet; the first run makes it.")
        elif found < schema.version:
            yield warning(
                name,
                f"Version {found}; the next run upgrades it to {schema.version}.",
                "Make a backup first: an older version of the package cannot read it afterwards.",
            )
        else:
            yield ok(name, f"Version {found}.")


def _unreadable(path: Path, error: sqlite3.Error) -> LedgerError:
    return LedgerError(
        f"{path} cannot be read ({type(error).__name__}).",
        fix="Restore it from a backup, or move it away with its -wal and -shm: what Braze "
        "acknowledged since the last run is then sent again, and open actions are forgotten.",
    )
