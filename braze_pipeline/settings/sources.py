"""Where the source tables are read from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from braze_pipeline.settings.section import Section

_ADDRESS = re.compile(
    r"^[a-z][a-z0-9+.-]*://|^(md|motherduck|postgres(ql)?|mysql|sqlite|ducklake):"
    r"|(^|[\s;?&])(password|passwd|pwd|token|secret|host|user)\s*=",
    re.IGNORECASE,
)
ONLY_FILES: Final = (
    "This is an address, but only files can be read. Export the table as Parquet, or give the path "
    "of a DuckDB file. If the address contains a password, change that password."
)


def is_address(text: str) -> bool:
    """Whether a text is a server's address, which may contain a password, and not a path."""
    return _ADDRESS.search(text) is not None


def _only_files(value: object) -> object:
    if isinstance(value, str) and is_address(value):
        raise ValueError(ONLY_FILES)
    return value or None


LocalFile = Annotated[Path | None, BeforeValidator(_only_files)]


class SourceConfig(Section):
    """Where to read a source table, if not from the default folder."""

    path: LocalFile = None
    """A Parquet file, a CSV file with a header, or a folder of Parquet files."""
    database: LocalFile = None
    """A DuckDB file to read instead; also needs `relation`."""
    relation: str | None = None
    """The table or view in `database` (`name` or `schema.name`)."""
    columns: dict[str, str] = Field(default_factory=dict)
    """This pipeline's column name: your column name, where they differ."""


class SourceSettings(SourceConfig):
    """Where one source table is read from at run time; its paths are complete.

    Attributes:
        name: ``customers``, ``orders``, ``consents`` or ``predictions``.
        shared: ``path`` is the folder of all tables, in which this one has its own file or folder.
        optional: A missing optional source is an empty table.
    """

    name: str
    shared: bool = False
    optional: bool = False
