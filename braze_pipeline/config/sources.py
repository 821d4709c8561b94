"""Where the source tables are read from: the part of the configuration under `sources:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from braze_pipeline.config.models import PipelineConfig, SourcePart
from braze_pipeline.config.problems import Key, Problem
from braze_pipeline.config.project import SOURCES_VARIABLE, sources_folder
from braze_pipeline.settings import SourceSettings

_ADDRESS = re.compile(
    r"^[a-z][a-z0-9+.-]*://|^(md|motherduck|postgres(ql)?|mysql|sqlite|ducklake):"
    r"|(^|[\s;?&])(password|passwd|pwd|token|secret|host|user)\s*=",
    re.IGNORECASE,
)
_ONLY_FILES = (
    "This is an address, and only files are read here. Export the table as Parquet, or give the "
    "path of a DuckDB file. If the address holds a password, change it there."
)


def resolve_sources(
    config: PipelineConfig, folder: Path, environ: Mapping[str, str], problems: list[Problem]
) -> tuple[SourceSettings, ...]:
    """Where each source table is read from, in the order of the schema."""
    found = []
    if _ADDRESS.search(environ.get(SOURCES_VARIABLE, "")):
        problems.append(
            Problem(("sources",), f"The environment variable {SOURCES_VARIABLE}: {_ONLY_FILES}")
        )
    for name in type(config.sources).model_fields:
        part: SourcePart = getattr(config.sources, name)
        if bool(part.database) != bool(part.relation) or (part.database and part.path):
            problems.append(
                Problem(
                    ("sources", name),
                    "Give `path`, or `database` together with `relation`.",
                )
            )
        problems += _address_problems(part, ("sources", name))
        found.append(
            SourceSettings(
                name=name,
                path=_source_path(part, folder, environ),
                shared=not part.path,
                database=folder / part.database if part.database else None,
                relation=part.relation,
                columns=tuple(part.columns.items()),
                optional=name == "predictions",
            )
        )
    return tuple(found)


def _address_problems(part: SourcePart, key: Key) -> list[Problem]:
    """A server's address may hold a password: it is refused here, before any message shows it."""
    return [
        Problem((*key, where), _ONLY_FILES)
        for where in ("path", "database")
        if _ADDRESS.search(getattr(part, where) or "")
    ]


def _source_path(part: SourcePart, folder: Path, environ: Mapping[str, str]) -> Path | None:
    """A configured path, else the folder of the sources (the loader finds ``NAME.*`` in it)."""
    if part.path:
        return folder / part.path
    return None if part.database else sources_folder(folder, environ)
