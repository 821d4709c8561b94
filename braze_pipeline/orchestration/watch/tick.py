"""One look at the runs that have ended: a failure opens an action, a recovery closes it.

The cursor moves only past what is in the store. When the store cannot be written, the tick fails,
visibly, and the next one starts where this one did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from braze_pipeline.alerts import ActionStore, Incident, RecordResult
from braze_pipeline.alerts.action_classes import UNKNOWN
from braze_pipeline.errors import PipelineError
from braze_pipeline.orchestration.dead_runs import fail_dead_runs
from braze_pipeline.orchestration.watch.changes import Cursor, changes_since
from braze_pipeline.orchestration.watch.diagnosis import cause_of, diagnose
from braze_pipeline.orchestration.watch.outcomes import (
    report,
    success_of,
    update_actions,
    warnings_of,
)
from braze_pipeline.orchestration.watch.runs import (
    TickEvent,
    days_of_run,
    facts_of,
    newly_recorded,
    with_earlier_attempts,
)
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse

WILL_RETRY_TAG = "dagster/will_retry"
RETRIED_BY_TAG = "dagster/auto_retry_run_id"

RETRY_WAIT = timedelta(minutes=5)
"""How long a failed run may wait for an automatic retry that was announced."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What the sensors of a destination work on.

    Attributes:
        warehouse: The store of actions and the journal are beside it.
        templates: Those of one destination; runs that touch none of them are ignored.
    """

    instance: dg.DagsterInstance
    warehouse: Warehouse
    templates: Sequence[TemplateSettings]

    @property
    def store(self) -> ActionStore:
        """The store of actions."""
        return ActionStore(self.warehouse.actions_path)

    def look(self, cursor: Cursor, *, now: datetime) -> tuple[Cursor, list[TickEvent]]:
        """Process the runs that ended since the cursor, and those whose process has gone.

        Returns:
            The new cursor, and what was done.

        Raises:
            sqlite3.Error: the store cannot be written. Nothing is lost: look again.
        """
        done: list[TickEvent] = []
        waiting: list[str] = []

        fail_dead_runs(self.instance)

        def collect(run_id: str, found: list[TickEvent] | None) -> None:
            if found is None:
                waiting.append(run_id)
            else:
                done.extend(found)

        for run_id in cursor.waiting:
            collect(run_id, self.failed_run(run_id, now=now))
        cursor = cursor.begun(now)
        for change in changes_since(self.instance, cursor):
            run = self.instance.get_run_by_id(change.run_id)
            if run is not None:  # not deleted meanwhile
                at = datetime.fromtimestamp(change.at, UTC)
                done += self.record_outcome(run, at=at)
                if change.kind == "canceled":
                    done += newly_recorded(self.record_failure(run, at=at), run.run_id)
            if change.kind == "failure":
                collect(change.run_id, self.failed_run(change.run_id, now=now))
            cursor = cursor.after(change)
        return replace(cursor, waiting=tuple(waiting)), done

    def failed_run(self, run_id: str, *, now: datetime) -> list[TickEvent] | None:
        """Process a failed run.

        Returns:
            What was done; None while an automatic retry may follow, which is reported if it fails.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        record = self.instance.get_run_record_by_id(run_id)
        if record is None or record.dagster_run.tags.get(RETRIED_BY_TAG):
            return []
        run = record.dagster_run
        at = datetime.fromtimestamp(record.end_time or now.timestamp(), UTC)
        if now - at < RETRY_WAIT and self._may_be_retried(run):
            return None
        return newly_recorded(self.record_failure(run, at=at), run.run_id)

    def _may_be_retried(self, run: dg.DagsterRun) -> bool:
        """The tag is set just after the failure; the daemon retries only what it can launch."""
        if not self.instance.run_retries_enabled or run.remote_job_origin is None:
            return False
        return run.tags.get(WILL_RETRY_TAG, "true") == "true"

    def record_outcome(self, run: dg.DagsterRun, *, at: datetime) -> list[TickEvent]:
        """Close what a run resolved, record what it warns of, or that all went well.

        A run that failed resolves something only for templates that its failure is not about.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        try:
            facts = facts_of(self.instance, run, self.templates)
            # A warning of the attempt that failed is still true of what this one sent.
            whole = with_earlier_attempts(self.instance, facts, self.templates)
            ours = whole.touched(self.templates)
            if not run.is_success:
                ours = [t for t in ours if cause_of(facts, t) is None]
            found = [(t, warnings_of(whole, t, at=at), success_of(whole, t)) for t in ours]
        except Exception as error:
            if not run.is_success:
                return []  # it is reported as a failure, whatever its events are
            if not isinstance(error, PipelineError):
                raise
            return newly_recorded([self.store.record(self._unreadable(run, error, at))], run.run_id)
        # First all actions: a message counts those that are still open after the run.
        updated = [
            done
            for t, warnings, _ in found
            for done in update_actions(self.store, facts, t, warnings, at=at)
        ]
        reported = [
            done
            for t, warnings, success in (found if run.is_success else ())
            for done in report(self.store, t, None if warnings else success, at=at)
        ]
        return updated + reported

    def record_failure(self, run: dg.DagsterRun, *, at: datetime) -> list[RecordResult]:
        """Record a run that failed or was terminated, also in the run's own log.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        results = []
        for incident in self._diagnosed(run, at):
            result = self.store.record(incident)
            results.append(result)
            if not result.known:
                text = f"{result.words()}: {incident.action}. See `braze-pipeline actions`."
                self.instance.report_engine_event(f"Workflow {text}", run)
        return results

    def _diagnosed(self, run: dg.DagsterRun, at: datetime) -> list[Incident]:
        try:
            facts = facts_of(self.instance, run, self.templates)
            found = [
                diagnose(facts, t, instance=self.instance, warehouse=self.warehouse, at=at)
                for t in facts.touched(self.templates)
            ]
        except Exception as error:  # noqa: BLE001 - whatever its events are, a failure is reported
            return [self._unreadable(run, error, at)]
        return [one for one in found if one is not None]

    def _unreadable(self, run: dg.DagsterRun, error: Exception, at: datetime) -> Incident:
        t = self.templates[0]
        why = error.what if isinstance(error, PipelineError) else f"{type(error).__name__}."
        return Incident(
            action=UNKNOWN,
            what=f"A run ended, and its events cannot be read: {why}",
            fix="Look at the run in Dagster's UI.",
            destination=t.destination.name,
            template=t.name,
            at=at,
            run_id=run.run_id,
            days=days_of_run(run),
        )
