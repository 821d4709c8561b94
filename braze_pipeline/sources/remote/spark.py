"""Tables and queries of a Spark cluster, by Spark Connect.

The cluster writes a result as Parquet below the connection's location, into a folder of its own,
and it is read from there: rows do not pass through Spark's driver. A result counts when Spark has
marked it as complete, and when as many rows are in its files as Spark counted on the way. It is
deleted as soon as it is read.

Spark has no snapshot of several queries: each reads the files that its tables have when it starts.

Sources: Spark's documentation, "Spark Connect Overview", "Error Conditions", and "Configuration".
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from braze_pipeline.errors import (
    ConfigurationError,
    PipelineError,
    SourceDenied,
    SourceUnavailable,
)
from braze_pipeline.sources.remote import spark_location, spark_server
from braze_pipeline.sources.remote.databases import Snapshot, address, reported
from braze_pipeline.sources.remote.parquet import guarded

if TYPE_CHECKING:
    import pyarrow as pa

    from braze_pipeline.settings.places import Connection, Database

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # A value that cannot be converted stops the query, instead of becoming NULL.
        "spark.sql.ansi.enabled": "true",
        # With it, the optimizer takes minutes over SQL with many conditions.
        "spark.sql.constraintPropagation.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # The files are for their owner alone.
        "fs.permissions.umask-mode": "077",
    }
)
"""Of each session; a connection's ``conf`` can change them."""
_SERVER: Final = (
    "the address of a Spark Connect server, such as sc://HOST:443/;use_ssl=true;token=TOKEN"
)
_VIEW: Final = "__attributes"
_RETRIES: Final = 6
"""A lost connection ends the query after three to four minutes: the client waits a minute for each
of several requests in a row."""
_LEFT_OVER: Final = 24 * 3600.0
"""A result that old was left by a process that was killed, whatever its query may take."""
_AGAIN: Final = 2.0
_LOST: Final = re.compile(
    r"ExecutorLost|Executor.*(lost|heartbeat)|[Ww]orker (lost|decommission)|FetchFailed"
    r"|All masters are unresponsive|Master removed our application|SparkContext was shut down"
    r"|stopped SparkContext|UNAVAILABLE|DEADLINE_EXCEEDED|RETRIES_EXCEEDED|INVALID_HANDLE"
    r"|OutOfMemoryError|No space left on device"
)
"""In what Spark says when the fault is the cluster's, and not that of the query."""
_DENIED: Final = re.compile(r"UNAUTHENTICATED|PERMISSION_DENIED|AccessControlException")
_UNWRITTEN: Final = re.compile(
    r"Mkdirs failed|ParentNotDirectory|No FileSystem for scheme|FAILED_RENAME"
)
"""Not TASK_WRITE_FAILED, with which a value that stops the query is reported too."""


@dataclass(frozen=True)
class SparkSnapshot(Snapshot):
    """A session of a cluster.

    Attributes:
        started: Set when the cluster has run a first task for it.
    """

    started: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def stream(self, name: str, place: Database) -> Iterator[pa.RecordBatchReader]:
        """See ``Snapshot.stream``; also raises ``SourceUnavailable`` where the cluster is full."""
        store, root = spark_location.store(self.connection)
        below = f"{spark_location.FOLDER}/{name}/{uuid4().hex}"
        with ExitStack() as stack:
            stack.callback(spark_location.delete, store, f"{root}/{below}")
            with self._reported(name, place), self._frame(place) as frame:
                self._wait_for_resources()
                count = self._write(frame, below)
            with spark_location.located(self.connection):
                rows = spark_location.complete(self.connection, store, f"{root}/{below}", count)
            yield guarded(rows, spark_location.located(self.connection))

    def schema(self, name: str, place: Database) -> pa.Schema:
        """See ``Snapshot.schema``: Spark only analyses the query."""
        from pyspark.sql.pandas.types import to_arrow_schema

        with self._reported(name, place), self._frame(place, keep=False) as frame:
            schema: pa.Schema = to_arrow_schema(frame.schema, timezone="UTC")
            return schema

    @contextmanager
    def _frame(self, place: Database, *, keep: bool = True) -> Iterator[Any]:
        """The rows of a query. What it reads as ``__attributes`` is kept, to be run once."""
        if place.setup:
            self.handle.sql(place.setup)
        if place.base is None:
            yield self.handle.sql(place.sql)
            return
        base = self.handle.sql(place.base)
        base.createOrReplaceTempView(_VIEW)
        try:
            if keep:
                base.persist()
            yield self.handle.sql(place.sql)
        finally:
            with suppress(Exception):
                base.unpersist()

    def _write(self, frame: Any, below: str) -> int:  # noqa: ANN401 - a frame of an optional library
        """Have the cluster write the rows; how many it counted on the way."""
        from pyspark.sql.connect import functions
        from pyspark.sql.connect.observation import Observation

        counted = Observation()
        rows = frame.observe(counted, functions.count(functions.lit(1)).alias("rows"))
        place = f"{spark_location.for_spark(self.connection)}/{below}"
        late = SourceUnavailable(
            f"The connection {self.connection.name} (spark): a query ran for more than "
            f"{self.connection.query_seconds:,.0f} s and was cancelled. Nothing of it is used.",
            fix="Run again when the cluster has more room, or raise `query_seconds`.",
        )
        with self._within(self.connection.query_seconds, late):
            rows.write.mode("error").parquet(place)
        return int(counted.get["rows"])

    def _wait_for_resources(self) -> None:
        """A first task: a cluster that is full lets a query wait for ever."""
        if self.started.is_set():
            return
        late = SourceUnavailable(
            f"The cluster of the connection {self.connection.name} (spark) ran no task within "
            f"{self.connection.resources_seconds:,.0f} s: it is full, or has no worker that fits "
            "what the application asks for.",
            fix="Check the cluster's executors and what others run there, and run again; "
            "`resources_seconds` says how long to wait.",
        )
        with self._within(self.connection.resources_seconds, late):
            self.handle.sql("SELECT count(*) FROM range(1)").collect()
        self.started.set()

    @contextmanager
    def _within(self, seconds: float, late: PipelineError) -> Iterator[None]:
        """Cancel what the session runs after so many seconds, and raise ``late``."""
        done, over = threading.Event(), threading.Event()

        def cancel() -> None:
            wait = seconds
            # Again and again: a query that is just being sent cannot be cancelled yet.
            while not done.wait(wait):
                over.set()
                wait = _AGAIN
                with suppress(Exception):
                    self.handle.interruptAll()

        watch = threading.Thread(target=cancel, daemon=True)
        watch.start()
        try:
            yield
        except Exception:
            if over.is_set():
                raise late from None
            raise
        finally:
            done.set()
            watch.join()

    @contextmanager
    def _reported(self, name: str, place: Database) -> Iterator[None]:
        """Spark's error as ours: it may quote values, keys and addresses, so it is not shown."""
        try:
            yield
        except PipelineError:
            raise
        except Exception as error:
            said = f"{type(error).__name__} {error}"
            what = f"The query of {name} cannot be run in the connection {self.connection.name}"
            if _DENIED.search(said):
                raise SourceDenied(
                    f"{what} (spark): it was refused.",
                    fix="Check the credential, and the rights of its user and of the cluster on "
                    "the tables and on `location`.",
                ) from None
            if _UNWRITTEN.search(said):
                raise SourceDenied(
                    f"Spark cannot write to `location` of the connection {self.connection.name}: "
                    f"{self.connection.location}.",
                    fix="Name a folder in which every worker may create files, and that this "
                    "machine reads under the same name.",
                ) from None
            if _LOST.search(said):
                raise SourceUnavailable(
                    f"{what} (spark): workers or the connection were lost, or ran out of memory or "
                    "disk, more often than Spark retries. Nothing of it is used.",
                    fix="Look at the cluster's workers, and run again.",
                ) from None
            with reported(name, place, alive=lambda: True):
                raise error from None


@contextmanager
def session(connection: Connection, environ: Mapping[str, str]) -> Iterator[SparkSnapshot]:
    """Open a session; with ``master``, of a Spark Connect server that is started for it.

    Raises:
        ConfigurationError: the library or Spark is not installed, or the variable with the address
            is not set.
        SourceDenied: the credential is wrong.
        SourceUnavailable: the cluster cannot be reached.
    """
    _require_library(connection)
    with ExitStack() as stack:
        if connection.master is not None:
            server = stack.enter_context(spark_server.running(connection, environ))
        else:
            server = connection.remote or address(connection, environ, _SERVER)
        handle = _opened(connection, server)
        stack.callback(_closed, handle)
        spark_location.remove_left_over(connection, older_than=_LEFT_OVER)
        yield SparkSnapshot(connection, handle)


def _require_library(connection: Connection) -> None:
    # Its logger writes what Spark says of a query, values included, to standard error.
    for logger in ("SQLQueryContextLogger", "pyspark"):
        logging.getLogger(logger).setLevel(logging.CRITICAL + 1)
    # It warns about pandas 3 wherever it loads a part; only Spark's SQL and Parquet are used here.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    try:
        with _not_taken_for_doctests():
            for module in ("session", "client.retries", "functions", "observation"):
                importlib.import_module(f"pyspark.sql.connect.{module}")
    except ImportError as error:
        raise ConfigurationError(
            f"The connection {connection.name} is of type spark, and its library is not installed.",
            fix="Install it: pip install 'braze-pipeline[spark]'.",
        ) from error


@contextmanager
def _not_taken_for_doctests() -> Iterator[None]:
    """Give the main module a file while PySpark is imported.

    Where it has none (`python -c`, as some process pools start), PySpark takes the process for one
    of its doctests, and ends it if no SPARK_HOME is there.
    """
    main = sys.modules["__main__"]
    if main.__spec__ is not None or hasattr(main, "__file__"):
        yield
        return
    main.__file__ = __file__
    try:
        yield
    finally:
        del main.__file__


def _opened(connection: Connection, address: str) -> Any:  # noqa: ANN401 - of an optional library
    import grpc
    from pyspark.sql.connect.client import DefaultChannelBuilder
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession

    try:
        builder = DefaultChannelBuilder(address)
        channel = builder.toChannel()
        try:
            grpc.channel_ready_future(channel).result(timeout=connection.connect_seconds)
        finally:
            channel.close()
        handle = SparkSession(connection=builder)
        handle.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
        own = {} if connection.master else connection.conf
        for key, value in {**SETTINGS, **own}.items():
            handle.conf.set(key, value)
    except Exception as error:  # noqa: BLE001 - the library raises what it likes
        where = f"The connection {connection.name} (spark)"
        if _DENIED.search(str(error)):
            raise SourceDenied(
                f"{where} was refused: the token is wrong or missing.",
                fix=f"Correct the address in {connection.address}.",
            ) from None
        raise SourceUnavailable(
            f"{where} cannot be opened within {connection.connect_seconds:,.0f} s "
            f"({type(error).__name__}).",
            fix=f"Check that a Spark Connect server of version 4 answers at {connection.address}, "
            "and that `conf` has settings of a session only.",
        ) from None
    return handle


def _closed(handle: Any) -> None:  # noqa: ANN401 - of an optional library
    """The server then cancels what still runs."""
    with suppress(Exception):
        handle.stop()
