"""Users that Braze may not have: an acknowledgement alone proves nothing for them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from braze_pipeline.errors import BrazeUnavailable, ConfigurationError
from braze_pipeline.ledger import known_users
from braze_pipeline.settings import KnownUsers, TemplateSettings, replace
from braze_pipeline_tests.ledger_world import World, attribute, day, template

Make = Callable[..., World]


def knowing(source: str, **more: object) -> TemplateSettings:
    t = template(attribute("Tier"), attribute("Plan"))
    known = KnownUsers(source=source, **more)  # type: ignore[arg-type]
    return replace(t, destination=replace(t.destination, known_users=known))


PAIR = {"a": {"Tier": "x", "Plan": "p"}, "ghost": {"Tier": "y", "Plan": "q"}}


def test_unknown_users_are_reported_and_sent_in_full_again_every_few_days(world: Make) -> None:
    w = world(knowing("none"), "a")
    w.profiles(day(1), PAIR)
    plan = w.run(day(1))
    assert (plan.known_users, plan.unknown_users, plan.unconfirmed_users) == (0, 2, 0)
    w.now += timedelta(days=3)
    plan = w.run(day(1))
    assert (plan.planned_users, plan.unknown_users, plan.unconfirmed_users) == (0, 2, 2)
    w.now += timedelta(days=4)
    plan = w.run(day(1))
    assert (plan.planned_users, plan.resent_users, plan.reasons) == (2, 2, {"resend": 2})
    assert w.sent(plan)["ghost"] == {"Tier": "y", "Plan": "q"}
    assert w.plan(day(1)).planned_users == 0


def test_between_two_resends_only_changes_are_sent(world: Make) -> None:
    w = world(knowing("none"), "a")
    w.profiles(day(1), PAIR)
    w.run(day(1))
    w.profiles(day(2), {**PAIR, "a": {"Tier": "z", "Plan": "p"}})
    assert w.sent(w.run(day(2))) == {"a": {"Tier": "z"}}


def test_a_user_that_becomes_known_is_sent_in_full_at_once_and_only_once(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "known.csv"
    file.write_text("user_id\na\n", encoding="utf-8")
    w = world(knowing("list", file=file), "a")
    w.profiles(day(1), PAIR)
    plan = w.run(day(1))
    assert (plan.known_users, plan.unknown_users, plan.unconfirmed_users) == (1, 1, 0)
    w.profiles(day(2), PAIR)
    plan = w.run(day(2))
    assert (plan.planned_users, plan.unconfirmed_users) == (0, 1)
    w.braze.known.add("ghost")
    file.write_text("user_id\na\nghost\n", encoding="utf-8")
    plan = w.run(day(2))
    assert w.sent(plan) == {"ghost": {"Tier": "y", "Plan": "q"}}
    assert w.braze.profiles["ghost"] == {"Tier": "y", "Plan": "q"}
    w.now += timedelta(days=30)
    plan = w.plan(day(2))
    assert (plan.planned_users, plan.known_users, plan.unconfirmed_users) == (0, 2, 0)


def test_known_is_of_the_destination_and_unconfirmed_of_each_template(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "known.csv"
    file.write_text("user_id\n", encoding="utf-8")
    one = knowing("list", file=file)
    two = replace(one, name="two", db_schema="data_two", attributes=(attribute("Other"),))
    w = world(one, "a")
    w.profiles(day(1), {"a": {"Tier": "x", "Plan": "p"}}, t=one)
    w.profiles(day(1), {"a": {"Other": "o"}}, t=two)
    w.run(day(1), t=one)
    w.run(day(1), t=two)
    file.write_text("user_id\na\n", encoding="utf-8")
    assert w.sent(w.run(day(1), t=one)) == {"a": {"Tier": "x", "Plan": "p"}}
    assert w.sent(w.run(day(1), t=two)) == {"a": {"Other": "o"}}


def test_users_are_looked_up_fifty_at_a_time_and_asked_for_again_later(world: Make) -> None:
    t = knowing("lookup")
    w = world(t)
    w.profiles(day(1), {f"u{n:03}": {"Tier": "x"} for n in range(120)})
    asked: list[int] = []

    def ask(ids: list[str]) -> set[str]:
        asked.append(len(ids))
        return {user for user in ids if user < "u100"}

    w.close()
    found = known_users.look_up(w.warehouse, t, [day(1)], ask, now=w.now.replace(tzinfo=None))
    assert (asked, found.asked, found.known, found.left) == ([50, 50, 20], 120, 100, 0)
    again = known_users.look_up(w.warehouse, t, [day(1)], ask, now=w.now.replace(tzinfo=None))
    assert again.asked == 0
    later = w.now.replace(tzinfo=None) + timedelta(days=7)
    assert known_users.look_up(w.warehouse, t, [day(1)], ask, now=later).asked == 20
    with w.warehouse.connect() as w.con:
        plan = w.plan(day(1))
        assert (plan.known_users, plan.unknown_users, plan.not_in_braze_users) == (100, 20, 20)


def test_a_look_up_that_fails_keeps_what_it_found_and_stays_within_its_limit(world: Make) -> None:
    t = knowing("lookup", lookups_per_minute=1)
    w = world(t)
    w.profiles(day(1), {f"u{n:03}": {"Tier": "x"} for n in range(520)})
    w.close()
    calls = 0

    def ask(ids: list[str]) -> set[str]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise BrazeUnavailable("Braze is away.", fix="Wait.")
        return set(ids)

    now = w.now.replace(tzinfo=None)
    with pytest.raises(BrazeUnavailable):
        known_users.look_up(w.warehouse, t, [day(1)], ask, now=now)
    found = known_users.look_up(w.warehouse, t, [day(1)], set, now=now)
    assert (found.asked, found.left) == (420, 0)


def test_a_look_up_that_is_slowed_down_ends_in_time_and_leaves_the_rest(world: Make) -> None:
    t = knowing("lookup")
    w = world(t)
    w.profiles(day(1), {f"u{n:03}": {"Tier": "x"} for n in range(240)})
    w.close()
    minutes = iter(range(0, 100, 4))  # each batch takes four of them

    now = w.now.replace(tzinfo=None)
    found = known_users.look_up(
        w.warehouse, t, [day(1)], set, now=now, clock=lambda: next(minutes) * 60.0
    )
    assert (found.asked, found.known, found.left) == (100, 100, 140)
    again = known_users.look_up(w.warehouse, t, [day(1)], set, now=now)
    assert (again.asked, again.left) == (140, 0)


def test_a_missing_or_unusable_list_is_a_configuration_error(world: Make, tmp_path: Path) -> None:
    w = world(knowing("list", file=tmp_path / "none.csv"))
    w.profiles(day(1), PAIR)
    with pytest.raises(ConfigurationError, match=r"none\.csv"):
        w.plan(day(1))
    (tmp_path / "none.csv").write_text("id\na\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="user_id"):
        w.plan(day(1))


@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_of_a_compressed_list_that_was_cut_off_nothing_is_used(
    world: Make, tmp_path: Path, kept: float
) -> None:
    file = tmp_path / "known.csv.gz"
    packed = gzip.compress("\n".join(["user_id", "a", *map(str, range(9_999))]).encode())
    file.write_bytes(packed[: int(len(packed) * kept)])
    w = world(knowing("list", file=file), "a")
    w.profiles(day(1), PAIR)
    if kept == 1:
        assert w.plan(day(1)).known_users == 1
        return
    with pytest.raises(ConfigurationError, match=r"known\.csv\.gz is not a whole gzip file"):
        w.plan(day(1))


def test_the_header_of_a_list_decides_how_it_is_read(world: Make, tmp_path: Path) -> None:
    file = tmp_path / "known.csv"
    file.write_text("user_id,orders\n1,2\n#7,3\n4,5\n", encoding="utf-8")
    w = world(knowing("list", file=file), "#7 4")
    w.profiles(day(1), {"#7": PAIR["a"], "4": PAIR["ghost"]})
    assert w.plan(day(1)).known_users == 2
    file.write_text("user_id,orders\n1,2\n#7\n4,5\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"known\.csv cannot be read"):
        w.plan(day(1))


def test_a_list_of_whole_numbers_names_users_and_one_with_fractions_is_refused(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "known.parquet"
    w = world(knowing("list", file=file), "7 abc")
    w.profiles(day(1), {"7": PAIR["a"], "abc": PAIR["ghost"]})
    w.con.execute(f"COPY (SELECT 7 AS user_id) TO '{file}'")
    plan = w.plan(day(1))
    assert (plan.known_users, plan.unknown_users) == (1, 1)
    w.con.execute(f"COPY (SELECT 7.0::DOUBLE AS user_id) TO '{file}'")
    with pytest.raises(ConfigurationError, match=r"known\.parquet has its user_id as DOUBLE"):
        w.plan(day(1))


def test_numbers_in_a_list_of_text_are_taken_as_they_are_written(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "known.csv"
    listed = ["7.50", "12"]
    file.write_text("\n".join(["user_id", *listed]), encoding="utf-8")
    w = world(knowing("list", file=file))
    w.profiles(day(1), dict.fromkeys([*listed, "7.5"], PAIR["a"]))
    known = {row["__user_id"]: row["__known"] for row in w.rows(w.plan(day(1)))}
    assert known == {**dict.fromkeys(listed, True), "7.5": False}


def test_creating_destinations_and_assumed_users_need_no_proof(world: Make) -> None:
    w = world(knowing("assume"), "a ghost")
    w.profiles(day(1), PAIR)
    w.run(day(1))
    w.now += timedelta(days=30)
    plan = w.plan(day(1))
    assert (plan.planned_users, plan.known_users, plan.unconfirmed_users) == (0, 2, 0)


def test_what_was_suppressed_when_a_user_became_known_is_sent_later(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "known.csv"
    file.write_text("user_id\n", encoding="utf-8")
    w = world(knowing("list", file=file))
    w.profiles(day(1), {"a": {"Tier": "x", "Plan": "p"}})
    w.run(day(1))
    w.braze.known.add("a")
    file.write_text("user_id\na\n", encoding="utf-8")
    w.profiles(day(2), {"a": {"Tier": "x", "Plan": None}}, held={"a": ["Plan"]})
    assert w.sent(w.run(day(2))) == {"a": {"Tier": "x"}}
    w.profiles(day(3), {"a": {"Tier": "x", "Plan": "p"}})
    assert w.sent(w.run(day(3))) == {"a": {"Plan": "p"}}
    assert w.braze.profiles["a"] == {"Tier": "x", "Plan": "p"}
    assert w.plan(day(3)).planned_users == 0
