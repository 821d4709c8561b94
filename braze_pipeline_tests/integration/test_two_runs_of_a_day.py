"""Two runs of one day take turns with the ledger; each sends and reports its own plan."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from braze_pipeline.alerts.pauses import Pause
from braze_pipeline.errors import AudienceEmpty, InvalidCredentials, NotBuilt
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.operations.report import Report, report
from braze_pipeline.plan.overrides import Overrides
from braze_pipeline.plan.step import plan_days
from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline.sandbox import SANDBOX_API_KEY, DataType, Sandbox
from braze_pipeline.send.step import SendOutcome, send_days
from braze_pipeline.settings import RateLimit, TemplateSettings, replace
from braze_pipeline_tests.ledger_world import World, attribute, day, template

DAYS = [day(1)]
USERS = {f"u{n:03}": {"Tier": "gold"} for n in range(100)}
KEY = {"BRAZE_API_KEY": SANDBOX_API_KEY}


class Runs:
    """The steps of several runs of one day, by the name of the run."""

    def __init__(self, world: World, t: TemplateSettings) -> None:
        self.world, self.t = world, t
        self.logged: list[str] = []

    def plan(self, run: str) -> PlanSummary:
        return plan_days(
            self.world.warehouse, self.t, DAYS, run_id=run, now=datetime(2026, 6, 1),  # noqa: DTZ001
            environ=KEY, overrides=Overrides(), log=self.logged.append,
        )  # fmt: skip

    def send(self, run: str) -> SendOutcome:
        return send_days(
            self.world.warehouse, self.t, DAYS, run_id=run, environ=KEY, log=self.logged.append
        )

    def report(self, run: str) -> Report:
        with self.world.warehouse.connect() as con:
            return report(con, self.t, DAYS, run_id=run)


def figures(found: Report) -> tuple[int, int, int, int]:
    assert found.plan is not None
    return (
        found.plan.planned_users,
        found.plan.unchanged_users,
        found.accepted_users,
        found.not_attempted_users,
    )


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    made = template(attribute("Tier"))
    world = World(tmp_path, made)
    world.profiles(day(1), USERS)
    world.close()
    return Runs(world, made)


@pytest.mark.parametrize("first", ["a", "b"])
def test_each_run_of_a_day_reports_what_it_planned_and_sent_itself(runs: Runs, first: str) -> None:
    second = {"a": "b", "b": "a"}[first]
    with Sandbox(users=list(USERS)) as sandbox:
        runs.t = replace(runs.t, destination=replace(runs.t.destination, endpoint=sandbox.endpoint))
        runs.plan("a")
        runs.plan("b")
        sent = [runs.send(first), runs.send(second)]
        assert {user: sandbox.objects_sent(user) for user in USERS} == dict.fromkeys(USERS, 1)

    assert [outcome.plan.run_id for outcome in sent] == [first, second]
    assert figures(runs.report(first)) == (100, 0, 100, 0)
    assert figures(runs.report(second)) == (0, 100, 0, 0)
    assert all(outcome.account.holds for outcome in sent)


def test_a_run_that_only_sends_carries_out_the_newest_plan_of_its_day(runs: Runs) -> None:
    with Sandbox(users=list(USERS)) as sandbox:
        runs.t = replace(runs.t, destination=replace(runs.t.destination, endpoint=sandbox.endpoint))
        runs.plan("a")
        outcome = runs.send("rerun of a")
    assert outcome.plan.run_id == "a"
    assert figures(runs.report("a")) == (100, 0, 100, 0)


def outdate(runs: Runs) -> None:
    """A command changes the ledger: a run that has planned must plan again."""
    with runs.world.warehouse.connect() as con:
        ledger_of(con, runs.t).record_change("any", None)


def test_a_run_that_plans_again_sends_nothing_that_braze_would_lose(runs: Runs) -> None:
    users = list(USERS)
    with Sandbox(users=users) as sandbox:
        sandbox.define_attribute("Barred", DataType.STRING, blocklisted=True)
        destination = replace(runs.t.destination, endpoint=sandbox.endpoint)
        runs.t = template(attribute("Tier"), attribute("Barred"), destination=destination)
        world = World(runs.world.warehouse.path.parent, runs.t)
        world.profiles(day(1), {user: {"Tier": "gold", "Barred": "x"} for user in users})
        world.close()
        runs.plan("a")
        outdate(runs)
        assert runs.send("a").plan.stopped_attributes == ("Barred (on Braze's blocklist)",)
        assert sandbox.profile(users[0]) == USERS[users[0]]


def test_a_run_that_plans_again_fails_if_another_run_left_its_day_without_profiles(
    runs: Runs,
) -> None:
    runs.plan("a")
    outdate(runs)
    with runs.world.warehouse.connect() as con:
        con.execute(f"DELETE FROM {runs.t.table('profiles')}")
    with pytest.raises(NotBuilt, match="There are no profiles"):
        runs.send("a")


def test_a_send_counts_its_requests_where_all_senders_of_the_company_count(
    runs: Runs, tmp_path: Path
) -> None:
    limits = tmp_path / "company.sqlite"
    with Sandbox(users=list(USERS)) as sandbox:
        limit = RateLimit(requests=3000, seconds=3.0, requests_per_hour=50_000)
        destination = replace(runs.t.destination, endpoint=sandbox.endpoint, rate_limit=limit)
        runs.t = replace(runs.t, destination=destination)
        runs.plan("a")
        send_days(
            runs.world.warehouse, runs.t, DAYS, run_id="a", log=runs.logged.append,
            environ=KEY | {"BRAZE_PIPELINE_LIMITS": str(limits)},
        )  # fmt: skip
    assert limits.exists()


def test_what_ended_a_send_is_reported_although_somebody_paused_the_destination_meanwhile(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = iter([None])
    late = Pause(destination="braze", reason="any", paused_at=datetime(2026, 6, 1))  # noqa: DTZ001
    monkeypatch.setattr("braze_pipeline.send.step.paused", lambda *_: next(pauses, late))
    with Sandbox(users=list(USERS), api_key="another-key-of-nobody") as sandbox:
        runs.t = replace(runs.t, destination=replace(runs.t.destination, endpoint=sandbox.endpoint))
        runs.plan("a")
        outcome = runs.send("a")
    assert type(outcome.error) is InvalidCredentials
    assert outcome.paused is None


def test_a_run_that_plans_again_sends_nothing_if_another_run_found_the_audience_empty(
    runs: Runs,
) -> None:
    with Sandbox(users=list(USERS)) as sandbox:
        destination = replace(runs.t.destination, endpoint=sandbox.endpoint)
        leaves = attribute("Tier", on_leave="clear")
        runs.t = replace(runs.t, destination=destination, attributes=(leaves,))
        runs.plan("before")
        runs.send("before")
        runs.plan("a")
        # Another run builds the day again, from broken sources, and fails; a command changes the
        # ledger. So the plan is out of date, and the run plans again, from the tables of now.
        world = World(runs.world.warehouse.path.parent, runs.t)
        world.profiles(day(1), {}, left_out=USERS)
        world.close()
        with pytest.raises(AudienceEmpty):
            runs.plan("b")
        outdate(runs)

        with pytest.raises(AudienceEmpty):
            runs.send("a")
        assert {user: sandbox.profile(user) for user in USERS} == USERS
