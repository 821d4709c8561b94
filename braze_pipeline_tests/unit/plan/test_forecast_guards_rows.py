"""What a plan costs, when guards stop it, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from braze_pipeline.braze.data_points import data_points
from braze_pipeline.errors import GuardStopped, NotBuilt, UsageError
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.rows import export_plan, plan_preview, rows_sql
from braze_pipeline.settings import Guards, Pricing, RateLimit, TemplateSettings, ValueType, replace
from braze_pipeline_tests.ledger_world import (
    World,
    attribute,
    damage,
    day,
    smaller_requests,
    template,
)

Make = Callable[..., World]
T = template(
    attribute("email", is_field=True),
    attribute("twitter", ValueType.OBJECT, is_field=True),
    attribute("current_location", ValueType.OBJECT, is_field=True),
    attribute("Likes", ValueType.ARRAY),
    attribute("Plan", ValueType.OBJECT),
    attribute("Items", ValueType.OBJECTS),
)
ROW = {
    "email": "ana@example.com",
    "twitter": '{"followers_count":3,"id":1,"screen_name":"x"}',
    "current_location": '{"latitude":1.0,"longitude":2.0}',
    "Likes": ["a", "b", "c"],
    "Plan": '{"a":1,"b":{"c":1,"d":2}}',
    "Items": '[{"a":1,"b":2},{"a":3}]',
}


def test_data_points_follow_brazes_rules_by_attribute(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": ROW, "b": {"Plan": "{}", "Items": "[]"}})
    plan = w.run(day(1))
    found = {cost.name: cost.data_points for cost in plan.by_attribute}
    assert found == {
        "email": 1, "twitter": 2, "current_location": 1, "Likes": 1, "Plan": 3, "Items": 3,
    }  # fmt: skip
    assert plan.data_points == sum(found.values())
    assert plan.forecast.full_data_points == plan.data_points
    w.profiles(day(2), {"a": {"email": "ana@example.com"}, "b": {"Plan": "{}", "Items": "[]"}})
    plan = w.plan(day(2))
    assert plan.data_points == 6
    assert {c.name: c.nulls for c in plan.by_attribute if c.nulls} == dict.fromkeys(
        ["twitter", "current_location", "Likes", "Plan", "Items"], 1
    )


@pytest.mark.parametrize("name", list(ROW))
def test_the_rules_in_sql_are_those_in_python(world: Make, name: str) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {name: ROW[name]}})
    plan = w.plan(day(1))
    value = ROW[name] if str(ROW[name])[0] in "{[" and isinstance(ROW[name], str) else '"x"'
    is_field = next(a.is_field for a in T.attributes if a.name == name)
    assert plan.data_points == data_points(name, json.loads(str(value)), is_field=is_field)


def test_the_forecast_has_time_money_and_the_share_of_the_hour(world: Make) -> None:
    t = smaller_requests(template(attribute("Tier")), 1)
    d = replace(
        t.destination,
        rate_limit=RateLimit(requests=2, seconds=3.0, requests_per_hour=4),
        pricing=Pricing(price_per_1000=5.0, currency="EUR"),
    )
    w = world(replace(t, destination=d))
    w.profiles(day(1), {f"u{n}": {"Tier": "x"} for n in range(10)})
    f = w.run(day(1)).forecast
    assert (f.users, f.attributes, f.requests, f.money, f.currency) == (10, 10, 10, 0.05, "EUR")
    # Four at once, and again after each of two hours; the last two take three seconds.
    assert f.minutes == pytest.approx(120 + 3 / 60, rel=0.001)
    assert f.hourly_share == pytest.approx(2.5)
    w.profiles(day(2), {f"u{n}": {"Tier": "y" if n < 2 else "x"} for n in range(10)})
    f = w.plan(day(2)).forecast
    assert (f.requests, f.full_requests, f.full_users, f.full_attributes) == (2, 10, 10, 10)
    assert (f.history.runs, f.history.users, f.history.requests) == (1, 10.0, 10.0)


def guarded(**more: object) -> TemplateSettings:
    t = template(attribute("Tier"), attribute("Spend", ValueType.FLOAT))
    return replace(t, guards=Guards(min_users=10, **more))  # type: ignore[arg-type]


def crowd(count: int, tier: str | None = "x") -> dict[str, dict[str, object]]:
    return {f"u{n}": {"Tier": tier, "Spend": 1.0} for n in range(count)}


def stopped(world: World) -> set[str]:
    plan = stored_plans.latest(world.con, world.t)
    assert plan is not None
    return {guard.name for guard in plan.stopped_by}


def test_a_first_send_passes_and_says_that_everything_is_new(world: Make) -> None:
    w = world(guarded(max_new_attributes=0))
    w.profiles(day(1), crowd(20))
    plan = w.run(day(1))
    assert (plan.status, plan.first_send, plan.new_attributes) == ("ready", True, ("Tier", "Spend"))


@pytest.mark.parametrize(
    ("limits", "rows", "rejected", "guard"),
    [
        ({}, crowd(9), 0, "audience_size"),
        ({}, crowd(41), 0, "audience_size"),
        ({"max_changed_share": 0.5}, crowd(20, "other"), 0, "changed_share"),
        ({"max_changed_share": None}, crowd(20, None), 0, "null_share"),
        ({}, crowd(17), 3, "rejected_share"),
        ({"max_data_points": 19, "max_changed_share": None}, crowd(20, "y"), 0, "data_points"),
        ({"max_requests": 0, "max_changed_share": None}, crowd(20, "y"), 0, "requests"),
    ],
)
def test_each_guard_stops_a_plan_and_gives_the_reason(
    world: Make, limits: dict[str, object], rows: dict[str, object], rejected: int, guard: str
) -> None:
    w = world(guarded())
    w.profiles(day(1), crowd(20))
    w.run(day(1))
    w.t = guarded(**limits)
    w.profiles(day(2), rows, rejected=[f"r{n}" for n in range(rejected)])  # type: ignore[arg-type]
    plan = w.plan(day(2))
    assert plan.status == "held"
    assert stopped(w) == {guard}
    with pytest.raises(GuardStopped, match=f"--let-through {guard}"):
        stored_plans.check_sendable(w.con, w.warehouse, w.t, plan.plan_id)


def test_what_is_exactly_at_a_limit_passes(world: Make) -> None:
    w = world(guarded())
    w.profiles(day(1), crowd(20))
    w.run(day(1))
    half = crowd(20) | crowd(10, "other")
    for limits, rows, rejected in (
        ({}, crowd(10) | crowd(1, "y"), 0),
        ({}, crowd(40), 0),
        ({"max_changed_share": 0.5}, half, 0),
        ({}, crowd(20) | crowd(6, None), 0),  # 30 points more nulls
        ({}, crowd(18) | crowd(1, "y"), 2),
        ({"max_data_points": 10, "max_requests": 1}, half, 0),
    ):
        w.t = guarded(**limits)
        w.profiles(day(2), rows, rejected=[f"r{n}" for n in range(rejected)])
        plan = w.plan(day(2))
        assert plan.planned_users
        assert stopped(w) == set()


def test_shares_are_evaluated_from_the_smallest_number_of_users_on(world: Make) -> None:
    w = world(guarded())
    w.profiles(day(1), crowd(10))
    w.run(day(1))
    for rows, guard in ((crowd(4), "audience_size"), (crowd(10, "y"), "changed_share")):
        w.profiles(day(2), rows)
        w.plan(day(2))
        assert stopped(w) == {guard}


def test_too_many_new_attributes_at_once_are_stopped(world: Make) -> None:
    w = world(guarded())
    w.profiles(day(1), crowd(20))
    w.run(day(1))
    more = [attribute(f"New {n}") for n in range(3)]
    w.t = replace(guarded(max_new_attributes=2), attributes=(*w.t.attributes, *more))
    rows = {user: {**row, "New 0": "a", "New 1": "b"} for user, row in crowd(20).items()}
    w.profiles(day(2), rows)
    assert w.plan(day(2)).status == "ready"
    w.profiles(day(2), {user: {**row, "New 2": "c"} for user, row in rows.items()})
    w.plan(day(2))
    assert stopped(w) == {"new_attributes"}


def test_guards_say_what_they_found_in_words(world: Make) -> None:
    w = world(guarded())
    w.profiles(day(1), crowd(20))
    w.run(day(1))
    w.profiles(day(2), crowd(17, "y"), rejected=["r1", "r2", "r3"])
    saw = {guard.name: guard.saw for guard in w.plan(day(2)).guards}
    assert saw["audience_size"] == "20 customers; the last run had 20"
    assert saw["changed_share"] == "17 of the 17 users that were sent before would change (100%)"
    assert saw["rejected_share"] == "3 of the 20 customers in the audience were rejected (15%)"


def test_small_numbers_are_not_evaluated(world: Make) -> None:
    w = world(guarded())
    w.profiles(day(1), crowd(9))
    w.run(day(1))
    for rows in (crowd(1, "y"), crowd(9, None)):
        w.profiles(day(2), rows)
        assert w.plan(day(2)).status == "ready"


def test_a_stopped_plan_can_be_let_through_once_on_record(world: Make) -> None:
    w = world(guarded())
    w.profiles(day(1), crowd(20))
    w.run(day(1))
    w.profiles(day(2), crowd(4, "y"))
    assert w.plan(day(2)).status == "held"
    plan = w.plan(day(2), let_through=["audience_size", "null_share"], reason="sale ended")
    assert plan.status == "ready"
    stored_plans.check_sendable(w.con, w.warehouse, w.t, plan.plan_id)
    assert w.con.execute(
        "SELECT guard, reason, count(*) FROM records.guards_let_through GROUP BY ALL"
    ).fetchall() == [("audience_size", "sale ended", 1)]
    assert w.plan(day(2)).status == "held"


def test_a_stopped_plan_advances_no_watermark_even_with_nothing_to_send(world: Make) -> None:
    w = world(guarded())
    w.profiles(day(1), crowd(20))
    w.run(day(1))
    w.profiles(day(2), {})
    assert w.plan(day(2)).status == "held"
    w.profiles(day(1), crowd(20, "z"))
    assert w.plan(day(1), let_through=["changed_share"], reason="x").planned_users == 20


def test_the_plan_is_rows_with_old_new_and_reason(world: Make, tmp_path: Path) -> None:
    t = template(
        attribute("email", is_field=True), attribute("Tier", on_leave="clear"), attribute("N")
    )
    w = world(t, "a b c d")
    w.profiles(day(1), {"a": {"email": "ana@example.com", "N": "1"}, "b": {"Tier": "x"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"email": "bea@example.com"}, "c": {"Tier": "é"}})
    plan = w.plan(day(2))
    out = tmp_path / "new" / "plan.parquet"
    assert export_plan(w.con, w.warehouse, plan, out) == 4
    found = pq.read_table(out).drop_columns(["request", "as_of", "type"]).to_pylist()
    assert sorted(tuple(row.values()) for row in found) == sorted(
        [
            ("a", "email", '"ana@example.com"', '"bea@example.com"', "changed"),
            ("a", "N", '"1"', None, "cleared"),
            ("b", "Tier", '"x"', None, "left audience"),
            ("c", "Tier", None, '"é"', "new user"),
        ]
    )
    shown = plan_preview(w.con, w.warehouse, plan)
    assert len(shown) == 4
    assert "ana@" not in str(shown)
    assert "xxx@xxxxxxx.xxx" in str(shown)
    whole = out.read_bytes()
    snapshot = w.warehouse.snapshot(plan.plan_id)
    for part in ("pages", "footer"):
        damage(snapshot, part)
        with pytest.raises(NotBuilt, match=rf"{snapshot.name} is damaged"):
            plan_preview(w.con, w.warehouse, plan)
        with pytest.raises(NotBuilt, match=rf"{snapshot.name} is damaged"):
            export_plan(w.con, w.warehouse, plan, out)
    assert out.read_bytes() == whole, "an earlier file stays as it was"
    snapshot.unlink()
    with pytest.raises(NotBuilt):
        rows_sql(w.warehouse, plan)


@pytest.mark.parametrize("place", ["folder", "notes.txt", "notes.txt/plan.parquet"])
def test_a_plan_is_written_to_a_parquet_file_of_its_own_or_the_error_names_it(
    world: Make, tmp_path: Path, place: str
) -> None:
    w = world(template(attribute("N")), "a")
    w.profiles(day(1), {"a": {"N": "1"}})
    plan = w.plan(day(1))
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=place):
        export_plan(w.con, w.warehouse, plan, tmp_path / place)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not list(tmp_path.glob("*.draft"))


def test_a_plan_is_loaded_as_it_was_made(world: Make) -> None:
    w = world(T)
    w.profiles(day(1), {"a": ROW})
    plan = w.plan(day(1))
    assert stored_plans.load(w.con, plan.plan_id) == plan
    assert stored_plans.latest(w.con, T, [day(1)]) == plan
    assert stored_plans.latest(w.con, T, [day(2)]) is None
