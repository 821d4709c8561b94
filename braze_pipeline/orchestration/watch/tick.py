"""One look at the runs that have ended: every failure becomes an action, every recovery closes one.

The cursor moves on only past what is in the store. A store that cannot be written makes the tick
fail, visibly, and the next one begins where this one was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from braze_pipeline.alerts import ActionStore, Incident, RecordResult
from braze_pipeline.alerts.action_classes import UNKNOWN
from braze_pipeline.errors import PipelineError
from braze_pipeline.orchestration.watch.changes import Change, Cursor, changes_since
from braze_pipeline.orchestration.watch.diagnosis import diagnose
from braze_pipeline.orchestration.watch.outcomes import settle, warnings_of
from braze_pipeline.orchestration.watch.runs import Done, days_of_run, facts_of
from braze_pipeline.settings import TemplateSettings

WILL_RETRY_TAG = "dagster/will_retry"
RETRIED_BY_TAG = "dagster/auto_retry_run_id"

PATIENCE = timedelta(minutes=5)
"""How long a failed run may wait for the automatic retry that was announced."""


@dataclass(frozen=True)
class Watch:
    """What a tick works on.

    Attributes:
        templates: Of one destination; runs that touch none of them are others' business.
        journal: The journal of acknowledgements.
    """

    instance: dg.DagsterInstance
    store: ActionStore
    templates: Sequence[TemplateSettings]
    journal: Path

    def look(self, cursor: Cursor, *, now: datetime) -> tuple[Cursor, list[Done]]:
        """Deal with what ended since the cursor.

        Returns:
            The new cursor, and what was done.

        Raises:
            sqlite3.Error: the store cannot be written; nothing is lost, look again.
        """
        done: list[Done] = []
        waiting = []
        for run_id in cursor.waiting:
            found = self.failed(run_id, now=now)
            if found is None:
                waiting.append(run_id)
            done += found or []
        for change in changes_since(self.instance, cursor, now=now):
            found = self._ended(change, now=now)
            if found is None:
                waiting.append(change.run_id)
            done += found or []
            cursor = cursor.after(change)
        return Cursor(cursor.seen, tuple(waiting)), done

    def _ended(self, change: Change, *, now: datetime) -> list[Done] | None:
        if change.kind == "failure":
            return self.failed(change.run_id, now=now)
        run = self.instance.get_run_by_id(change.run_id)
        if run is None:
            return []  # deleted meanwhile
        at = datetime.fromtimestamp(change.at, UTC)
        if change.kind == "canceled":
            return _news(self.note_failure(run, at=at), run)
        return self.note_success(run, at=at)

    def failed(self, run_id: str, *, now: datetime) -> list[Done] | None:
        """Deal with a failed run.

        Returns:
            What was done; None while an automatic retry may come, which tells if it fails too.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        record = self.instance.get_run_record_by_id(run_id)
        if record is None or record.dagster_run.tags.get(RETRIED_BY_TAG):
            return []
        run = record.dagster_run
        at = datetime.fromtimestamp(record.end_time or now.timestamp(), UTC)
        if now - at < PATIENCE and self._may_be_retried(run):
            return None
        return _news(self.note_failure(run, at=at), run)

    def note_success(self, run: dg.DagsterRun, *, at: datetime) -> list[Done]:
        """Close what a run that succeeded resolved, and note what it warns of.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        try:
            facts = facts_of(self.instance, run, self.templates)
            ours = facts.touched(self.templates)
            found = [(t, warnings_of(facts, t, at=at)) for t in ours]
        except PipelineError as error:
            return _news([self.store.record(self._unread(run, error, at))], run)
        return [
            done for t, warnings in found for done in settle(self.store, facts, t, warnings, at=at)
        ]

    def _may_be_retried(self, run: dg.DagsterRun) -> bool:
        """The tag is set just after the failure; the daemon retries only what it can launch."""
        if not self.instance.run_retries_enabled or run.remote_job_origin is None:
            return False
        return run.tags.get(WILL_RETRY_TAG, "true") == "true"

    def note_failure(self, run: dg.DagsterRun, *, at: datetime) -> list[RecordResult]:
        """Put a run that failed or was terminated into the store, and say so in its log.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        every = []
        for found in self._diagnosed(run, at):
            noted = self.store.record(found)
            every.append(noted)
            if not noted.known:
                self.instance.report_engine_event(
                    f"Workflow {noted.words()}: {found.action}. See `braze-pipeline actions`.", run
                )
        return every

    def _diagnosed(self, run: dg.DagsterRun, at: datetime) -> list[Incident]:
        try:
            facts = facts_of(self.instance, run, self.templates)
            touched = facts.touched(self.templates)
            found = [
                diagnose(facts, t, instance=self.instance, journal=self.journal, at=at)
                for t in touched
            ]
        except Exception as error:  # noqa: BLE001 - a failure must be told, however odd its events
            return [self._unread(run, error, at)]
        return [one for one in found if one is not None]

    def _unread(self, run: dg.DagsterRun, error: Exception, at: datetime) -> Incident:
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


def _news(noted: Sequence[RecordResult], run: dg.DagsterRun) -> list[Done]:
    """What was noted and was not known before: the other sensor may have come first."""
    return [Done(words=one.words(), run_id=run.run_id) for one in noted if not one.known]
