"""Upgrades a schema to this version of the package, one migration and transaction at a time."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from braze_pipeline.errors import NewerVersion
from braze_pipeline.storage.transaction import SqlConnection, transaction

Migration = Callable[[SqlConnection], None]


def sql(name: str) -> Migration:
    """A migration that is a SQL file beside this one."""

    def migrate(con: SqlConnection) -> None:
        for statement in _statements(Path(__file__).with_name(name).read_text(encoding="utf-8")):
            con.execute(statement)

    return migrate


@dataclass(frozen=True, kw_only=True)
class Schema(ABC):
    """Tables under one version number.

    Attributes:
        name: As messages and ``doctor`` show it.
        migrations: In order; append, never edit.
    """

    begin: ClassVar[str]

    name: str
    migrations: Sequence[Migration]

    @property
    def version(self) -> int:
        """The version that this package knows."""
        return len(self.migrations)

    @abstractmethod
    def stored_version(self, con: SqlConnection) -> int:
        """The version of a database; 0 if it has no such tables, or they have no version yet."""

    @abstractmethod
    def _write(self, con: SqlConnection, version: int) -> None:
        """Store the version, in the transaction of its migration."""

    def refuse_newer(self, con: SqlConnection, where: Path | str) -> int:
        """The version of the file ``where``.

        Raises:
            NewerVersion: this version of the package does not know it.
        """
        found = self.stored_version(con)
        if found > self.version:
            raise NewerVersion(
                f"{where} was written by a newer version of braze_pipeline: its schema "
                f"{self.name!r} has version {found}; this one knows version {self.version}.",
                fix="Use the version of braze_pipeline that wrote it, or a newer one.",
            )
        return found

    def upgrade(self, con: SqlConnection, where: Path | str) -> None:
        """Apply the missing migrations.

        Args:
            con: A connection without an open transaction.
            where: The file, for messages.

        Raises:
            NewerVersion: the database is of a newer version; nothing was changed.
        """
        for number in range(self.refuse_newer(con, where) + 1, self.version + 1):
            with transaction(con, begin=self.begin):
                if self.stored_version(con) < number:  # no other process was faster
                    self.migrations[number - 1](con)
                    self._write(con, number)


class DuckDBSchema(Schema):
    """A schema of the DuckDB file; its version is in the table ``meta``."""

    begin = "BEGIN"

    def stored_version(self, con: SqlConnection) -> int:
        """See ``Schema.stored_version``."""
        there = con.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
            "AND schema_name = ? AND table_name = 'meta'",
            [self.name],
        ).fetchone()
        row = there and con.execute(f"SELECT max(schema_version) FROM {self.name}.meta").fetchone()
        return int(row[0] or 0) if row else 0

    def _write(self, con: SqlConnection, version: int) -> None:
        con.execute(
            f"CREATE TABLE IF NOT EXISTS {self.name}.meta (schema_version INTEGER NOT NULL)"
        )
        con.execute(f"DELETE FROM {self.name}.meta")
        con.execute(f"INSERT INTO {self.name}.meta (schema_version) VALUES (?)", [version])


class SQLiteSchema(Schema):
    """A SQLite file of its own; its version is SQLite's ``user_version``."""

    begin = "BEGIN IMMEDIATE"

    def stored_version(self, con: SqlConnection) -> int:
        """See ``Schema.stored_version``."""
        return int(con.execute("PRAGMA user_version").fetchone()[0])

    def _write(self, con: SqlConnection, version: int) -> None:
        con.execute(f"PRAGMA user_version = {version}")


def _statements(script: str) -> Iterator[str]:
    """Statement by statement: SQLite's ``executescript`` would commit the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
