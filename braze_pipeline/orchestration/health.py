"""Whether Dagster's instance is set up as the pipeline needs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.operations.doctor import Finding, failure, ok, warning

HOME = "DAGSTER_HOME"

_PAGE = "See .dagster_home/dagster.yaml for the settings that belong there."


def dagster(environ: Mapping[str, str]) -> list[Finding]:
    """The instance of ``DAGSTER_HOME``: its settings, and whether its daemon is alive."""
    home = environ.get(HOME, "").strip()
    if not home:
        return [
            warning(
                HOME,
                "It is not set: runs of this command line leave no history.",
                "Set it to a folder with a dagster.yaml; schedule, sensors and the UI need it.",
            )
        ]
    folder = Path(home)
    if not folder.is_absolute() or not folder.is_dir():
        return [failure(HOME, _no_folder(folder))]
    try:
        with dg.DagsterInstance.from_config(home) as instance:
            return [_storage(instance, folder), *_settings(instance), _daemon(instance)]
    except Exception as error:  # noqa: BLE001 - of any storage; the text may hold its password
        return [failure(HOME, _no_instance(folder, error))]


def _storage(instance: dg.DagsterInstance, folder: Path) -> Finding:
    kind = type(instance.run_storage).__name__.removesuffix("RunStorage")
    return ok(HOME, f"{folder}, stored in {kind}.")


def _settings(instance: dg.DagsterInstance) -> list[Finding]:
    return [_pools(instance), _monitoring(instance), _retries(instance)]


def _pools(instance: dg.DagsterInstance) -> Finding:
    limit = instance.get_concurrency_config().pool_config.default_pool_limit
    if limit == 1:
        return ok("pools", "One step of a pool at a time.")
    return warning(
        "pools",
        f"A pool lets {'any number of' if limit is None else limit} steps run at once.",
        "Set concurrency.pools.default_limit to 1: steps that write the DuckDB file wait in the "
        f"queue then, and not for its lock. {_PAGE}",
    )


def _monitoring(instance: dg.DagsterInstance) -> Finding:
    settings = instance.get_settings("run_monitoring") or {}
    if not settings.get("enabled"):
        return warning(
            "run monitoring",
            "It is off: a run whose process was killed stays started for ever.",
            f"Set run_monitoring.enabled to true. {_PAGE}",
        )
    if not settings.get("free_slots_after_run_end_seconds"):
        return warning(
            "run monitoring",
            "A killed run keeps its place in a pool for ever, and all others wait.",
            f"Set run_monitoring.free_slots_after_run_end_seconds to 10. {_PAGE}",
        )
    return ok("run monitoring", "Killed runs are noticed, and give their place in a pool back.")


def _retries(instance: dg.DagsterInstance) -> Finding:
    settings = instance.get_settings("run_retries") or {}
    if not settings.get("enabled"):
        return warning(
            "run retries",
            "They are off: what failed for a passing cause waits for a person.",
            f"Set run_retries.enabled to true. {_PAGE}",
        )
    if settings.get("retry_on_asset_or_op_failure", True):
        return warning(
            "run retries",
            "Every failed run is tried again, also one that cannot get better by itself.",
            f"Set run_retries.retry_on_asset_or_op_failure to false. {_PAGE}",
        )
    return ok("run retries", "Crashed runs, and failures with a passing cause, are tried again.")


def _daemon(instance: dg.DagsterInstance) -> Finding:
    statuses = instance.get_daemon_statuses().values()
    seen = [status.last_heartbeat.timestamp for status in statuses if status.last_heartbeat]
    if not seen:
        return warning(
            "daemon",
            "None has run on this instance yet: no schedule, no sensor, no queue.",
            "Start dagster-daemon (deploy/ has a unit), or `make ui` for a trial.",
        )
    last = datetime.fromtimestamp(max(seen), UTC)
    if any(status.required and not status.healthy for status in statuses):
        return warning(
            "daemon",
            f"It, or a part of it, is not alive; last seen {last:%Y-%m-%d %H:%M} UTC.",
            "Start dagster-daemon again and look at its log.",
        )
    return ok("daemon", f"Alive; last seen {last:%Y-%m-%d %H:%M} UTC.")


def _no_folder(folder: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{HOME} is {folder}, which is no folder with an absolute path.",
        fix="Make the folder, with a dagster.yaml in it, or set the variable to one that is there.",
    )


def _no_instance(folder: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The instance in {folder} cannot be used ({type(error).__name__}).",
        fix=f"Check its dagster.yaml and that its database can be reached. {_PAGE}",
    )
