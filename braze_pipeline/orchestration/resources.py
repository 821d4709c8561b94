"""What the assets need from outside: the warehouse and the credential. Both can be replaced.

The API key is read from the environment at the moment of a send. It is no field of a resource,
because Dagster stores and shows run configuration in clear.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from braze_pipeline.config.project import database_path
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse


class WarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The DuckDB file with its journal and snapshots beside it.

    Attributes:
        path: The file; empty for BRAZE_PIPELINE_DATABASE or the one of the template's project.
    """

    path: str = ""

    def warehouse(self, t: TemplateSettings) -> Warehouse:
        """The file that a run of the template works on.

        Raises:
            ConfigurationError: there is no project to keep it in.
        """
        return Warehouse(Path(self.path) if self.path else database_path(t.folder, os.environ))


WAREHOUSE = WarehouseResource()
"""The one that all destinations of a code location share: Dagster merges them by identity."""
