"""Delta and Iceberg tables, as Arrow, by their own libraries.

Only they know which of a table's files count: a folder of a Delta table also holds files of rows
that were deleted since.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.errors import (
    ConfigurationError,
    PipelineError,
    SourceChanged,
    SourceMissing,
    SourceUnavailable,
)
from braze_pipeline.settings.places import Delta, Iceberg
from braze_pipeline.sources.remote.parquet import guarded

if TYPE_CHECKING:
    import pyarrow as pa


_MISSING: Final = frozenset(
    {"TableNotFoundError", "NoSuchTableError", "NoSuchNamespaceError", "FileNotFoundError"}
)
_UNKNOWN_FEATURE: Final = frozenset({"DeltaProtocolError", "NotImplementedError"})


@contextmanager
def stream(name: str, place: Delta | Iceberg) -> Iterator[pa.RecordBatchReader]:
    """The rows of the table's newest version, batch by batch.

    Raises:
        ConfigurationError: the library is not installed, or no such catalog is configured.
        SourceMissing: there is no such table.
        SourceChanged: the table uses a feature that the library does not read.
        SourceUnavailable: its files cannot be reached.
    """
    with _reported(name, place):
        rows = _iceberg(place.table) if isinstance(place, Iceberg) else _delta(place.url)
    yield guarded(rows, _reported(name, place))


@contextmanager
def _reported(name: str, place: Delta | Iceberg) -> Iterator[None]:
    """A library's error as ours; its own may quote keys."""
    try:
        yield
    except PipelineError:
        raise
    except ImportError as error:
        raise ConfigurationError(
            f"The source table {name} is a {place}, and its library is not installed.",
            fix=f"Install it: pip install 'braze-pipeline[{type(place).__name__.lower()}]'.",
        ) from error
    except Exception as error:  # noqa: BLE001 - the libraries raise what they like, with addresses
        raise _unreadable(name, place, error) from None


def _delta(url: str) -> pa.RecordBatchReader:
    from deltalake import DeltaTable

    # The dataset refuses a table with deletion vectors: their rows would come back.
    reader: pa.RecordBatchReader = DeltaTable(url).to_pyarrow_dataset().scanner().to_reader()
    return reader


def _iceberg(table: str) -> pa.RecordBatchReader:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.table import StaticTable

    found: Any
    if table.endswith(".metadata.json"):
        found = StaticTable.from_metadata(table)
    else:
        catalog, _, identifier = table.partition(".")
        found = load_catalog(catalog).load_table(identifier)
    reader: pa.RecordBatchReader = found.scan().to_arrow_batch_reader()
    return reader


def _unreadable(name: str, place: Delta | Iceberg, error: Exception) -> PipelineError:
    kind = type(error).__name__
    fix = f"Correct `sources: {name}:` in defs.yaml."
    if kind in _MISSING:
        return SourceMissing(f"The source table {name} is not there: no {place}.", fix=fix)
    if kind in _UNKNOWN_FEATURE:
        return SourceChanged(
            f"The source table {name} cannot be read: the {place} uses a feature that its library "
            f"does not read ({kind}).",
            fix="Rewrite it without that feature (such as deletion vectors), or export it as "
            "Parquet.",
        )
    return SourceUnavailable(
        f"The source table {name} cannot be read: the {place} cannot be reached ({kind}).",
        fix="Check its address and the credentials in the environment, and run again.",
    )
