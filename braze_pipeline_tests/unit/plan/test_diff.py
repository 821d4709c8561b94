"""What a plan sends, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from braze_pipeline.errors import NotBuilt
from braze_pipeline.settings import TemplateSettings, ValueType, replace
from braze_pipeline_tests.ledger_world import World, attribute, day, template

Make = Callable[..., World]
T = template(
    attribute("first_name", is_field=True),
    attribute("Tier"),
    attribute("Spend", ValueType.FLOAT),
)


def test_the_first_run_sends_every_value_and_the_second_nothing(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(
        day(1), {"a": {"first_name": "Ana", "Tier": "gold", "Spend": 1.5}, "b": {"Tier": "x"}}
    )
    plan = w.run(day(1))
    assert plan.first_send
    assert w.braze.profiles == {
        "a": {"first_name": "Ana", "Tier": "gold", "Spend": 1.5},
        "b": {"Tier": "x"},
    }
    assert plan.reasons == {"new user": 2}
    again = w.plan(day(1))
    assert (again.planned_users, again.unchanged_users, again.requests) == (0, 2, 0)
    assert again.status == "sent"
    assert not again.first_send


def test_only_the_attribute_that_changed_is_sent(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "gold", "Spend": 1.5}, "b": {"Tier": "x"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "gold", "Spend": 2.5}, "b": {"Tier": "x"}})
    plan = w.run(day(2))
    assert w.sent(plan) == {"a": {"Spend": 2.5}}
    assert (plan.planned_users, plan.planned_attributes, plan.unchanged_users) == (1, 1, 1)
    assert plan.reasons == {"changed": 1}


def test_a_null_is_sent_once_and_only_where_braze_has_a_value(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "gold"}, "b": {"Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Spend": 3.0}, "b": {}})
    plan = w.run(day(2))
    assert w.sent(plan) == {"a": {"Tier": None, "Spend": 3.0}, "b": {"Spend": None}}
    assert plan.reasons == {"changed": 1, "cleared": 1}
    assert w.plan(day(2)).planned_users == 0
    w.profiles(day(3), {"a": {"Spend": 3.0}, "b": {}})
    assert w.plan(day(3)).planned_users == 0


def test_a_null_stays_here_when_the_template_says_so(world: Make) -> None:
    t = template(attribute("Tier", send_null=False))
    w = world(t, "a")
    w.profiles(day(1), {"a": {"Tier": "gold"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {}})
    plan = w.run(day(2))
    assert (plan.planned_users, plan.unchanged_users) == (0, 1)
    w.profiles(day(3), {"a": {"Tier": "gold"}})
    assert w.plan(day(3)).planned_users == 0


def test_a_suppressed_value_stays_as_braze_has_it(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Tier": "gold", "Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": None, "Spend": 2.0}}, held={"a": ["Tier"]})
    assert w.sent(w.run(day(2))) == {"a": {"Spend": 2.0}}
    assert w.braze.profiles["a"] == {"Tier": "gold", "Spend": 2.0}


def test_an_empty_array_of_objects_is_not_the_first_that_braze_has_of_an_attribute(
    world: Make,
) -> None:
    """Braze would take the attribute for a plain array, and drop all objects that follow."""
    w = world(template(attribute("Orders", ValueType.OBJECTS)), "a b")
    w.profiles(day(1), {"a": {"Orders": "[]"}, "b": {"Orders": "[]"}})
    plan = w.run(day(1))
    assert (plan.planned_users, plan.unchanged_users) == (0, 2)
    w.profiles(day(2), {"a": {"Orders": "[]"}, "b": {"Orders": '[{"a":1}]'}})
    assert w.sent(w.run(day(2))) == {"b": {"Orders": [{"a": 1}]}}
    w.profiles(day(3), {"a": {"Orders": "[]"}, "b": {"Orders": "[]"}})
    assert w.sent(w.run(day(3))) == {"a": {"Orders": []}, "b": {"Orders": []}}
    assert w.plan(day(3)).planned_users == 0


@pytest.mark.parametrize(
    ("type_", "value", "other", "sent"),
    [
        (ValueType.STRING, 'é"\n😀', "x", 'é"\n😀'),
        (ValueType.INTEGER, 2**53 + 1, 3, 2**53 + 1),
        (ValueType.FLOAT, 0.1, 1e21, 0.1),
        (ValueType.FLOAT, 1e21, -2.5, 1e21),
        (ValueType.BOOLEAN, False, True, False),
        (ValueType.DATE, date(2026, 3, 1), date(987, 1, 2), "2026-03-01"),
        (
            ValueType.TIME,
            datetime.fromisoformat("2026-03-01T04:05:06.007"),
            datetime.fromisoformat("2026-03-01"),
            "2026-03-01T04:05:06.007Z",
        ),
        (ValueType.ARRAY, ["b", 'a"'], ["b"], ["b", 'a"']),
        (ValueType.ARRAY, [], ["b"], []),
        (ValueType.OBJECT, '{"a":1}', '{"a":2}', {"a": 1}),
        (ValueType.OBJECTS, '[{"a":1}]', "[]", [{"a": 1}]),
    ],
)
def test_each_type_is_sent_as_braze_reads_it_and_compared_by_value(
    world: Make, type_: ValueType, value: Any, other: Any, sent: Any
) -> None:
    w = world(template(attribute('A "quoted" é name', type_)), "a")
    name = 'A "quoted" é name'
    w.profiles(day(1), {"a": {name: value}})
    assert w.sent(w.run(day(1))) == {"a": {name: sent}}
    w.profiles(day(2), {"a": {name: value}})
    assert w.plan(day(2)).planned_users == 0
    w.profiles(day(3), {"a": {name: other}})
    plan = w.run(day(3))
    assert plan.planned_users == 1
    w.profiles(day(4), {"a": {name: other}})
    assert w.plan(day(4)).planned_users == 0


@pytest.mark.parametrize(
    ("was", "value", "now"),
    [
        (ValueType.FLOAT, 1.7, ValueType.INTEGER),
        (ValueType.STRING, "12.5", ValueType.INTEGER),
        (ValueType.STRING, "NaN", ValueType.FLOAT),
        (ValueType.ARRAY, ["red", "blue"], ValueType.STRING),
        (ValueType.INTEGER, 7, ValueType.BOOLEAN),
    ],
)
def test_values_of_another_type_are_never_converted_unseen(
    world: Make, was: ValueType, value: object, now: ValueType
) -> None:
    w = world(template(attribute("X", was)), "a")
    w.profiles(day(1), {"a": {"X": value}})
    with pytest.raises(NotBuilt, match="other settings of X"):
        w.plan(day(1), t=template(attribute("X", now)))


def test_objects_name_the_user_and_never_create_one_under_update_only(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {'u"1': {"Tier": "x"}})
    (row,) = w.rows(w.plan(day(1)))
    assert row["__object"] == '{"external_id":"u\\"1","_update_existing_only":true,"Tier":"x"}'


def test_a_template_may_create_users_and_go_by_braze_id(world: Make) -> None:
    d = replace(T.destination, update_only=False, identifier="braze_id")
    w = world(replace(T, destination=d), "a")
    w.profiles(day(1), {"u1": {"Tier": "x"}})
    plan = w.run(day(1))
    assert w.rows(plan)[0]["__object"].startswith('{"braze_id":"u1","_update_existing_only":false')
    assert plan.ledger == "braze_by_braze_id"
    assert w.plan(day(1)).planned_users == 0


def test_consent_and_identifier_never_become_attributes(world: Make) -> None:
    t = template(
        attribute("external_id", is_field=True),
        attribute("email_subscribe", is_field=True),
        attribute("Tier"),
    )
    w = world(t, "a")
    w.profiles(day(1), {"a": {"external_id": "a", "email_subscribe": "opted_in", "Tier": "x"}})
    assert w.sent(w.plan(day(1))) == {"a": {"Tier": "x"}}


def test_restricted_personal_data_is_neither_planned_nor_stored(world: Make) -> None:
    t: TemplateSettings = replace(T, restricted_pii=True)
    w = world(t, "a")
    w.profiles(day(1), {"a": {"first_name": "Ana", "Tier": "x"}})
    plan = w.run(day(1))
    assert w.sent(plan) == {"a": {"Tier": "x"}}
    assert "Ana" not in str(w.ledger()) + str(w.rows(plan))
