"""What the assets need from outside: the warehouse, which a test can replace.

The API key does not belong here. A send reads it from the environment when it starts, because
Dagster stores and shows the configuration of resources in plain text.
"""

# No `from __future__ import annotations` here: Dagster reads the annotation of `path` itself.
import os
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

import dagster as dg

from braze_pipeline.config.project import database_path
from braze_pipeline.orchestration.dead_runs import alive
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse


class WarehouseResource(dg.ConfigurableResource[Any]):
    """The DuckDB file, with the journal and the snapshots beside it.

    Attributes:
        path: The file. Empty: BRAZE_PIPELINE_DATABASE, else the database of the template's project.
    """

    # Not a plain field, which a launch could set: on another database a run knows neither ledger
    # nor pauses.
    path: dg.ResourceDependency[str] = ""  # type: ignore[assignment]  # a descriptor

    def warehouse(self, t: TemplateSettings) -> Warehouse:
        """The database that a run of the template works on.

        Raises:
            ConfigurationError: there is no project that could hold it.
        """
        return Warehouse(Path(self.path) if self.path else database_path(t.folder, os.environ))

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Self]:
        """While a process has the resource for a run, others can see that the run is alive."""
        run, instance = context.run, context.instance
        with alive(instance, run.run_id) if run and instance else nullcontext():
            yield self


WAREHOUSE = WarehouseResource()
"""All destinations of a code location share this object: Dagster merges resources by identity."""
