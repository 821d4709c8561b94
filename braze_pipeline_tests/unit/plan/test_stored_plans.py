"""A stored plan can be read by other versions, and from another place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest

from braze_pipeline.errors import NewerVersion, PlanOutdated
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.build import plan_user
from braze_pipeline.plan.preflight import Preflight
from braze_pipeline.plan.rows import plan_preview
from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline.settings import TemplateSettings, ValueType
from braze_pipeline.storage.partitions import replace_partition
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.ledger_world import World, attribute, day, template

Make = Callable[[TemplateSettings], World]

T = template(attribute("S"), attribute("Paid", ValueType.FLOAT), attribute("email", is_field=True))


@pytest.fixture
def w(world: Make) -> World:
    made = world(T)
    made.profiles(day(1), {"a": {"S": "x", "Paid": 1.5}, "b": {"S": "Äpfel"}})
    made.run(day(1))
    made.profiles(day(2), {"a": {"S": "y", "Paid": 1.5}, "b": {"S": "Äpfel"}})
    return made


def rewrite(w: World, plan: PlanSummary, **more: object) -> dict[str, object]:
    """Store a plan's JSON with other fields; None takes one away."""
    row = w.con.execute(
        "SELECT summary FROM records.plans WHERE plan_id = ?", [plan.plan_id]
    ).fetchone()
    assert row is not None
    raw: dict[str, object] = json.loads(row[0]) | more
    kept = {name: value for name, value in raw.items() if value is not None}
    w.con.execute(
        "UPDATE records.plans SET summary = ? WHERE plan_id = ?",
        [json.dumps(kept), plan.plan_id],
    )
    return raw


def test_a_plan_is_the_same_when_it_is_loaded(w: World) -> None:
    plan = w.plan(day(2), force_stale="because")
    assert plan.planned_users == 1
    assert stored_plans.load(w.con, plan.plan_id) == plan


def test_a_plan_of_an_older_version_has_the_defaults_of_fields_that_came_later(w: World) -> None:
    plan = w.plan(day(2))
    rewrite(w, plan, version=None, force_stale=None, snapshot="/somewhere/else.parquet")
    assert stored_plans.load(w.con, plan.plan_id) == replace(plan, version=1)


def test_a_plan_stored_before_findings_were_called_blocked_can_be_read(w: World) -> None:
    """What Braze would drop stays blocked, even if Braze cannot be asked again."""
    plan = w.plan(day(2))
    old = Path(__file__).parents[2] / "old" / "plan_version_1.json"
    w.con.execute(
        "UPDATE records.plans SET summary = ? WHERE plan_id = ?", [old.read_text(), plan.plan_id]
    )
    found = stored_plans.load(w.con, plan.plan_id).preflight.findings
    assert [(one.name, one.blocked) for one in found] == [
        ("L12M Monetary", False), ("L12M Frequency", True)
    ]  # fmt: skip


def test_a_field_that_only_a_later_version_knows_is_no_obstacle(w: World) -> None:
    plan = w.plan(day(2))
    rewrite(w, plan, something_new={"a": [1]})
    assert stored_plans.load(w.con, plan.plan_id) == plan


def test_a_plan_that_this_version_cannot_understand_is_refused_by_name(w: World) -> None:
    plan = w.plan(day(2))
    rewrite(w, plan, version=stored_plans.VERSION + 1)
    with pytest.raises(NewerVersion, match=plan.plan_id):
        stored_plans.load(w.con, plan.plan_id)


def test_every_field_is_stored_but_the_status_which_changes(w: World) -> None:
    plan = w.plan(day(2))
    stored = set(rewrite(w, plan))
    assert stored == {one.name for one in fields(plan)} - {"status"} | {"version"}


def test_a_database_that_was_moved_finds_its_snapshots(w: World, tmp_path: Path) -> None:
    plan = w.plan(day(2))
    w.close()
    moved = Warehouse(tmp_path / "moved" / "w.duckdb")
    moved.path.parent.mkdir()
    for path in (w.warehouse.path, w.warehouse.snapshots, w.warehouse.journal_path):
        shutil.move(path, moved.path.parent)
    with moved.connect() as con:
        stored_plans.check_sendable(con, moved, T, plan.plan_id)
        assert [row.new for row in plan_preview(con, moved, plan)] == ['"y"']


def test_after_the_clock_is_set_back_the_plan_made_last_is_the_newest(w: World) -> None:
    """A send that is resumed carries out the plan that failed, not one that was sent before it."""
    plan = w.plan(day(2))
    w.send(plan)
    w.apply_acknowledgements()
    w.profiles(day(2), {"a": {"S": "z", "Paid": 1.5}, "b": {"S": "Äpfel"}})
    w.now -= timedelta(hours=1)
    late = w.plan(day(2))
    for found in (stored_plans.latest(w.con, T), stored_plans.latest(w.con, T, [day(2)])):
        assert found is not None
        assert found.plan_id == late.plan_id
    w.send(late)
    w.apply_acknowledgements()
    last = stored_plans.last_sent(w.con, late.ledger, T.name)
    assert last is not None
    assert last.plan_id == late.plan_id


def test_a_trial_of_one_user_is_not_the_newest_plan_nor_what_the_next_is_compared_with(
    w: World,
) -> None:
    sent = stored_plans.latest(w.con, T)
    ready = w.plan(day(2))
    made = plan_user(
        w.con, w.warehouse, T, day(2), "a", run_id="try", now=w.now, preflight=Preflight()
    )
    trial = replace(made, partial=True)
    stored_plans.store(w.con, trial, template_no=1)
    w.con.execute("UPDATE records.plans SET status = 'sent' WHERE plan_id = ?", [trial.plan_id])
    assert stored_plans.latest(w.con, T) == ready
    assert stored_plans.last_sent(w.con, ready.ledger, T.name) == sent


def test_a_clock_that_is_set_back_removes_no_snapshot_that_is_about_to_be_sent(w: World) -> None:
    for _ in range(4):
        w.plan(day(2))
    w.now -= timedelta(days=1)
    late = w.plan(day(2))
    assert w.warehouse.snapshot(late.plan_id).exists()


def test_a_plan_is_outdated_by_a_rebuild_of_its_day_even_if_another_day_changes_the_columns(
    w: World,
) -> None:
    def build(number: int, column: str) -> None:
        query = f"SELECT 'a' AS customer_id, 'raw of a' AS note, 1 AS {column}"
        replace_partition(w.con, T, "customer_attributes", day(number), query)

    build(2, "x")
    plan = w.plan(day(2))
    build(3, "y")
    stored_plans.check_sendable(w.con, w.warehouse, T, plan.plan_id)  # day 2 is as it was

    build(2, "y")
    build(3, "z")
    with pytest.raises(PlanOutdated, match="its days were built again"):
        stored_plans.check_sendable(w.con, w.warehouse, T, plan.plan_id)
