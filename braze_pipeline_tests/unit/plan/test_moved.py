"""A template is renamed, or an attribute moves to another template, or away and back.

The ledger's values belong to attributes, and what proves them to templates.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from braze_pipeline.braze.existing_attributes import AttributeFinding, AttributeState
from braze_pipeline.ledger.endpoint import start_over
from braze_pipeline.ledger.export_values import MISFITS, merge_export
from braze_pipeline.ledger.layout import ensure_layout
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.operations.bootstrap import import_export
from braze_pipeline.plan.preflight import Preflight
from braze_pipeline.send.one_user import try_user
from braze_pipeline.settings import KnownUsers, TemplateSettings, ValueType, replace
from braze_pipeline_tests.ledger_world import World, attribute, day, template

Make = Callable[..., World]
BOTH = {"Tier": "x", "Plan": "p"}
GHOST = {"ghost": BOTH}


def unsure(file: Path, source: str = "list", *names: str) -> TemplateSettings:
    """A template whose destination goes by a list of users, or knows nothing of them."""
    t = template(*map(attribute, names or BOTH))
    more = {"file": file} if source == "list" else {}
    known = KnownUsers(source=source, **more)  # type: ignore[arg-type]
    return replace(t, destination=replace(t.destination, known_users=known))


def renamed(t: TemplateSettings, name: str = "other") -> TemplateSettings:
    return replace(t, name=name, db_schema=f"data_{name}")


def with_names(t: TemplateSettings, *names: str) -> TemplateSettings:
    return replace(t, attributes=tuple(map(attribute, names)))


@pytest.fixture
def known(tmp_path: Path) -> Path:
    file = tmp_path / "known.csv"
    file.write_text("user_id\na\n", encoding="utf-8")
    return file


def appear(w: World, file: Path) -> None:
    """A user comes to exist in Braze, and on the list."""
    w.braze.known.add("ghost")
    file.write_text("user_id\na\nghost\n", encoding="utf-8")


def blocked(name: str) -> Preflight:
    finding = AttributeFinding(
        name=name, state=AttributeState.BLOCKLISTED, text="It is blocklisted.", blocked=True
    )
    return Preflight(findings=(finding,))


def test_after_a_renaming_who_becomes_known_is_sent_everything(world: Make, known: Path) -> None:
    main = unsure(known)
    other = renamed(main)
    w = world(main, "a")
    w.profiles(day(1), GHOST)
    w.run(day(1))
    w.profiles(day(2), GHOST, t=other)
    assert w.run(day(2), t=other).planned_users == 0
    appear(w, known)
    w.profiles(day(3), GHOST, t=other)
    w.run(day(3), t=other)
    assert w.braze.profiles == GHOST
    w.now += timedelta(days=30)
    assert w.plan(day(3), t=other).planned_users == 0


def test_after_a_renaming_the_unknown_are_sent_again_every_few_days(
    world: Make, known: Path
) -> None:
    main = unsure(known, "none")
    w = world(main)
    w.profiles(day(1), GHOST)
    w.run(day(1))
    other = renamed(main)
    w.profiles(day(2), GHOST, t=other)
    assert w.run(day(2), t=other).planned_users == 0
    w.now += timedelta(days=8)
    assert w.sent(w.run(day(2), t=other)) == GHOST


@pytest.mark.parametrize("first", ["main", "second"])
def test_an_attribute_that_moved_is_sent_to_who_becomes_known(
    world: Make, known: Path, first: str
) -> None:
    main = unsure(known)
    second = with_names(renamed(main, "second"), "Other")
    w = world(main, "a")
    w.profiles(day(1), GHOST)
    w.run(day(1))
    main, second = with_names(main, "Tier"), with_names(second, "Other", "Plan")
    appear(w, known)
    w.profiles(day(2), GHOST, t=main)
    w.profiles(day(2), {"ghost": {"Other": "o", "Plan": "p"}}, t=second)
    for t in (main, second) if first == "main" else (second, main):
        w.run(day(2), t=t)
    assert w.braze.profiles == {"ghost": BOTH | {"Other": "o"}}


def test_what_is_blocked_while_a_user_is_confirmed_is_sent_later(world: Make, known: Path) -> None:
    w = world(unsure(known), "a")
    w.profiles(day(1), GHOST | {"a": BOTH})
    w.run(day(1))
    appear(w, known)
    w.profiles(day(2), GHOST | {"a": BOTH})
    assert w.sent(w.run(day(2), preflight=blocked("Plan"))) == {"ghost": {"Tier": "x"}}
    w.profiles(day(3), GHOST | {"a": BOTH})
    assert w.sent(w.run(day(3))) == {"ghost": {"Plan": "p"}}
    assert w.plan(day(3)).planned_users == 0


@pytest.mark.parametrize("others", [0, 5])
def test_what_is_removed_while_a_user_is_confirmed_is_sent_when_it_is_back(
    world: Make, known: Path, others: int
) -> None:
    """With many other users the ledger is updated, with few it is rewritten."""
    whole = unsure(known)
    rest = {f"u{n}": BOTH for n in range(others)}
    w = world(whole, "a")
    for number, t in ((1, whole), (2, with_names(whole, "Tier")), (3, whole)):
        w.profiles(day(number), GHOST | rest, t=t)
        w.run(day(number), t=t)
        if number == 1:
            appear(w, known)
    assert w.braze.profiles == GHOST


def test_an_attribute_of_two_templates_is_not_forgotten_by_the_one_without_it(
    world: Make, known: Path
) -> None:
    main = unsure(known)
    second = with_names(renamed(main, "second"), "Plan")
    w = world(main, "a")
    for t in (main, second):
        w.profiles(day(1), GHOST, t=t)
        w.run(day(1), t=t)
    appear(w, known)
    for t in (second, with_names(main, "Tier")):
        w.profiles(day(2), GHOST, t=t)
        w.run(day(2), t=t)
    assert w.braze.profiles == GHOST
    assert w.plan(day(2), t=second).planned_users == 0


def test_an_export_of_braze_proves_nothing_of_an_attribute_that_it_lacks(
    world: Make, known: Path
) -> None:
    whole = unsure(known)
    w = world(whole, "a")
    w.profiles(day(1), GHOST)
    w.run(day(1))
    appear(w, known)
    layout = ensure_layout(ledger_of(w.con, whole), with_names(whole, "Tier"))
    w.con.execute(
        f"CREATE TABLE export AS SELECT 'ghost' AS user_id, 'x' AS {layout.columns[0].new}, "
        f"[]::INTEGER[] AS {MISFITS}"
    )
    merge_export(layout, "export", now=w.now.replace(tzinfo=None))
    w.profiles(day(2), GHOST)
    assert w.sent(w.run(day(2))) == {"ghost": {"Plan": "p"}}


def leaving(*names: str, name: str = "main") -> TemplateSettings:
    return template(*(attribute(one, on_leave="clear") for one in names), name=name)


def test_after_a_renaming_on_leave_still_applies(world: Make) -> None:
    w = world(leaving("Tier"), "a b")
    users = {"a": {"Tier": "x"}, "b": {"Tier": "x"}}
    w.profiles(day(1), users)
    w.run(day(1))
    other = leaving("Tier", name="other")
    w.profiles(day(2), users, t=other)
    assert w.run(day(2), t=other).planned_users == 0
    w.profiles(day(3), {"b": {"Tier": "x"}}, left_out=["a"], t=other)
    assert w.sent(w.run(day(3), t=other)) == {"a": {"Tier": None}}


def test_after_a_move_on_leave_still_applies_to_the_attribute(world: Make) -> None:
    main, second = leaving("Tier", "Plan"), leaving("Other", name="second")
    w = world(main, "a")
    w.profiles(day(1), {"a": BOTH}, t=main)
    w.profiles(day(1), {"a": {}}, t=second)
    w.run(day(1), t=main)
    w.run(day(1), t=second)
    second = leaving("Other", "Plan", name="second")
    w.profiles(day(2), {"a": {"Plan": "p"}}, t=second)
    assert w.run(day(2), t=second).planned_users == 0
    w.profiles(day(3), {}, left_out=["a"], t=second)
    assert w.sent(w.run(day(3), t=second)) == {"a": {"Plan": None}}


def test_who_was_never_in_the_audience_of_a_sharing_template_does_not_leave_it(
    world: Make,
) -> None:
    main, second = leaving("Tier", "Plan"), leaving("Plan", name="second")
    w = world(main, "a b")
    w.profiles(day(1), {"a": BOTH, "b": BOTH}, t=main)
    w.run(day(1), t=main)
    for number in (1, 2):
        w.profiles(day(number), {"b": {"Plan": "p"}}, left_out=["a"], t=second)
        assert w.run(day(number), t=second).planned_users == 0


def test_a_day_that_found_a_value_right_guards_it_after_it_moved(world: Make) -> None:
    """Also where the former template was carried out without it meanwhile."""
    main = template(attribute("Tier"), attribute("Plan"))
    second = template(attribute("Other"), name="second")
    w = world(main, "a b")
    for number in (1, 3):
        users = {user: {"Tier": "x", "Plan": "1"} for user in "ab"}
        w.profiles(day(number), users, t=main)
        w.run(day(number), t=main)
    main, second = with_names(main, "Tier"), with_names(second, "Other", "Plan")
    w.profiles(day(4), {"a": {"Tier": "x"}}, left_out=["b"], t=main)
    w.run(day(4), t=main)
    w.profiles(day(2), {"a": {"Plan": "2"}, "b": {"Plan": "2"}}, t=second)
    plan = w.run(day(2), t=second)
    assert (plan.planned_users, plan.superseded_users) == (0, 2)
    # What the template saw without the attribute says nothing about it.
    w.profiles(day(4), {"a": {"Plan": "4"}, "b": {"Plan": "1"}}, t=second)
    assert w.sent(w.run(day(4), t=second)) == {"a": {"Plan": "4"}}


def test_an_attribute_that_is_back_or_of_another_endpoint_is_not_removed(world: Make) -> None:
    whole = template(attribute("Tier"), attribute("Plan"))
    w = world(whole, "a")
    removed: list[list[tuple[object, ...]]] = []
    for number, t in enumerate(
        (whole, with_names(whole, "Tier"), whole, with_names(whole, "Tier"))
    ):
        w.profiles(day(number), {"a": BOTH}, t=t)
        w.run(day(number), t=t)
        removed.append(w.con.execute("SELECT * FROM ledger.removed_attributes").fetchall())
    row = ("braze", "main", "Plan")
    assert removed == [[], [(*row, day(0))], [], [(*row, day(2))]]
    start_over(ledger_of(w.con, whole), whole)
    assert w.con.execute("SELECT * FROM ledger.removed_attributes").fetchall() == []


def test_what_was_sent_under_the_other_identifier_is_not_taken_for_what_braze_has(
    world: Make,
) -> None:
    """A destination goes by braze_id for a day, and back: each of its two ledgers is outdated then,
    and no value of the day before stays in Braze, not even where there is none now."""
    t = template(attribute("Tier"), attribute("Plan"))
    by_braze_id = replace(t, destination=replace(t.destination, identifier="braze_id"))
    w = world(t, "a b c d")  # here a user's two identifiers are the same text
    was = {user: {"Tier": "gold", "Plan": "p"} for user in "ab"} | {"c": {}, "d": {"Tier": "gold"}}
    w.profiles(day(1), was)
    w.run(day(1))
    between = {"a": {"Tier": "bronze"}, "b": {"Tier": "gold"}, "c": {"Tier": "new"}, "d": {}}
    w.profiles(day(2), between)
    w.run(day(2), t=by_braze_id)
    assert w.braze.profiles == between
    w.profiles(day(3), was)
    w.run(day(3))
    assert w.braze.profiles == was
    assert w.plan(day(3)).planned_users == 0


def test_a_try_under_the_other_identifier_says_which_ledger_sends_everything_again(
    world: Make,
) -> None:
    t = template(attribute("Tier"))
    t = replace(t, destination=replace(t.destination, preflight="off"))
    by_braze_id = replace(t, destination=replace(t.destination, identifier="braze_id"))
    w = world(t, "a")
    w.profiles(day(1), {"a": {"Tier": "gold"}})

    def outdates(t: TemplateSettings) -> tuple[str, ...]:
        return try_user(w.warehouse, t, day(1), "a", environ={}, log=lambda _: None).outdates

    assert outdates(by_braze_id) == ()
    w.run(day(1))
    assert outdates(by_braze_id) == ("braze",)
    w.run(day(1), t=by_braze_id)
    assert outdates(t) == ("braze_by_braze_id",)


@pytest.mark.parametrize("all_users", [False, True])
def test_an_export_of_braze_shows_which_values_the_other_identifier_did_not_send(
    world: Make, tmp_path: Path, all_users: bool
) -> None:
    """With it, a change of identifier costs nothing; without it, every value and null.

    Nothing is known of `c`, who is not in the file, unless it has all users.
    """
    t = template(attribute("Tier"), attribute("N", ValueType.INTEGER))
    by_braze_id = replace(t, destination=replace(t.destination, identifier="braze_id"))
    w = world(t, "a b c")
    rows = {"a": {"Tier": "gold"}, "b": {}}
    w.profiles(day(1), {**rows, "c": {"N": 1}})
    w.run(day(1))
    w.braze.profiles["b"] = {"N": "one"}  # somebody else's, of another type
    file = tmp_path / "export.json"
    file.write_text(
        '{"braze_id": "a", "custom_attributes": {"Tier": "gold"}}\n'
        '{"braze_id": "b", "custom_attributes": {"N": "one"}}\n'
    )
    import_export(w.con, w.warehouse, by_braze_id, [file], now=w.now, all_users=all_users)
    w.profiles(day(2), rows)
    assert w.sent(w.run(day(2), t=by_braze_id)) == {"b": {"N": None}}
    assert w.plan(day(2), t=by_braze_id).planned_users == 0
    w.profiles(day(3), {**rows, "c": {"Tier": "new"}})
    assert w.sent(w.run(day(3), t=by_braze_id)) == {
        "c": {"Tier": "new"} if all_users else {"Tier": "new", "N": None}
    }


def test_the_other_identifier_makes_nothing_go_again_that_it_does_not_send(world: Make) -> None:
    """Two templates of a destination, each with its own identifier and attributes, every day."""
    t = template(attribute("Tier"))
    d = replace(t.destination, identifier="braze_id")
    other = replace(renamed(with_names(t, "Plan")), destination=d)
    w = world(t, "a")
    for number in (1, 2):
        w.profiles(day(number), {"a": {"Tier": "x"}})
        w.profiles(day(number), {"a": {"Plan": "p"}}, t=other)
        plan = w.plan(day(number), t=other)
        first = w.run(day(number)).planned_users
        w.send(plan)
        w.apply_acknowledgements()
        assert (first, plan.planned_users) == ((1, 1) if number == 1 else (0, 0))


def test_an_attribute_that_moved_to_the_other_identifier_outdates_no_plan_of_later_days(
    world: Make,
) -> None:
    """Each night both templates plan, then send; what one no longer sends is outdated once."""
    t = template(attribute("Tier"), attribute("Plan"))
    d = replace(t.destination, identifier="braze_id")
    moved = replace(renamed(with_names(t, "Plan")), destination=d)
    w = world(t, "a")
    w.profiles(day(1), {"a": {"Tier": "x1", "Plan": "p1"}})
    w.run(day(1))
    rest = with_names(t, "Tier")
    ledger = ledger_of(w.con, rest)
    outdated = []
    for number in range(2, 5):
        w.profiles(day(number), {"a": {"Tier": f"x{number}"}}, t=rest)
        w.profiles(day(number), {"a": {"Plan": f"p{number}"}}, t=moved)
        plan, version = w.plan(day(number), t=rest), ledger.version()
        w.run(day(number), t=moved)
        outdated.append(not ledger.still_fits(plan.plan_id, since=version))
        w.send(plan)
        w.apply_acknowledgements()
    assert outdated == [True, False, False]
    # For everybody, in either ledger; more of them would mean one more each night.
    assert len(w.con.execute("SELECT * FROM ledger.in_doubt").fetchall()) == 2
    assert w.braze.profiles == {"a": {"Tier": "x4", "Plan": "p4"}}


def test_a_ledger_that_was_emptied_still_clears_what_the_other_identifier_sent(world: Make) -> None:
    t = template(attribute("Tier"))
    by_braze_id = replace(t, destination=replace(t.destination, identifier="braze_id"))
    w = world(t, "a")
    for number, who in ((1, t), (2, by_braze_id)):
        w.profiles(day(number), {"a": {"Tier": f"{number}"}})
        w.run(day(number), t=who)
    start_over(ledger_of(w.con, t), t)
    w.profiles(day(3), {"a": {}})
    w.run(day(3))
    assert w.braze.profiles == {"a": {}}
