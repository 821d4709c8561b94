"""Where the source tables are read from: the part of the configuration under `sources:`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from braze_pipeline.config.models import SourcesConfig
from braze_pipeline.config.problems import Problems
from braze_pipeline.config.project import SOURCES_VARIABLE, sources_folder
from braze_pipeline.settings import SourceSettings
from braze_pipeline.settings.sources import ONLY_FILES, is_address


def resolve_sources(
    config: SourcesConfig, folder: Path, environ: Mapping[str, str], problems: Problems
) -> Iterator[SourceSettings]:
    """Where each source table is read from, in the order of the schema.

    Args:
        config: What the file says.
        folder: The folder that relative paths start from.
        environ: The environment; it can name the folder of the tables without a place of their own.
        problems: Collects what is wrong.
    """
    if is_address(environ.get(SOURCES_VARIABLE, "")):
        problems.add(f"The environment variable {SOURCES_VARIABLE}: {ONLY_FILES}")
    for name, source in config:
        path, database = source.path, source.database
        if bool(database) != bool(source.relation) or (database and path):
            problems.at(name).add("Give `path` alone, or `database` together with `relation`.")
        own = folder / path if path else None
        yield SourceSettings(
            name=name,
            # Without a place of its own, a table is looked for as `NAME.*` in the common folder.
            path=own if path or database else sources_folder(folder, environ),
            shared=not path,
            database=folder / database if database else None,
            relation=source.relation,
            columns=source.columns,
            optional=name == "predictions",
        )
