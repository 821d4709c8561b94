"""Places that DuckDB does not read by itself: their tables are read into files of a run first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from braze_pipeline.settings.section import CHOICE, Section, Slug

DatabaseType = Literal["postgres", "redshift", "snowflake", "bigquery", "databricks"]


class ConnectionConfig(Section):
    """A database that tables are read from."""

    type: Annotated[DatabaseType, CHOICE]
    """`postgres`, `redshift`, `snowflake`, `bigquery` or `databricks`."""
    uri_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    """The environment variable with its address and credential."""


class Connection(ConnectionConfig):
    """A connection at run time. The credential is named, never held.

    Attributes:
        name: Its key under ``connections:``.
    """

    name: Slug


class Files(Section):
    """Parquet or CSV files of an object store: one, a folder, or a glob."""

    url: str

    def __str__(self) -> str:
        """For messages."""
        return self.url


class Delta(Section):
    """A Delta table, by its folder or URL."""

    url: str

    def __str__(self) -> str:
        """For messages."""
        return f"Delta table {self.url}"


class Iceberg(Section):
    """An Iceberg table: ``CATALOG.NAMESPACE.TABLE``, or the path of a ``.metadata.json`` file."""

    table: str

    def __str__(self) -> str:
        """For messages."""
        return f"Iceberg table {self.table}"


class Database(Section):
    """A table, view or query of a database; one of ``relation`` and ``query`` is set.

    Attributes:
        setup: A statement that is executed before the query.
        file: The brand's SQL file that the query begins with, on the same lines, for messages.
        part: What else is tried with it (`the condition of the audience`), likewise.
    """

    connection: Connection
    relation: str | None = None
    query: str | None = None
    setup: str | None = None
    file: Path | None = None
    part: str = ""

    def __str__(self) -> str:
        """For messages."""
        named = self.file.name if self.file else "a query"
        return f"{self.relation or named} in the connection {self.connection.name}"

    @property
    def sql(self) -> str:
        """The query to run."""
        return self.query or f"SELECT * FROM {self.relation}"


Place = Files | Delta | Iceberg | Database
