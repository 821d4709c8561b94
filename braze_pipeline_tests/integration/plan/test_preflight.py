"""Names and types are compared with a real server before a plan is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from braze_pipeline.ledger.known_users import record_look_up
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.ledger.reset import reset_attributes
from braze_pipeline.plan import preflight, stored_plans
from braze_pipeline.plan.bulk_access import bulk_permitted
from braze_pipeline.plan.preflight import Preflight
from braze_pipeline.sandbox import DataType, FaultKind, Sandbox
from braze_pipeline.settings import (
    DestinationSettings,
    KnownUsers,
    RateLimit,
    TemplateSettings,
    ValueType,
    replace,
)
from braze_pipeline_tests.ledger_world import NO_GUARDS, World, attribute, day, template

FULL, BARE = "a-key-that-may-list-8801", "a-key-that-may-track-8802"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    keys = {FULL: {"users.track", "custom_attributes.get"}, BARE: {"users.track"}}
    with Sandbox(api_key=keys, users=["a"]) as running:
        for number in range(120):  # more than two pages
            running.define_attribute(f"A {number:03}", DataType.STRING)
        running.define_attribute("Tier", DataType.NUMBER)
        running.define_attribute("Barred", DataType.STRING, blocklisted=True)
        running.define_attribute("lifetime value", DataType.NUMBER)
        running.define_attribute("Visits", DataType.NUMBER)
        yield running


def brand(sandbox: Sandbox, **settings: object) -> TemplateSettings:
    destination = DestinationSettings(name="braze", endpoint=sandbox.endpoint, **settings)  # type: ignore[arg-type]
    return template(
        attribute("email", is_field=True),
        attribute("Tier"),
        attribute("Barred"),
        attribute("Lifetime Value", ValueType.FLOAT),
        attribute("Visits", ValueType.INTEGER),
        attribute("Fresh"),
        destination=destination,
    )


ROW = {
    "email": "a@example.com", "Tier": "gold", "Barred": "x", "Lifetime Value": 2.5, "Visits": 3,
    "Fresh": "y",
}  # fmt: skip


def asked(
    t: TemplateSettings, key: str = FULL, last: Preflight | None = None, now: datetime = NOW
) -> Preflight:
    return preflight.ask(t, environ={"BRAZE_API_KEY": key}, now=now, last=last)


def test_what_braze_would_lose_is_blocked_and_the_rest_is_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    t = brand(sandbox)
    world = World(tmp_path, t)
    world.profiles(day(1), {"a": ROW})
    plan = world.run(day(1), preflight=asked(t))
    assert plan.stopped_attributes == (
        "Tier (has another type in Braze)",
        "Barred (on Braze's blocklist)",
        "Lifetime Value (spelled differently in Braze)",
    )
    assert world.sent(plan) == {"a": {"email": "a@example.com", "Visits": 3, "Fresh": "y"}}
    assert plan.new_attributes == ("Fresh",)  # Braze creates no profile field
    assert world.con.execute(
        "SELECT attribute, reason, stage FROM records.rejections ORDER BY attribute"
    ).fetchall() == [
        ("Barred", "blocklisted", "plan"),
        ("Lifetime Value", "differs_in_case_only", "plan"),
        ("Tier", "type_differs_in_braze", "plan"),
    ]
    assert stored_plans.load(world.con, plan.plan_id).preflight == plan.preflight
    world.close()


def test_once_fixed_in_braze_it_is_sent_by_the_next_run(sandbox: Sandbox, tmp_path: Path) -> None:
    t = brand(sandbox)
    world = World(tmp_path, t)
    world.profiles(day(1), {"a": ROW})
    world.run(day(1), preflight=asked(t))
    sandbox.define_attribute("Tier", DataType.STRING)
    sandbox.define_attribute("Barred", DataType.STRING, blocklisted=False)
    plan = world.run(day(1), preflight=asked(t))
    assert world.sent(plan) == {"a": {"Tier": "gold", "Barred": "x"}}
    assert plan.stopped_attributes == ("Lifetime Value (spelled differently in Braze)",)
    world.close()


def test_without_the_permission_a_plan_is_made_and_reports_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    t = brand(sandbox)
    found = asked(t, BARE)
    assert found.compared_at is None
    assert "custom_attributes.get" in found.sentence()
    world = World(tmp_path, t)
    world.profiles(day(1), {"a": ROW})
    assert world.run(day(1), preflight=found).stopped_attributes == ()
    world.close()


@pytest.mark.parametrize("key", [BARE, "", "a-key-of-nobody-8803", "not a key"])
def test_what_was_blocked_stays_blocked_while_braze_cannot_be_asked(
    sandbox: Sandbox, key: str
) -> None:
    t = brand(sandbox)
    first = asked(t)
    later = asked(t, key, last=first)
    assert (later.blocked, later.compared_at) == (first.blocked, NOW)
    assert later.sentence().startswith("Not compared now: ")
    assert "8803" not in later.sentence()


def test_while_braze_cannot_be_asked_the_template_of_now_is_compared(sandbox: Sandbox) -> None:
    t = brand(sandbox)
    first = asked(t)
    warns = brand(sandbox, preflight="warn")
    assert asked(warns, "", last=first).blocked == {}
    assert asked(t, "", last=asked(warns)).blocked == first.blocked
    off = asked(brand(sandbox, preflight="off"), last=first)
    assert (off.findings, off.compared_at) == ((), None)
    assert asked(t, "", last=off).blocked == first.blocked
    other = {"Tier": ValueType.INTEGER, "Visits": ValueType.STRING}
    retyped = replace(
        t, attributes=tuple(replace(a, type=other.get(a.name, a.type)) for a in t.attributes)
    )
    assert set(asked(retyped, "", last=first).blocked) == {"Visits", "Barred", "Lifetime Value"}


def test_while_braze_cannot_be_asked_new_names_are_counted_by_the_ledger(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    t = brand(sandbox)
    world = World(tmp_path, t)
    world.profiles(day(1), {"a": ROW})
    world.run(day(1), preflight=asked(t))
    sandbox.define_attribute("Fresh", DataType.STRING)  # as Braze does when it first gets a value
    wider = replace(t, attributes=(*t.attributes, attribute("Newer"), attribute("A 001")))
    world.profiles(day(2), {"a": {**ROW, "Fresh": "z", "Newer": "n", "A 001": "n"}}, t=wider)
    later = asked(wider, "", last=asked(t))
    found = world.plan(day(2), t=wider, preflight=later).new_attributes
    assert sorted(found) == ["A 001", "Newer"]
    assert world.plan(day(2), t=wider, preflight=asked(wider)).new_attributes == ("Newer",)
    world.close()


def test_a_braze_that_fails_is_no_reason_to_fail_the_plan(sandbox: Sandbox) -> None:
    sandbox.script([FaultKind.SERVER_ERROR], path="/custom_attributes")
    found = asked(brand(sandbox))
    assert found.compared_at is None
    assert "not compared with Braze" in found.sentence()


def test_certificates_that_cannot_be_used_are_no_reason_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    t = template(
        destination=DestinationSettings(name="braze", endpoint="https://rest.example.test")
    )
    assert "REQUESTS_CA_BUNDLE cannot be used" in asked(t).note
    said: list[str] = []
    hourly = RateLimit(requests=10, seconds=1.0, requests_per_hour=1000)
    d = DestinationSettings(
        name="braze", endpoint="https://rest.example.test", sends_to="auto", rate_limit=hourly
    )
    assert not bulk_permitted(d, environ={"BRAZE_API_KEY": FULL}, log=said.append)
    assert "REQUESTS_CA_BUNDLE cannot be used" in said[0]


def test_a_key_that_cannot_be_one_is_no_reason_either() -> None:
    t = template()
    found = asked(t, "not a key")
    assert found.compared_at is None
    assert "not valid in an API key" in found.sentence()
    said: list[str] = []
    d = replace(t.destination, sends_to="auto", rate_limit=RateLimit(requests=10, seconds=1.0))
    assert not bulk_permitted(d, environ={"BRAZE_API_KEY": "not a key"}, log=said.append)
    assert "not valid in an API key" in said[0]


def test_warned_only_or_not_asked_at_all(sandbox: Sandbox) -> None:
    warned = asked(brand(sandbox, preflight="warn"))
    assert (len(warned.findings), warned.blocked) == (4, {})
    before = len(sandbox.requests)
    assert asked(brand(sandbox, preflight="off")).findings == ()
    assert len(sandbox.requests) == before


def test_what_was_sent_while_blocklisted_is_sent_again_after_a_reset(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    t = brand(sandbox)
    world = World(tmp_path, t)
    world.profiles(day(1), {"a": ROW})
    world.run(day(1), preflight=asked(t, BARE))  # nobody may ask Braze, which drops the value
    found = asked(t).blocked["Barred"]
    assert "ledger reset --attribute" in found.text
    sandbox.define_attribute("Barred", DataType.STRING, blocklisted=False)
    reset_attributes(ledger_of(world.con, t), t, ["Barred"])
    assert world.sent(world.run(day(1), preflight=asked(t))) == {"a": {"Barred": "x"}}
    world.close()


def without_fresh(
    sandbox: Sandbox, world: World, t: TemplateSettings, *, hours: int, known: Sequence[str] = ()
) -> Preflight:
    """Its value is acknowledged, it is deleted in Braze, and Braze is asked hours later."""
    world.profiles(day(1), {"a": ROW, "b": ROW})
    world.plan(day(1))
    record_look_up(ledger_of(world.con, t), known, set(known), now=world.now)
    world.run(day(1), preflight=asked(t))
    with sandbox.workspace.lock:
        sandbox.workspace.attributes.pop("Fresh", None)
    world.now += timedelta(hours=hours)
    world.profiles(day(2), {"a": {**ROW, "Fresh": "z", "Visits": 4}, "b": ROW})
    return preflight.find_missing(asked(t, now=world.now), ledger_of(world.con, t), t)


def test_an_attribute_that_was_deleted_in_braze_is_blocked_and_not_created_for_a_few_users(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    t = brand(sandbox, known_users=KnownUsers(source="assume"))
    world = World(tmp_path, t)
    found = without_fresh(sandbox, world, t, hours=25)
    assert "1 new" not in found.sentence()
    plan = world.run(day(2), preflight=found)
    assert plan.stopped_attributes[-1] == "Fresh (missing in Braze)"
    assert world.sent(plan) == {"a": {"Visits": 4}}
    reset_attributes(ledger_of(world.con, t), t, ["Fresh"])
    # Also if Braze is not asked again, as by a run that plans again in the send.
    again = preflight.find_missing(found, ledger_of(world.con, t), t)
    after = world.run(day(2), preflight=again)
    assert world.sent(after) == {"a": {"Fresh": "z"}, "b": {"Fresh": "y"}}
    world.close()


@pytest.mark.parametrize(
    ("settings", "hours"),
    [
        ({"known_users": KnownUsers(source="assume")}, 23),  # Braze may not list it yet
        ({"known_users": KnownUsers(source="lookup")}, 25),  # it may not have the users
    ],
)
def test_an_attribute_that_braze_may_not_have_had_yet_is_new(
    sandbox: Sandbox, tmp_path: Path, settings: dict[str, object], hours: int
) -> None:
    t = brand(sandbox, **settings)
    world = World(tmp_path, t)
    found = without_fresh(sandbox, world, t, hours=hours)
    assert found.new == {"Fresh"}
    # Nor what was acknowledged before the user was known: Braze may have ignored it.
    record_look_up(ledger_of(world.con, t), ["a"], {"a"}, now=world.now)
    assert preflight.find_missing(found, ledger_of(world.con, t), t).new == {"Fresh"}
    world.close()


def test_an_attribute_missing_in_braze_is_known_by_the_users_that_braze_had(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    t = brand(sandbox, known_users=KnownUsers(source="lookup"), preflight="warn")
    world = World(tmp_path, t)
    found = without_fresh(sandbox, world, t, hours=25, known=["a"])
    assert "Fresh is missing in Braze" in found.lines()[-1]
    assert found.blocked == {}
    assert found.new == {"Fresh"}  # with a warning only, Braze creates it
    cleared = {"a": {**ROW, "Fresh": None}, "b": {**ROW, "Fresh": None}}
    world.profiles(day(3), cleared)
    world.run(day(3))
    later = preflight.find_missing(asked(t, now=world.now), ledger_of(world.con, t), t)
    assert later.lines() == found.lines()[:-1]  # nobody is left who would have it
    world.close()


def test_what_was_acknowledged_while_all_users_were_assumed_still_counts(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    t = brand(sandbox, known_users=KnownUsers(source="assume"))
    world = World(tmp_path, t)
    found = without_fresh(sandbox, world, t, hours=25)
    looks_up = brand(sandbox, known_users=KnownUsers(source="lookup"))
    ledger = ledger_of(world.con, t)
    assert preflight.find_missing(found, ledger, looks_up).blocked.keys().isdisjoint({"Fresh"})
    record_look_up(ledger, ["a"], {"a"}, now=world.now)
    assert "Fresh" in preflight.find_missing(found, ledger, looks_up).blocked
    world.close()


def test_a_key_of_another_workspace_is_stopped_before_it_sends_what_the_first_one_lacks(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Two workspaces share an endpoint: by the attributes that it had, Braze tells them apart."""
    t = brand(sandbox, known_users=KnownUsers(source="assume"))
    t = replace(t, guards=replace(NO_GUARDS, max_missing_share=0.5))
    world = World(tmp_path, t)
    compared = without_fresh(sandbox, world, t, hours=25)
    one = world.plan(day(2), preflight=compared)
    assert (one.status, one.guards[0].saw) == (
        "ready",
        "1 of the 4 custom attributes that Braze had were missing (25%)",
    )
    with Sandbox(api_key=FULL, users=["a", "b"]) as other:
        swapped = replace(t, destination=replace(t.destination, endpoint=other.endpoint))
        asked_there = asked(swapped, now=world.now)
    compared = preflight.find_missing(asked_there, ledger_of(world.con, t), t)
    plan = world.plan(day(2), preflight=compared)
    assert plan.status == "held"
    assert [guard.name for guard in plan.stopped_by] == ["missing_attributes"]
    world.close()
