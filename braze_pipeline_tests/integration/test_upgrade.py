"""A database made by version 0.1.0 works with this version (``braze_pipeline_tests/old``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.alerts import ActionStore
from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.audience.build import build_audience
from braze_pipeline.errors import EndpointMismatch
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.rows import plan_preview
from braze_pipeline.profiles import build_profiles
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.settings import TemplateSettings
from braze_pipeline_tests.old_database import MADE, MARCH, OldDatabase, adopted, unpack

KNOWN = {f"c{number}" for number in range(37)}
REFUSED = {"c10", "c11"}


@pytest.fixture
def old(tmp_path: Path) -> OldDatabase:
    return unpack("0.1.0", tmp_path / "brand")


@pytest.fixture
def braze(old: OldDatabase) -> Iterator[Sandbox]:
    """A sandbox with the profiles that 0.1.0 left in Braze."""
    with Sandbox(users=[{"external_id": u, **v} for u, v in old.braze("braze").items()]) as found:
        for user in REFUSED:
            found.refuse(user)
        yield found


def objects(old: OldDatabase, plan_id: str) -> dict[str, Any]:
    """What a plan would send, by user."""
    snapshot = old.warehouse.snapshots / f"{plan_id}.parquet"
    rows = duckdb.sql(f"SELECT __user_id, __object FROM '{snapshot}'").fetchall()
    return {user: json.loads(text) for user, text in rows}


def planned_by_0_1_0(old: OldDatabase) -> dict[str, Any]:
    """What 0.1.0's own plan of 4 March, which was never sent, would send."""
    (file,) = old.warehouse.snapshots.glob("loyal-2026-03-04-*.parquet")
    return objects(old, file.stem)


def profiles(old: OldDatabase, t: TemplateSettings, number: int) -> dict[str, dict[str, Any]]:
    """What Braze should have after a day, by user, without suppressed values."""
    names = [a.name for a in t.attributes]
    with old.warehouse.connect() as con:
        result = con.execute(
            f"SELECT __user_id, __held, * EXCLUDE (__as_of, __user_id, __customer_id, __held) "
            f"FROM {t.table('profiles')} WHERE __as_of = ?",
            [MARCH[number]],
        )
        columns = [column[0] for column in result.description]
        rows = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
    return {
        row["__user_id"]: {
            name: str(row[name]) if name == "Last Order Date" else row[name]
            for name in names
            if name not in row["__held"] and row[name] is not None
        }
        for row in rows
    }


def test_it_plans_what_0_1_0_would_have_planned_and_braze_ends_with_exactly_that(
    old: OldDatabase, braze: Sandbox
) -> None:
    t = old.template("loyal", braze.endpoint)
    wanted = planned_by_0_1_0(old)
    adopted(old, t)
    plan = old.plan(t, 4)
    assert (plan.planned_users, plan.unchanged_users, plan.held_back_users) == (14, 20, 1)
    assert objects(old, plan.plan_id) == wanted
    outcome = old.send(t, 4)
    assert (outcome.account.accepted, outcome.account.rejected) == (13, 1)
    assert outcome.account.holds
    for user, values in profiles(old, t, 4).items():
        if user in KNOWN - REFUSED:
            assert braze.profile(user) == values
    assert {braze.attributes_sent(user) for user in KNOWN - set(wanted)} == {0}
    # Only users who are not confirmed in Braze, and the rejected ones, are still open.
    assert old.plan(t, 4).planned_users == 0


def test_its_last_plan_can_still_be_shown(old: OldDatabase) -> None:
    with old.warehouse.connect() as con:
        plan = stored_plans.latest(con, old.template("loyal"))
        assert plan is not None
        assert (plan.status, plan.planned_attributes) == ("ready", 64)
        assert plan.preflight.sentence().endswith("`preflight: off`.")
        assert len(plan_preview(con, old.warehouse, plan, limit=100)) == 64


def test_an_older_day_still_overwrites_nothing_after_the_upgrade(
    old: OldDatabase, braze: Sandbox
) -> None:
    t = old.template("loyal", braze.endpoint)
    adopted(old, t)
    plan = old.plan(t, 1)
    assert plan.superseded_users == 16
    # Braze has nothing for this user: on 3 March it rejected another object for them.
    assert set(objects(old, plan.plan_id)) == {"c10"}


def test_the_next_day_is_built_planned_and_sent(old: OldDatabase, braze: Sandbox) -> None:
    t = old.template("loyal", braze.endpoint)
    adopted(old, t)
    build_attributes(old.warehouse, t, [MARCH[5]])
    with old.warehouse.connect() as con:
        build_audience(con, t, MARCH[5])
        build_profiles(con, t, MARCH[5], run_id="new", now=MADE)
    plan = old.plan(t, 5)
    last = planned_by_0_1_0(old)
    assert set(objects(old, plan.plan_id)) >= set(last)
    assert plan.forecast.history.runs == 2
    assert plan.forecast.history.max_data_points == 269
    assert old.send(t, 5).account.holds
    for user, values in profiles(old, t, 5).items():
        if user in KNOWN - REFUSED:
            assert braze.profile(user) == values


def test_requests_answered_in_the_journal_of_0_1_0_are_not_sent_again(
    old: OldDatabase,
) -> None:
    users = [{"external_id": u, **v} for u, v in old.braze("kiosk").items()]
    with Sandbox(users=users) as kiosk:
        t = old.template("till", kiosk.endpoint)
        had = {user for user, values in old.braze("kiosk").items() if values}
        adopted(old, t)
        plan = old.plan(t, 1)
        # When the process was killed, Braze had applied one request more than it had answered.
        planned = set(objects(old, plan.plan_id))
        assert len(had) == 18
        assert had & planned == {"c29", "c33", "c34"}
        assert planned == {f"c{n}" for n in range(40)} - {"c9"} - (had - planned)
        assert old.send(t, 1).account.holds
        for user, values in profiles(old, t, 1).items():
            if user in KNOWN:
                assert kiosk.profile(user) == values


def test_a_ledger_without_an_endpoint_must_be_adopted_first(old: OldDatabase) -> None:
    with pytest.raises(EndpointMismatch, match="does not record its endpoint"):
        old.plan(old.template("loyal"), 4)


def test_its_actions_are_still_open(old: OldDatabase) -> None:
    found = ActionStore(old.warehouse.actions_path).open_actions()
    assert [(one.action, one.count) for one in found] == [
        ("source_stale", 2), ("braze_unavailable", 1)
    ]  # fmt: skip
