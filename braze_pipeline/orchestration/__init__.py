"""The Dagster shell: thin. Each asset is a few lines around one function of the core.

What belongs here: partitions, resources, checks, sensors, schedules and what the UI shows. What
does not: any decision about a value, a user or a request.
"""

from braze_pipeline.orchestration.component import BrazeDestination

__all__ = ["BrazeDestination"]
