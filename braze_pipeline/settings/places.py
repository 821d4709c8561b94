"""Places that DuckDB does not read by itself: their tables are read into files of a run first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from braze_pipeline.settings.section import CHOICE, Expected, Seconds, Section, Slug, at_key

DatabaseType = Literal["postgres", "redshift", "snowflake", "bigquery", "databricks", "spark"]

_OF_SPARK: Final = (
    "remote", "master", "location", "conf", "connect_seconds", "resources_seconds", "query_seconds"
)  # fmt: skip
_SECRET: Final = re.compile(r"password|secret|token|access[._]?key|credential", re.IGNORECASE)


def _no_secret(value: object) -> object:
    if isinstance(value, str) and re.search(r"[;@]", value):
        raise ValueError(
            "An address with a user, token or other parameters belongs in the environment: name "
            "its variable with `uri_env`. If what stands here is real, change it."
        )
    return value


_Remote = Annotated[
    str,
    Field(pattern=r"^sc://[^/]+/?$"),
    Expected("Expected the address of a Spark Connect server, such as sc://host:15002."),
    BeforeValidator(_no_secret),
]
_Variable = Annotated[
    str,
    Field(pattern=r"^[A-Z][A-Z0-9_]*$"),
    Expected("Expected the name of a variable, such as WAREHOUSE_URI, never the address itself."),
]
_Shared = Annotated[
    str,
    Field(pattern=r"^(/|(s3a?|gs|abfss?)://)"),
    Expected("Expected an absolute path, or an address with s3, s3a, gs, abfs or abfss."),
]


class ConnectionConfig(Section):
    """A database or cluster that tables are read from, and that SQL can run in."""

    type: Annotated[DatabaseType, CHOICE]
    """`postgres`, `redshift`, `snowflake`, `bigquery`, `databricks` or `spark`."""
    uri_env: _Variable | None = None
    """The environment variable with its address and credential."""
    remote: _Remote | None = None
    """Spark: the address of a Spark Connect server (`sc://host:port`), if it needs no credential;
    otherwise `uri_env`."""
    master: Annotated[str, BeforeValidator(_no_secret)] | None = None
    """Spark: the master of the cluster (`spark://host:port`, `local[*]`, `yarn`) instead. A Spark
    Connect server of the run is started for it, from the Spark in SPARK_HOME."""
    location: _Shared | None = None
    """Spark: a folder that the cluster writes its results to and that is read from here: an
    absolute path, or an address that begins with `s3://`, `s3a://`, `gs://`, `abfs://` or `abfss://`."""
    conf: dict[str, str] = Field(default_factory=dict)
    """Spark: settings of the session, or with `master` of the application
    (`spark.executor.memory: 4g`)."""
    connect_seconds: Seconds = 60
    """Spark: how long to wait for an answer."""
    resources_seconds: Seconds = 300
    """Spark: how long to wait until the cluster runs a first task, before it counts as full."""
    query_seconds: Seconds = 14_400
    """Spark: how long one query may run."""

    @model_validator(mode="after")
    def _of_its_type(self) -> ConnectionConfig:
        ways = [key for key in ("uri_env", "remote", "master") if getattr(self, key)]
        if self.type != "spark":
            other = next((key for key in _OF_SPARK if key in self.model_fields_set), None)
            if other:
                raise at_key(f"`{other}` is for the type spark alone.", other)
            if not ways:
                raise at_key("`uri_env` is missing: the variable with the address.", "type")
            return self
        if len(ways) != 1:
            raise at_key(
                "Spark needs one of `remote` (Spark Connect), `uri_env` (a variable with such an "
                "address and its credential) and `master`.",
                "type",
            )
        if self.location is None:
            raise at_key(
                "Spark needs `location`: a folder that the cluster writes to and that is read from "
                "here.",
                "type",
            )
        secret = next((key for key in self.conf if _SECRET.search(key)), None)
        if secret:
            raise at_key(
                f"{secret} is a credential, and credentials come from the environment of the "
                "cluster. If it is real, change it.",
                "conf",
                secret,
            )
        return self


class Connection(ConnectionConfig):
    """A connection at run time. The credential is named, never held.

    Attributes:
        name: Its key under ``connections:``.
    """

    name: Slug

    @property
    def address(self) -> str:
        """Where it is, or the variable that says so."""
        return self.uri_env or self.remote or self.master or ""


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
        query: Without a semicolon.
        base: What the query reads as ``__attributes``, where the dialect has no other way to
            compute it once.
        setup: A statement that is executed before the query.
        file: The brand's SQL file that the query begins with, on the same lines, for messages.
        part: What else is tried with it (`the condition of the audience`), likewise.
    """

    connection: Connection
    relation: str | None = None
    query: str | None = None
    base: str | None = None
    setup: str | None = None
    file: Path | None = None
    part: str = ""

    def __str__(self) -> str:
        """For messages."""
        named = self.file.name if self.file else "a query"
        return f"{self.relation or named} in the connection {self.connection.name}"

    @property
    def sql(self) -> str:
        """The query to run, as a part of others: a comment at its end ends before them."""
        return f"SELECT * FROM {self.relation}" if self.query is None else f"{self.query}\n"


Place = Files | Delta | Iceberg | Database
