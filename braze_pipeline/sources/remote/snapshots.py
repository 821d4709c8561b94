"""Opens a connection for reading, whatever its type."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from braze_pipeline.sources.remote import databases, spark

if TYPE_CHECKING:
    from braze_pipeline.settings.places import Connection


def snapshot(
    connection: Connection, environ: Mapping[str, str]
) -> AbstractContextManager[databases.Snapshot]:
    """What one run reads of a connection; raises as ``databases.snapshot``."""
    opened = spark.session if connection.type == "spark" else databases.snapshot
    return opened(connection, environ)
