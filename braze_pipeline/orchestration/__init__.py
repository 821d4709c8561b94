"""The Dagster shell. Each asset is a few lines around one function of its room.

What belongs here: assets, checks, partitions, jobs, schedule, sensors, and what the UI shows. What
does not: any decision about a value, a user or a request.
"""

from braze_pipeline.orchestration.component import BrazeDestination

__all__ = ["BrazeDestination"]
