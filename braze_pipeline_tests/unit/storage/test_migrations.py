"""All stored data has a version, and is upgraded to the current one or refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.alerts import ActionStore
from braze_pipeline.errors import NewerVersion
from braze_pipeline.storage.journal import Journal
from braze_pipeline.storage.migrations import ACTIONS, DATABASE, JOURNAL, LIMITS
from braze_pipeline.storage.migrations.runner import DuckDBSchema, Schema
from braze_pipeline.storage.transaction import SqlConnection
from braze_pipeline.storage.warehouse import Warehouse

ALL = (*DATABASE, JOURNAL, ACTIONS, LIMITS)


@pytest.fixture(params=ALL, ids=lambda schema: schema.name)
def schema(request: pytest.FixtureRequest) -> Schema:
    found: Schema = request.param
    return found


@pytest.fixture
def con(schema: Schema, tmp_path: Path) -> Iterator[SqlConnection]:
    """A file with nothing in it, of the schema's kind."""
    file = tmp_path / "file"
    if isinstance(schema, DuckDBSchema):
        with duckdb.connect(str(file)) as database:
            yield database
    else:
        with closing(sqlite3.connect(file, isolation_level=None)) as small:
            yield small


def tables(schema: Schema, con: SqlConnection) -> set[str]:
    query = (
        f"SELECT table_name FROM duckdb_tables() WHERE schema_name = '{schema.name}'"
        if isinstance(schema, DuckDBSchema)
        else "SELECT name FROM sqlite_master WHERE type = 'table'"
    )
    return {name for (name,) in con.execute(query).fetchall()}


def test_an_upgrade_is_done_once(schema: Schema, con: SqlConnection) -> None:
    schema.upgrade(con, "file")
    assert schema.stored_version(con) == schema.version > 0
    assert tables(schema, con)
    schema.upgrade(con, "file")


def test_a_crash_in_the_middle_of_a_migration_leaves_the_old_state(
    schema: Schema, con: SqlConnection
) -> None:
    schema.upgrade(con, "file")
    before = tables(schema, con)
    prefix = f"{schema.name}." if isinstance(schema, DuckDBSchema) else ""

    def second(con: SqlConnection) -> None:
        con.execute(f"CREATE TABLE {prefix}second (a INTEGER)")

    def breaks(con: SqlConnection) -> None:
        con.execute(f"CREATE TABLE {prefix}third (a INTEGER)")
        con.execute(f"DROP TABLE {prefix}second")
        raise ZeroDivisionError

    later = replace(schema, migrations=(*schema.migrations, second, breaks))
    with pytest.raises(ZeroDivisionError):
        later.upgrade(con, "file")
    assert later.stored_version(con) == schema.version + 1
    assert tables(schema, con) - before == {"second"}


def test_a_newer_version_is_refused_by_name_and_number(schema: Schema, con: SqlConnection) -> None:
    newer = replace(schema, migrations=(*schema.migrations, lambda con: None))
    newer.upgrade(con, "file")
    before = tables(schema, con)
    with pytest.raises(NewerVersion) as found:
        schema.upgrade(con, "some.file")
    assert found.value.what == (
        f"some.file was written by a newer version of braze_pipeline: its schema '{schema.name}' "
        f"has version {schema.version + 1}; this one knows version {schema.version}."
    )
    assert (tables(schema, con), schema.stored_version(con)) == (before, schema.version + 1)


@pytest.mark.parametrize("name", [schema.name for schema in DATABASE])
def test_a_newer_database_is_refused_before_anything_is_changed(tmp_path: Path, name: str) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.connect() as con:
        con.execute(f"UPDATE {name}.meta SET schema_version = 99")
    with pytest.raises(NewerVersion, match=r"warehouse\.duckdb"), warehouse.connect():
        pass


def test_a_newer_journal_and_newer_actions_are_refused(tmp_path: Path) -> None:
    for name in ("journal", "actions"):
        with closing(sqlite3.connect(tmp_path / name)) as con:
            con.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerVersion, match="journal"):
        Journal(tmp_path / "journal")
    with pytest.raises(NewerVersion, match="actions"):
        ActionStore(tmp_path / "actions").open_actions()
