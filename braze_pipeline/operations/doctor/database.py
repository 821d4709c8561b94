"""Whether the files open, this version knows their schemas, and each ledger is about this Braze."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from braze_pipeline.errors import DatabaseLocked, EndpointMismatch, LedgerError, PipelineError
from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.ledger import ledger_name
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning
from braze_pipeline.storage.limits import limits_path
from braze_pipeline.storage.migrations import ACTIONS, DATABASE, JOURNAL, LEDGER, LIMITS
from braze_pipeline.storage.migrations.runner import Schema
from braze_pipeline.storage.namesakes import namesakes

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

WAIT_SECONDS = 2.0


def database(
    warehouse: Warehouse,
    templates: Sequence[TemplateSettings] = (),
    *,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> list[Finding]:
    """Open each file for reading; nothing is created or migrated."""
    return [
        *_duckdb(warehouse, templates),
        *(
            warning(
                "database",
                f"{other} differs from {warehouse.path.name} in the suffix alone, so they share "
                "journal, actions, snapshots and locks.",
                "If a pipeline uses it, move it to another folder once the sends of both are in "
                "their ledgers. If it is a copy, keep it elsewhere.",
            )
            for other in namesakes(warehouse.path)
        ),
        _sqlite(warehouse.journal_path, JOURNAL),
        _sqlite(warehouse.actions_path, ACTIONS),
        _sqlite(limits_path(warehouse, environ), LIMITS),
    ]


def _duckdb(warehouse: Warehouse, templates: Sequence[TemplateSettings]) -> list[Finding]:
    path = warehouse.path
    if not path.exists():
        return [ok("database", f"{path} does not exist yet; the first run creates it.")]
    try:
        with replace(warehouse, lock_wait=WAIT_SECONDS).connect(read_only=True) as con:
            created = any(schema.stored_version(con) for schema in DATABASE)
            found = [
                ok("database", f"{path} opens."),
                *(
                    _version(schema, partial(schema.refuse_newer, con, path), created=created)
                    for schema in DATABASE
                ),
            ]
            if 0 < LEDGER.stored_version(con) <= LEDGER.version:
                ledgers = {ledger_name(t): t for t in templates}
                found += [_endpoint(con, warehouse, t) for t in ledgers.values()]
            return found
    except DatabaseLocked:
        return [
            warning(
                "database",
                f"{path} is open in another process.",
                "This is normal while a run builds its tables. Otherwise close the shell or "
                "notebook that keeps it open: runs wait only a minute for it.",
            )
        ]
    except PipelineError as error:
        return [failure("database", error)]


def _endpoint(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings) -> Finding:
    name = f"ledger {ledger_name(t)}"
    try:
        endpoint.check(con, warehouse, t)
    except EndpointMismatch as error:
        return failure(name, error)
    return ok(name, f"About {t.destination.endpoint}, or still empty.")


def _sqlite(path: Path, schema: Schema) -> Finding:
    if not path.exists():
        return ok(f"{schema.name} schema", f"{path} does not exist yet; the first run creates it.")
    return _version(schema, partial(sqlite_version, path, schema), created=False)


def sqlite_version(path: Path, schema: Schema) -> int:
    """The schema version of a SQLite file; nothing is written.

    Raises:
        LedgerError: it is damaged, or not a SQLite file.
        NewerVersion: a newer version of the package wrote it.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as con:
            version = schema.refuse_newer(con, path)
            if con.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("damaged")
            return version
    except sqlite3.Error as error:
        raise LedgerError(
            f"{path} cannot be read ({type(error).__name__}).",
            fix="Restore it from a backup, or move it away together with its -wal and -shm files: "
            "what Braze acknowledged since the last run is then sent again, and open workflow "
            "actions are lost.",
        ) from error


def _version(schema: Schema, read: Callable[[], int], *, created: bool) -> Finding:
    """Compare the version found; ``created`` if the file already has tables of another schema."""
    name = f"{schema.name} schema"
    try:
        found = read()
    except PipelineError as error:
        return failure(name, error)
    if not found and not created:
        return ok(name, "Does not exist yet; the first run creates it.")
    if found < schema.version:
        return warning(
            name,
            f"Version {found}; the next run upgrades it to version {schema.version}.",
            "Make a backup first: older versions of the package cannot read it afterwards.",
        )
    return ok(name, f"Version {found}.")
