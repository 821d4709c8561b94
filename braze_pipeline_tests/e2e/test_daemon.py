"""The pipeline under the real daemon and webserver: schedule, queue, failure, rerun, backfill.

One ``dagster dev`` serves the whole module, because it is slow to start; the tests build on each
other in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus

from braze_pipeline.alerts import Action, ActionStore
from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.e2e.daemon import Dagster, dagster_dev, wait_for
from braze_pipeline_tests.receivers import (
    HttpReceiver,
    MailReceiver,
    http_receiver,
    mail_receiver,
)
from braze_pipeline_tests.small_brand import SmallBrand, small_brand

pytestmark = pytest.mark.e2e

ASSETS = (
    "customer_attributes", "braze_audience", "braze_profiles", "braze_plan", "braze_send",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Everything that runs."""

    brand: SmallBrand
    sandbox: Sandbox
    dagster: Dagster
    http: HttpReceiver
    smtp: MailReceiver

    def orders(self, user: str = "c7") -> object:
        """What Braze has."""
        profile = self.sandbox.profile(user)
        return profile and profile.get("Lifetime Orders")

    def actions(self) -> list[Action]:
        store = ActionStore(self.brand.folder / "warehouse.actions.sqlite")
        return [*store.open_actions(), *store.closed_actions(limit=9)]

    def open_action(self) -> Action | None:
        found = ActionStore(self.brand.folder / "warehouse.actions.sqlite").open_actions()
        return found[0] if found else None

    def resolve(self, number: int) -> str:
        """Run ``braze-pipeline actions resolve`` through the running UI; returns its output."""
        resolve = ("actions", "resolve", str(number))
        ui = {"BRAZE_PIPELINE_UI_URL": self.dagster.url}
        done = self.brand.call(self.sandbox, *resolve, environ=ui)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def events(self) -> list[str]:
        return [body["event"] for body in self.http.bodies("/hook")]

    def notifications(self) -> tuple[int, int, int]:
        """How many notifications arrived by webhook, Slack and e-mail."""
        return len(self.events()), len(self.http.bodies("/slack")), len(self.smtp.mails)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    # Late enough for everything to have started, rounded to a minute.
    at = (datetime.now(UTC) + timedelta(seconds=110)).strftime("%H:%M")
    brand = small_brand(tmp_path_factory.mktemp("e2e") / "brand", schedule=f'{{at: "{at}"}}')
    with (
        Sandbox(assume_all=True) as sandbox,
        http_receiver() as http,
        mail_receiver() as smtp,
        dagster_dev(
            brand.folder,
            {
                **brand.environ(sandbox.endpoint, sandbox.api_key),
                "BRAZE_PIPELINE_WEBHOOK": f"{http.url}/hook",
                "BRAZE_PIPELINE_SLACK_WEBHOOK": f"{http.url}/slack",
                "BRAZE_PIPELINE_SMTP_HOST": "127.0.0.1",
                "BRAZE_PIPELINE_SMTP_PORT": str(smtp.port),
                "BRAZE_PIPELINE_SMTP_SECURITY": "none",
                "BRAZE_PIPELINE_SMTP_TO": "oncall@example.com",
            },
        ) as dagster,
    ):
        yield Place(brand, sandbox, dagster, http, smtp)


def test_five_runs_at_once_queue_and_succeed_and_the_schedule_ticks_and_sends(
    place: Place,
) -> None:
    days = [place.brand.day(days_ago) for days_ago in range(6, 1, -1)]
    runs = [place.dagster.launch("braze_daily", day=day) for day in days]

    scheduled = wait_for(lambda: _scheduled(place), "the schedule's run")
    assert scheduled.tags["dagster/partition"] == place.brand.day(0)
    for run in (*runs, scheduled.run_id):
        ended = place.dagster.ended(run)
        assert ended.is_success, place.dagster.log.read_text(errors="replace")[-5000:]
    assert place.orders() == place.brand.orders_by(place.brand.day(0))
    assert place.actions() == []
    wait_for(lambda: _freshness(place) is FreshnessState.PASS, "the daemon's freshness state")


def _freshness(place: Place) -> FreshnessState | None:
    send = dg.AssetKey("braze_send")
    found = place.dagster.instance.get_freshness_state_records([send]).get(send)
    return found.freshness_state if found else None


def _scheduled(place: Place) -> dg.DagsterRun | None:
    runs = place.dagster.instance.get_runs()
    return next((run for run in runs if "dagster/schedule_name" in run.tags), None)


def test_a_failing_run_is_retried_once_then_reported_once_and_resolving_it_resumes_where_it_stopped(
    place: Place,
) -> None:
    place.brand.buy_again(hour=20)
    place.sandbox.stop()
    failed = place.dagster.launch("__ASSET_JOB", day=place.brand.day(0), assets=ASSETS)
    assert place.dagster.ended(failed).status is dg.DagsterRunStatus.FAILURE

    # An unavailable Braze may recover: the daemon retries once, and only then notifies.
    retry = wait_for(lambda: _child_of(place, failed), "the automatic retry")
    assert place.dagster.ended(retry).status is dg.DagsterRunStatus.FAILURE
    wait_for(lambda: place.notifications() == (1, 1, 1), "the notifications")

    place.sandbox.start()
    (action,) = place.actions()
    assert place.resolve(action.number).startswith(f"The retry of run {retry[:8]} is queued")
    again = _child_of(place, retry)
    assert again is not None
    assert _steps_of(place, again) == {"braze_send"}
    assert place.orders() == place.brand.orders_by(place.brand.day(0)) + 1

    wait_for(lambda: min(place.notifications()) > 1, "the notifications of the recovery")
    (action,) = place.actions()
    assert (action.action, action.count, action.run_id) == ("braze_unavailable", 1, retry)
    assert action.resolved_at is not None
    assert place.events() == ["action.opened", "action.recovered"]
    assert place.notifications() == (2, 2, 2)
    # Both sensors looked at the run. A tick that acted on it must not be recorded as skipped.
    for sensor in ("braze_run_failure", "braze_workflow_actions"):
        ticks = _ticks(place, sensor)
        assert ticks
        assert TickStatus.FAILURE not in {tick.status for tick in ticks}
    acted = [tick for tick in ticks if retry in (tick.origin_run_ids or ())]
    assert {tick.status for tick in acted} == {TickStatus.SUCCESS}


def _ticks(place: Place, sensor: str) -> list[InstigatorTick]:
    (state,) = (one for one in place.dagster.instance.all_instigator_state() if one.name == sensor)
    return list(
        place.dagster.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=500)
    )


def test_a_query_without_the_identifier_opens_the_same_action_from_the_ui(place: Place) -> None:
    sql = place.brand.folder / "customer_attributes.sql"
    good = sql.read_text()
    sql.write_text(good.replace("    c.customer_id,\n", "    c.customer_id AS customer,\n"))
    failed = place.dagster.launch("__ASSET_JOB", day=place.brand.day(0), assets=ASSETS)
    assert place.dagster.ended(failed).status is dg.DagsterRunStatus.FAILURE
    action = wait_for(place.open_action, "the action")
    assert action.action == "missing_required_field_orchestration"
    sql.write_text(good)
    assert f"action {action.number} is resolved" in place.resolve(action.number)


def test_a_run_stopped_by_its_data_is_repeated_in_full_once_the_data_is_fixed(
    place: Place,
) -> None:
    consents = place.brand.folder / "sources" / "consents.csv"
    good = consents.read_text()
    consents.write_text(good.replace(",true,", ",false,"))
    stopped = place.dagster.launch("__ASSET_JOB", day=place.brand.day(0), assets=ASSETS)
    assert place.dagster.ended(stopped).status is dg.DagsterRunStatus.FAILURE
    action = wait_for(place.open_action, "the action")
    assert action.action == "audience_empty"

    consents.write_text(good)
    place.brand.buy_again(hour=22)
    assert f"action {action.number} is resolved" in place.resolve(action.number)
    # This failure does not go away by itself, so there was no automatic retry.
    (again,) = _children_of(place, stopped)
    assert _steps_of(place, again) == set(ASSETS)
    assert place.orders() == place.brand.orders_by(place.brand.day(0)) + 2


def _steps_of(place: Place, run_id: str) -> set[str | None]:
    logs = place.dagster.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
    return {entry.step_key for entry in logs}


def _child_of(place: Place, run_id: str) -> str | None:
    return next(iter(_children_of(place, run_id)), None)


def _children_of(place: Place, run_id: str) -> list[str]:
    runs = place.dagster.instance.get_runs()
    return [run.run_id for run in runs if run.parent_run_id == run_id]


def test_a_backfill_of_thirty_days_is_one_run_and_leaves_the_newest_state(place: Place) -> None:
    place.brand.buy_again(hour=21)
    days = [place.brand.day(days_ago) for days_ago in range(29, -1, -1)]
    backfill = place.dagster.backfill(days, ASSETS)
    (run,) = wait_for(lambda: _of_backfill(place, backfill), "the backfill's run")

    assert place.dagster.ended(run).is_success
    assert _of_backfill(place, backfill) == [run]
    assert place.orders() == place.brand.orders_by(place.brand.day(0)) + 3


def _of_backfill(place: Place, backfill: str) -> list[str]:
    runs = place.dagster.instance.get_runs()
    return [run.run_id for run in runs if run.tags.get("dagster/backfill") == backfill]
