"""Where the source tables are read from: the part of the configuration under `sources:`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.config.problems import Problems
from braze_pipeline.config.project import SOURCES_VARIABLE, sources_folder
from braze_pipeline.settings import PREDICTIONS, SourceSettings
from braze_pipeline.settings.places import Connection, Database, Delta, Files, Iceberg, Place
from braze_pipeline.settings.section import values_of
from braze_pipeline.settings.sources import SourceConfig, SourceOptions, is_remote, problem_of
from braze_pipeline.sources.dialects import dialect_of, without_end
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.user_input import did_you_mean

PLACES: Final = ("path", "delta", "iceberg", "database", "connection")
"""The keys of a source that say where it is; one of them is given."""

_COMMENT: Final = re.compile(r"--[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
"""In any dialect. A text with two hyphens is no comment, and never the whole of a query."""


def resolve_sources(
    config: PipelineConfig, folder: Path, environ: Mapping[str, str], problems: Problems
) -> Iterator[SourceSettings]:
    """Where each source table is read from: first those with a known contract, then the others.

    Args:
        config: What the file says.
        folder: The folder that relative paths start from.
        environ: The environment; it can name the folder of the tables without a place of their own.
        problems: Collects what is wrong.
    """
    problem = problem_of(environ.get(SOURCES_VARIABLE, ""), remote=False)
    if problem:
        problems.add(f"The environment variable {SOURCES_VARIABLE}: {problem}")
    for name in dict.fromkeys((*TABLES, *config.sources)):
        source = config.sources.get(name, SourceConfig())
        here = problems.at(name)
        _check(name, source, here)
        place = _place(source, config, folder, here)
        own = _beside(folder, source.path) if source.path and place is None else None
        elsewhere = place is not None or source.database is not None
        yield SourceSettings(
            **values_of(source, SourceOptions)
            | {"optional": source.optional or (name == PREDICTIONS and not source.connection)},
            name=name,
            # Without a place of its own, a table is looked for as `NAME.*` in the common folder.
            path=own if own or elsewhere else sources_folder(folder, environ),
            shared=own is None,
            database=_beside(folder, source.database) if source.database else None,
            place=place,
        )


def _check(name: str, source: SourceConfig, problems: Problems) -> None:
    given = [key for key in PLACES if getattr(source, key)]
    if len(given) > 1:
        problems.add(f"Give one place, not several: {', '.join(f'`{key}`' for key in given)}.")
    if source.database and not source.relation:
        problems.add("`database` needs `relation`: the table or view in it.")
    if source.connection and bool(source.relation) == bool(source.query):
        problems.add("`connection` needs either `relation` or `query`.")
    if source.relation and not (source.database or source.connection):
        problems.add("`relation` needs `database` or `connection`.")
    if source.query and not _COMMENT.sub("", source.query).strip("; \t\n"):
        problems.at("query").add("The query is empty, or has nothing but comments.")
    if source.query and not source.connection:
        problems.add("`query` needs `connection`.")
    if name not in TABLES and source.optional:
        problems.at("optional").add(
            f"{name} cannot be optional: without it, its columns are not known. Only "
            f"{', '.join(TABLES)} can."
        )
    if source.connection and source.optional:
        problems.at("optional").add(
            "A table of a database cannot be optional: after a missing table, no other can be read "
            "in the same snapshot. Remove the source until the table exists."
        )
    if name not in TABLES and source.columns:
        problems.at("columns").add(
            f"The columns of {name} are your own: rename them in the SQL. Only those of "
            f"{', '.join(TABLES)} are mapped."
        )


def _place(
    source: SourceConfig, config: PipelineConfig, folder: Path, problems: Problems
) -> Place | None:
    """The place of a source, if DuckDB does not read it by itself."""
    if source.path and is_remote(source.path):
        return Files(url=source.path)
    if source.delta:
        remote = is_remote(source.delta)
        return Delta(url=source.delta if remote else str(_beside(folder, source.delta)))
    if source.iceberg:
        local = source.iceberg.endswith(".json") and not is_remote(source.iceberg)
        return Iceberg(table=str(_beside(folder, source.iceberg)) if local else source.iceberg)
    if source.connection:
        connection = connection_named(source.connection, config)
        if connection is not None:
            query = source.query and without_end(source.query, dialect_of(connection))
            return Database(connection=connection, relation=source.relation, query=query)
        problems.at("connection").add(no_connection(source.connection, config))
    return None


def _beside(folder: Path, given: str | Path) -> Path:
    """A path that is relative to a folder, without the `..` that it may begin with."""
    path = Path(given)
    while path.parts[:1] == ("..",):
        folder, path = folder.resolve().parent, Path(*path.parts[1:])
    return folder / path


def connection_named(name: str, config: PipelineConfig) -> Connection | None:
    """A connection of the file; None where it has none of this name."""
    found = config.connections.get(name)
    if found is None:
        return None
    # What was not given has to stay so: a connection refuses keys of another type.
    return Connection(name=name, **{key: getattr(found, key) for key in found.model_fields_set})


def no_connection(name: str, config: PipelineConfig) -> str:
    """What is wrong with a name that no connection has."""
    return (
        f"There is no connection {name!r} under `connections:`."
        f"{did_you_mean(name, config.connections)}"
    )
