"""Tables and queries of databases, as Arrow, by ADBC drivers and Databricks' own connector.

What one run reads from a connection, it reads in one read-only transaction: where the database has
repeatable reads (Postgres, Redshift), all tables are of one moment.

Sources: ADBC docs, "Driver Manager" and "PostgreSQL Driver" (NUMERIC comes as text); PostgreSQL
docs, "Transaction Isolation" and "PostgreSQL Error Codes".
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from braze_pipeline.errors import (
    ConfigurationError,
    PipelineError,
    SourceChanged,
    SourceDenied,
    SourceError,
    SourceMissing,
    SourceUnavailable,
)
from braze_pipeline.settings.section import replace
from braze_pipeline.sources.remote.parquet import guarded

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from braze_pipeline.settings.places import Connection, Database, DatabaseType

_BATCH_ROWS: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class _Driver:
    """How a type of database is reached.

    Attributes:
        module: What is imported.
        extra: The extra of this package that installs it.
        connect: Opens a connection from the module and the URI.
        begin: What makes the transaction read-only, and its reads repeatable.
    """

    module: str
    extra: str
    connect: Callable[[Any, str], Any] = lambda module, uri: module.connect(uri)
    begin: str | None = None


def _databricks(module: Any, uri: str) -> Any:  # noqa: ANN401 - a connection of an optional driver
    """``databricks://token:TOKEN@HOST?http_path=/sql/…``, the form that its tools share."""
    split = urlsplit(uri)
    path = parse_qs(split.query).get("http_path", [""])[0]
    return module.connect(
        server_hostname=split.hostname, http_path=path, access_token=split.password
    )


_BIGQUERY: Final = "adbc.bigquery.sql."


def _bigquery(module: Any, uri: str) -> Any:  # noqa: ANN401 - a connection of an optional driver
    """``bigquery://PROJECT[/DATASET][?location=EU&credentials_path=FILE]``.

    Its driver knows no URI. Without a file, it takes Google's default credentials.
    """
    split = urlsplit(uri)
    asked = {key: values[0] for key, values in parse_qs(split.query).items()}
    options = {"project_id": split.hostname, "dataset_id": split.path.strip("/")}
    options["location"] = asked.get("location")
    if "credentials_path" in asked:
        options["auth_type"] = f"{_BIGQUERY}auth_type.json_credential_file"
        options["auth_credentials"] = asked["credentials_path"]
    given = {f"{_BIGQUERY}{key}": value for key, value in options.items() if value}
    return module.connect(db_kwargs=given)


_POSTGRES: Final = _Driver(
    module="adbc_driver_postgresql.dbapi",
    extra="postgres",
    begin="SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
)
DRIVERS: Final[Mapping[DatabaseType, _Driver]] = MappingProxyType(
    {
        "postgres": _POSTGRES,
        # Redshift speaks the protocol of Postgres; each of its transactions is serializable.
        "redshift": _Driver(module=_POSTGRES.module, extra=_POSTGRES.extra),
        "snowflake": _Driver(module="adbc_driver_snowflake.dbapi", extra="snowflake"),
        "bigquery": _Driver(
            module="adbc_driver_bigquery.dbapi", extra="bigquery", connect=_bigquery
        ),
        "databricks": _Driver(module="databricks.sql", extra="databricks", connect=_databricks),
    }
)


@dataclass(frozen=True)
class Snapshot:
    """An open transaction; what is read through it is of one moment.

    Attributes:
        connection: Which database it is.
        handle: The driver's connection.
    """

    connection: Connection
    handle: Any

    @contextmanager
    def stream(self, name: str, place: Database) -> Iterator[pa.RecordBatchReader]:
        """The rows of a table or query, batch by batch.

        Raises:
            SourceMissing: there is no such table or column.
            SourceDenied: the user of the connection may not read it.
            SourceChanged: the query cannot be run.
            SourceUnavailable: the connection was lost.
        """
        with reported(name, place, alive=self._alive):
            cursor = self.handle.cursor()
            rows = _reader(cursor, place)
        try:
            yield guarded(rows, reported(name, place, alive=self._alive))
        finally:
            with suppress(Exception):
                cursor.close()

    def _alive(self) -> bool:
        """Whether the database still answers; it ends the transaction."""
        try:
            self.handle.rollback()
            with self.handle.cursor() as cursor:
                cursor.execute("SELECT 1")
                return bool(cursor.fetchall())
        except Exception:  # noqa: BLE001 - drivers raise what they like
            return False

    def schema(self, name: str, place: Database) -> pa.Schema:
        """The columns of a table or query, without reading a row; raises as ``stream``."""
        # On the first line, so that the database's line numbers are those of the query. Not
        # LIMIT 0, for which BigQuery reads the table.
        place = replace(place, query=f"SELECT * FROM ({place.sql}) AS checked WHERE 1 = 0")
        with reported(name, place), self.handle.cursor() as cursor:
            return _reader(cursor, place).schema


@contextmanager
def snapshot(connection: Connection, environ: Mapping[str, str]) -> Iterator[Snapshot]:
    """Open a database for reading, in one transaction that is never committed.

    Raises:
        ConfigurationError: the driver is not installed, or the variable with the address is not
            set.
        SourceDenied: the credential is wrong.
        SourceUnavailable: the database cannot be reached.
    """
    driver = DRIVERS[connection.type]
    module = _imported(connection, driver)
    uri = address(connection, environ, "the URI of the database; see docs/sources.md")
    try:
        handle = driver.connect(module, uri)
        if driver.begin is not None:
            with handle.cursor() as cursor:
                cursor.execute(driver.begin)
    except Exception as error:  # noqa: BLE001 - drivers raise what they like, with the address in it
        raise _not_connected(connection, error) from None
    try:
        yield Snapshot(connection, handle)
    finally:
        with suppress(Exception):
            handle.close()


def address(connection: Connection, environ: Mapping[str, str], what: str) -> str:
    """The address that a connection's variable holds.

    Raises:
        ConfigurationError: it is not set.
    """
    found = environ.get(connection.uri_env or "", "").strip()
    if not found:
        raise ConfigurationError(
            f"The environment variable {connection.uri_env}, which holds the address of the "
            f"connection {connection.name}, is not set.",
            fix=f"Set {connection.uri_env} to {what}.",
        )
    return found


@contextmanager
def reported(
    name: str, place: Database, *, alive: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """A driver's error as ours: it may quote an address, a password or a value, so it is not shown.

    Only what Postgres says of the statement itself (error class 42: syntax, names, rights) is
    shown: it names tables and columns, never values.

    Args:
        name: The source table.
        place: Where it is read from.
        alive: Whether the connection still works. Within a stream, errors come without a code.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:  # noqa: BLE001 - drivers raise what they like
        raise _unreadable(name, place, error, alive) from None


def _imported(connection: Connection, driver: _Driver) -> Any:  # noqa: ANN401 - an optional module
    try:
        return importlib.import_module(driver.module)
    except ImportError as error:
        raise ConfigurationError(
            f"The connection {connection.name} is of type {connection.type}, and its driver is not "
            "installed.",
            fix=f"Install it: pip install 'braze-pipeline[{driver.extra}]'.",
        ) from error


def _reader(
    cursor: Any,  # noqa: ANN401 - a cursor of an optional driver
    place: Database,
) -> pa.RecordBatchReader:
    import pyarrow as pa

    if place.setup:
        cursor.execute(place.setup)
    cursor.execute(place.sql)
    if hasattr(cursor, "fetch_record_batch"):
        reader: pa.RecordBatchReader = cursor.fetch_record_batch()
        return reader
    first = cursor.fetchmany_arrow(_BATCH_ROWS)

    def batches() -> Iterator[pa.RecordBatch]:
        table = first
        while table.num_rows:
            yield from table.to_batches()
            table = cursor.fetchmany_arrow(_BATCH_ROWS)

    return pa.RecordBatchReader.from_batches(first.schema, batches())


_REFUSED: Final = re.compile(r"authentication|password|unauthorized|forbidden|\b401\b")


def _not_connected(connection: Connection, error: Exception) -> SourceError:
    text = str(error).lower()
    if getattr(error, "sqlstate", None) in {"28000", "28P01"} or _REFUSED.search(text):
        return SourceDenied(
            f"The connection {connection.name} ({connection.type}) was refused: the user or the "
            "credential is wrong.",
            fix=f"Correct the address in {connection.uri_env}, or the user's right to connect. "
            f"{_ENCODED}",
        )
    if "database" in text and "does not exist" in text:
        return SourceMissing(
            f"The connection {connection.name} ({connection.type}) names a database that does not "
            "exist.",
            fix=f"Correct the address in {connection.uri_env}.",
        )
    return SourceUnavailable(
        f"The connection {connection.name} ({connection.type}) cannot be opened "
        f"({type(error).__name__}).",
        fix=f"Check that the database is up and reachable from here, and the address in "
        f"{connection.uri_env}. {_ENCODED}",
    )


_ENCODED: Final = (
    "In an address, characters such as @ / : % of a password are percent-encoded (@ is %40)."
)
_MISSING: Final = frozenset({"42P01", "42703", "3F000", "3D000", "42K03", "42704"})
_DENIED: Final = "42501"
_CANCELED: Final = "57014"
_NO_COLUMN: Final = "42703"
_STATEMENT: Final = "42"
_LOST: Final = frozenset({"08", "53", "57"})
"""Classes of SQLSTATE: the connection failed, resources are short, an operator stepped in."""


def _unreadable(
    name: str, place: Database, error: Exception, alive: Callable[[], bool]
) -> PipelineError:
    state = _state(error)
    said = f": {_first_line(error)}" if state.startswith(_STATEMENT) else ""
    if place.file is not None and said:
        return _not_run(place, place.file, state, f"{said}{_line(place, error)}")
    what = f"The source table {name} cannot be read from {place}"
    if place.file is not None:
        refused = place.part.capitalize() or place.file
        what = f"{refused} cannot be run in the connection {place.connection.name}"
    if state in _MISSING:
        return SourceMissing(
            f"{what}{said}.",
            fix=f"Correct `relation:` or `query:` of `sources: {name}:` in defs.yaml.",
        )
    if state == _DENIED:
        return SourceDenied(
            f"{what}{said}.",
            fix=f"Grant SELECT on it to the user of the connection {place.connection.name}.",
        )
    if state.startswith(_STATEMENT):
        return SourceChanged(f"{what}{said}.", fix=f"Correct `query:` of `sources: {name}:`.")
    lost = state[:2] in _LOST and state != _CANCELED
    if not lost if state else _of_the_query(error) or alive():
        code = f"SQLSTATE {state}" if state else "at a value or a time limit"
        return SourceChanged(
            f"{what}: the database stopped the query ({code}). Nothing of what was read is used.",
            fix="Run the query in the database itself: its own message may quote data, and is not "
            "shown here. If it takes longer than the user may take (statement_timeout), raise that "
            "limit or read less with `query:`.",
        )
    return SourceUnavailable(
        f"{what}: the connection was lost ({type(error).__name__}). Nothing of what was read "
        "is used.",
        fix="Run again when the database is reachable.",
    )


def _state(error: Exception) -> str:
    """The SQLSTATE; what Spark says while it runs a query may quote values, so it has none here."""
    if hasattr(error, "getSqlState"):
        kinds = {one.__name__ for one in type(error).__mro__}
        state = str(error.getSqlState() or "")
        of_statement = kinds & {"AnalysisException", "ParseException"}
        return "" if state.startswith(_STATEMENT) and not of_statement else state
    return str(getattr(error, "sqlstate", None) or "")


def _of_the_query(error: Exception) -> bool:
    """Whether it is the statement's fault, by the names of PEP 249 that all drivers use."""
    names = {one.__name__ for one in type(error).__mro__}
    return bool(names & {"ProgrammingError", "DataError", "NotSupportedError"})


def _not_run(place: Database, file: Path, state: str, said: str) -> PipelineError:
    """The database refuses the brand's SQL, or what the pipeline tries with it."""
    where = f"the connection {place.connection.name} ({place.connection.type})"
    if place.part:
        return ConfigurationError(
            f"{place.part.capitalize()} cannot be run in {where}{said}.",
            fix=f"Fix it in defs.yaml or in {file}: it reads the columns that this SQL gives, in "
            "the dialect of the database.",
        )
    what = f"{file} cannot be run in {where}{said}."
    if state == _DENIED:
        return SourceDenied(what, fix="Grant SELECT on it to the user of the connection.")
    if state in _MISSING and state != _NO_COLUMN:
        return SourceMissing(what, fix="Correct the name in the SQL, or make the table.")
    return ConfigurationError(what, fix="Fix the SQL: one SELECT in the dialect of the database.")


def _line(place: Database, error: Exception) -> str:
    """The line of the file that Postgres or Spark points at."""
    spark = re.search(r"\bline (\d+),? pos", str(error))
    if spark and not place.part:
        return f" (line {spark[1]})"
    details = dict(getattr(error, "details", None) or ())
    position = details.get(b"PG_DIAG_STATEMENT_POSITION", b"")
    if place.part or not position.isdigit():
        return ""
    return f" (line {place.sql[: int(position) - 1].count(chr(10)) + 1})"


def _first_line(error: Exception) -> str:
    """What the database says of the statement, without the statement itself."""
    text = str(error)
    spark = re.search(r"(\[[A-Z_.]+\] .*?)\.? (?:SQLSTATE|Verify|Did you)", text)
    if spark:
        return spark[1]
    start = text.find("ERROR:")
    return text[start + len("ERROR:") :].strip().splitlines()[0].rstrip(".") if start >= 0 else ""
