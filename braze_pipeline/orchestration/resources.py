"""What the assets need from outside: the warehouse and the credential. Both can be replaced.

The API key is read from the environment at the moment of a send. It is no field of a resource,
because Dagster stores and shows run configuration in clear.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from braze_pipeline.core.warehouse import Warehouse

DATABASE_VARIABLE = "BRAZE_PIPELINE_DATABASE"
DEFAULT_DATABASE = "data/warehouse.duckdb"


class WarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The DuckDB file with its journal and snapshots beside it.

    Attributes:
        path: The file; empty for BRAZE_PIPELINE_DATABASE or ``data/warehouse.duckdb``.
    """

    path: str = ""

    def warehouse(self) -> Warehouse:
        """The file this run works on."""
        return Warehouse(database_path(self.path))


WAREHOUSE = WarehouseResource()
"""The one that all destinations of a code location share: Dagster merges them by identity."""


def database_path(configured: str = "") -> Path:
    """The configured DuckDB file, else the environment's, else the default."""
    return Path(configured or os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE)
