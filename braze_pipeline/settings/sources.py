"""Where the source tables are read from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from braze_pipeline.settings.places import Place
from braze_pipeline.settings.section import Section

_SECRET = re.compile(
    # In Azure's addresses the container stands before the @.
    r"(?<!abfs)(?<!abfss)://[^/\s]*@|://[^/@\s]*:[^/@\s]*@"
    r"|(^|[\s;?&])(password|passwd|pwd|token|secret|secret_key|access_key|sig|signature"
    r"|x-(amz|goog)-(signature|credential|security-token))\s*=",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"^[a-z][a-z0-9+.-]*://|^(md|motherduck|postgres(ql)?|mysql|sqlite|ducklake):"
    r"|(^|[\s;?&])(host|user)\s*=",
    re.IGNORECASE,
)
SCHEMES: Final = ("s3://", "gs://", "abfs://", "abfss://", "https://")
NO_ADDRESS: Final = (
    "This is an address that cannot be read here. Give a path, an address that begins with "
    f"{', '.join(SCHEMES)}, or a `connection` for a database."
)
CREDENTIAL_INSIDE: Final = (
    "This is an address with a user, password or key in it, and credentials come from the "
    "environment. If they are real, change them."
)
_RELATION: Final = r'^([A-Za-z_][\w$-]*|"[^"]+")(\.([A-Za-z_][\w$-]*|"[^"]+")){0,3}$'


def is_remote(text: str) -> bool:
    """Whether a path is the address of an object store."""
    return text.lower().startswith(SCHEMES)


def problem_of(text: str, *, remote: bool) -> str | None:
    """What is wrong with a path; None where it can be read."""
    if _SECRET.search(text):
        return CREDENTIAL_INSIDE
    if _ADDRESS.search(text) and not (remote and is_remote(text)):
        return NO_ADDRESS
    return None


def _location(*, remote: bool) -> BeforeValidator:
    def check(value: object) -> object:
        problem = problem_of(value, remote=remote) if isinstance(value, str) else None
        if problem:
            raise ValueError(problem)
        return value or None

    return BeforeValidator(check)


LocalFile = Annotated[Path | None, _location(remote=False)]
Location = Annotated[str | None, _location(remote=True)]


class SourceOptions(Section):
    """What is the same in ``defs.yaml`` and at run time."""

    relation: Annotated[str, Field(pattern=_RELATION)] | None = None
    """The table or view in `database` or `connection` (`name` or `schema.name`)."""
    columns: dict[str, str] = Field(default_factory=dict)
    """This pipeline's column name: your column name, where they differ."""
    optional: bool = False
    """The table may be missing: it is then empty. Only for `customers`, `orders`, `consents` and
    `predictions`, whose columns are known."""
    asset_key: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The key of the asset of your own that writes the table: lineage then begins there."""


class SourceConfig(SourceOptions):
    """Where to read a source table, if not from the default folder."""

    path: Location = None
    """A file, folder or glob of Parquet or CSV files, local or with `s3://`, `gs://`, `abfs://` or
    `https://`."""
    delta: Location = None
    """A Delta table, by its folder or address."""
    iceberg: Location = None
    """An Iceberg table: `CATALOG.NAMESPACE.TABLE`, or a `.metadata.json` file."""
    database: LocalFile = None
    """A DuckDB file; also needs `relation`."""
    connection: str | None = None
    """A database under `connections:`; also needs `relation` or `query`."""
    query: str | None = None
    """A query in the dialect of `connection`, instead of `relation`."""


class SourceSettings(SourceOptions):
    """Where one source table is read from at run time; its paths are complete.

    Attributes:
        name: As the SQL reads it.
        path: A local file, folder or glob.
        shared: ``path`` is the folder of all tables, in which this one has its own file or folder.
        database: A DuckDB file, with ``relation`` a table or view in it.
        place: Where it is instead, if DuckDB does not read it by itself.
        location: What messages call it instead of ``path``.
    """

    name: str
    path: Path | None = None
    shared: bool = False
    database: Path | None = None
    place: Place | None = None
    location: str | None = None
