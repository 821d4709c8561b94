"""What the assets need from outside: the warehouse, which a test can replace.

The API key does not belong here. A send reads it from the environment when it starts, because
Dagster stores and shows the configuration of resources in plain text.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from braze_pipeline.config.project import database_path
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse


class WarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The DuckDB file, with the journal and the snapshots beside it.

    Attributes:
        path: The file. Empty: BRAZE_PIPELINE_DATABASE, else the database of the template's project.
    """

    path: str = ""

    def warehouse(self, t: TemplateSettings) -> Warehouse:
        """The database that a run of the template works on.

        Raises:
            ConfigurationError: there is no project that could hold it.
        """
        return Warehouse(Path(self.path) if self.path else database_path(t.folder, os.environ))


WAREHOUSE = WarehouseResource()
"""All destinations of a code location share this object: Dagster merges resources by identity."""
