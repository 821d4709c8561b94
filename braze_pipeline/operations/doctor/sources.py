"""Whether the connections and places of the source tables can be reached and read.

No row is read: a database is asked for the columns of a table, an object store for the list of
files and one byte, a lakehouse for a table's schema. Local files are not checked here: `template
check` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from braze_pipeline.attributes.build import sources_read
from braze_pipeline.errors import PipelineError
from braze_pipeline.operations.doctor.finding import Finding, State, failure, ok
from braze_pipeline.settings.places import Connection, Database, Files
from braze_pipeline.sources.remote import lakehouse, object_store, snapshots
from braze_pipeline.sources.remote.parquet import empty
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.settings.places import Place


def sources(templates: Sequence[TemplateSettings], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check each connection that is used, and each place that the SQL of a template reads, once.

    Args:
        templates: All of the project.
        environ: The environment, with the addresses of the connections.
    """
    read = {
        (source.name, repr(source.place)): (source.name, source.place)
        for t in templates
        for source in sources_read(t)
        if source.place is not None
    }
    used = [place.connection for _, place in read.values() if isinstance(place, Database)]
    used += [t.run_in for t in templates if t.run_in is not None]
    connections = {repr(connection): connection for connection in used}
    opened = set()
    for identity, connection in connections.items():
        found = _connection(connection, environ)
        yield found
        if found.state is State.OK:
            opened.add(identity)
    for name, place in read.values():
        # A connection that does not open has a finding of its own.
        if not isinstance(place, Database) or repr(place.connection) in opened:
            yield _place(name, place, environ)


def _connection(connection: Connection, environ: Mapping[str, str]) -> Finding:
    name = f"connection {connection.name}"
    try:
        with snapshots.snapshot(connection, environ):
            return ok(name, f"The {connection.type} database in {connection.address} opens.")
    except PipelineError as error:
        return failure(name, error)


def _place(source: str, place: Place, environ: Mapping[str, str]) -> Finding:
    name = f"source {source}"
    try:
        return ok(name, f"{place} can be read: {_seen(source, place, environ)}.")
    except PipelineError as error:
        return failure(name, error)


def _seen(source: str, place: Place, environ: Mapping[str, str]) -> str:
    if isinstance(place, Files):
        return counted(object_store.probe(source, place), "file")
    if isinstance(place, Database):
        # One that fails spoils the transaction for the next.
        with snapshots.snapshot(place.connection, environ) as snapshot:
            schema = snapshot.schema(source, place)
    else:
        with lakehouse.stream(source, place) as rows:
            schema = rows.schema
    return counted(empty(source, place, schema).num_columns, "column")
