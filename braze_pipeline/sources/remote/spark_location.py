"""The location of a Spark connection: the folder that the cluster writes results to.

Workers and this machine see it under one name. A result counts when Spark has marked it as complete
(``_SUCCESS``), and when as many rows are in its files as Spark counted.

Source: `Spark's FileOutputCommitter`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.errors import (
    PipelineError,
    SourceChanged,
    SourceDenied,
    SourceMissing,
    SourceUnavailable,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from braze_pipeline.settings.places import Connection

FOLDER: Final = "braze_pipeline"
"""What the pipeline writes below a location; everything in it is its own."""


def store(connection: Connection) -> tuple[Any, str]:
    """The location's file system, as it is seen from here, and the path in it."""
    from pyarrow import fs

    location = (connection.location or "").rstrip("/")
    with located(connection):
        if location.startswith("/"):
            return fs.LocalFileSystem(), location
        found: tuple[Any, str] = fs.FileSystem.from_uri(location.replace("s3a://", "s3://", 1))
        return found


def for_spark(connection: Connection) -> str:
    """The location, as Spark is told it."""
    location = (connection.location or "").rstrip("/")
    return f"file://{location}" if location.startswith("/") else location


@contextmanager
def located(connection: Connection) -> Iterator[None]:
    """A store's error as ours; its own may quote keys."""
    try:
        yield
    except PipelineError:
        raise
    except PermissionError:
        raise SourceDenied(
            f"`location` of the connection {connection.name} cannot be read: "
            f"{connection.location}.",
            fix="Let the cluster and the pipeline run as the same user, or give both the right to "
            "read, write and delete there.",
        ) from None
    except Exception as error:  # noqa: BLE001 - stores raise what they like
        raise SourceUnavailable(
            f"`location` of the connection {connection.name} cannot be read "
            f"({type(error).__name__}): {connection.location}.",
            fix="Check the address and the credentials in the environment, and run again.",
        ) from None


def complete(
    connection: Connection,
    store: Any,  # noqa: ANN401 - any file system
    folder: str,
    count: int,
) -> pa.RecordBatchReader:
    """The rows of a result that is there as a whole."""
    from pyarrow import dataset, fs

    listed = store.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    if not any(one.base_name == "_SUCCESS" for one in listed):
        raise SourceMissing(
            f"Spark wrote a result to `location` of the connection {connection.name}, and it is "
            f"not there: {connection.location} has no file _SUCCESS of it.",
            fix="The cluster and this machine must see the same folder under this name, and Spark "
            "must mark what is complete (mapreduce.fileoutputcommitter.marksuccessfuljobs).",
        )
    files = [one.path for one in listed if one.base_name.endswith(".parquet")]
    rows = dataset.dataset(files, format="parquet", filesystem=store)
    found = rows.count_rows()
    if found != count:
        raise SourceChanged(
            f"Spark counted {count:,} rows of a result, and {found:,} are in its files at "
            f"`location` of the connection {connection.name}. Nothing of it is used.",
            fix="Run again. If it happens again, look for something else that deletes or writes "
            "files there.",
        )
    reader: pa.RecordBatchReader = rows.scanner().to_reader()
    return reader


def delete(store: Any, folder: str) -> None:  # noqa: ANN401 - any file system
    """Delete a result that may not be there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        store.delete_dir(folder)


def remove_left_over(connection: Connection, *, older_than: float = 0) -> int:
    """Delete results that a killed process left at the location; how many there were.

    Raises:
        SourceError: the location cannot be reached, or nothing may be deleted there.
    """
    from pyarrow import fs

    files, root = store(connection)
    newest: dict[str, float] = {}
    with located(connection):
        own = f"{root}/{FOLDER}"
        for one in files.get_file_info(fs.FileSelector(own, recursive=True, allow_not_found=True)):
            parts = one.path.removeprefix(f"{own}/").split("/")
            if len(parts) > 1:
                result = f"{own}/{parts[0]}/{parts[1]}"
                changed = (one.mtime_ns or 0) / 1e9
                newest[result] = max(changed, newest.get(result, 0.0))
        old = [result for result, at in newest.items() if at <= time.time() - older_than]
        for result in old:
            delete(files, result)
    return len(old)
