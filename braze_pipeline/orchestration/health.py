"""Whether Dagster's instance is set up as the pipeline needs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg

from braze_pipeline.config.project import HOME_VARIABLE, dagster_home
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning
from braze_pipeline.orchestration.dead_runs import HOW_TO_END, without_file
from braze_pipeline.orchestration.instance import of_folder

_SETTINGS_FILE = ".dagster_home/dagster.yaml shows the settings it needs."


def dagster(environ: Mapping[str, str]) -> list[Finding]:
    """Check the instance of ``DAGSTER_HOME``: its settings, and whether its daemon is running."""
    try:
        folder = dagster_home(environ)
    except ConfigurationError as error:
        return [failure(HOME_VARIABLE, error)]
    if folder is None:
        return [
            warning(
                HOME_VARIABLE,
                "It is not set, so runs of this command line leave no history.",
                "Set it to a folder with a dagster.yaml. Schedule, sensors and the UI need it.",
            )
        ]
    try:
        with of_folder(folder) as instance:
            storage = type(instance.run_storage).__name__.removesuffix("RunStorage")
            return [
                ok(HOME_VARIABLE, f"{folder}, stored in {storage}."),
                _pools(instance),
                *_holders(instance),
                _run_monitoring(instance),
                _run_retries(instance),
                _daemon(instance),
            ]
    except Exception as error:  # noqa: BLE001 - of any storage; the text may hold its password
        problem = ConfigurationError(
            f"The instance in {folder} cannot be used ({type(error).__name__}).",
            fix="Check that its dagster.yaml is valid and its database can be reached. "
            f"{_SETTINGS_FILE}",
        )
        return [failure(HOME_VARIABLE, problem)]


def _pools(instance: dg.DagsterInstance) -> Finding:
    limit = instance.get_concurrency_config().pool_config.default_pool_limit
    if limit == 1:
        return ok("pools", "One step of a pool runs at a time.")
    return warning(
        "pools",
        f"A pool lets {'any number of' if limit is None else limit} steps run at once.",
        "Set concurrency.pools.default_limit to 1, so that steps that write the DuckDB file wait "
        f"in the queue instead of for its lock. {_SETTINGS_FILE}",
    )


def _holders(instance: dg.DagsterInstance) -> list[Finding]:
    """Runs that keep others waiting, and may have been killed without anybody noticing."""
    found = []
    for run_id in without_file(instance, instance.event_log_storage.get_concurrency_run_ids()):
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            saw = f"Run {run_id[:8]} holds a pool, or waits for one, and shows no sign of life."
            found.append(warning("pools", saw, HOW_TO_END))
    return found


def _run_monitoring(instance: dg.DagsterInstance) -> Finding:
    settings = instance.get_settings("run_monitoring") or {}
    if not settings.get("enabled"):
        return warning(
            "run monitoring",
            "It is off, so a run whose process was killed may count as started for ever.",
            f"Set run_monitoring.enabled to true. {_SETTINGS_FILE}",
        )
    if not settings.get("free_slots_after_run_end_seconds"):
        return warning(
            "run monitoring",
            "A killed run may keep its place in a pool for ever, and all other runs wait.",
            f"Set run_monitoring.free_slots_after_run_end_seconds to 10. {_SETTINGS_FILE}",
        )
    return ok(
        "run monitoring",
        "A run whose process was killed is recorded as failed, and its place in a pool is freed.",
    )


def _run_retries(instance: dg.DagsterInstance) -> Finding:
    settings = instance.get_settings("run_retries") or {}
    if not settings.get("enabled"):
        return warning(
            "run retries",
            "They are off, so a failure with a temporary cause waits for a person.",
            f"Set run_retries.enabled to true. {_SETTINGS_FILE}",
        )
    if settings.get("retry_on_asset_or_op_failure", True):
        return warning(
            "run retries",
            "Every failed run is tried again, even one that a retry cannot help.",
            f"Set run_retries.retry_on_asset_or_op_failure to false. {_SETTINGS_FILE}",
        )
    return ok("run retries", "Dagster retries crashed runs, and failures with a temporary cause.")


def _daemon(instance: dg.DagsterInstance) -> Finding:
    statuses = instance.get_daemon_statuses().values()
    heartbeats = [status.last_heartbeat.timestamp for status in statuses if status.last_heartbeat]
    if not heartbeats:
        return warning(
            "daemon",
            "None has run on this instance yet, so schedule, sensors and queue do not work.",
            "Start dagster-daemon (deploy/ has a unit), or `make ui` for a trial.",
        )
    seen = f"last seen {datetime.fromtimestamp(max(heartbeats), UTC):%Y-%m-%d %H:%M} UTC."
    if any(status.required and not status.healthy for status in statuses):
        return warning(
            "daemon",
            f"It, or a part of it, is not running; {seen}",
            "Start dagster-daemon again and look at its log.",
        )
    return ok("daemon", f"Running; {seen}")
