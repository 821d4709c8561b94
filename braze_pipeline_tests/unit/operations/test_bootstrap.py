"""The ledger filled from a Braze export."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from braze_pipeline.errors import UsageError
from braze_pipeline.operations.bootstrap import import_export
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.ledger_world import World, attribute, day, template

Make = Callable[..., World]
T = template(
    attribute("first_name", is_field=True),
    attribute("dob", ValueType.DATE, is_field=True),
    attribute("current_location", ValueType.OBJECT, is_field=True),
    attribute('a/b~ "c".d', ValueType.INTEGER),
    attribute("Spend", ValueType.FLOAT, precision=2),
    attribute("VIP", ValueType.BOOLEAN),
    attribute("Seen", ValueType.TIME),
    attribute("Likes", ValueType.ARRAY, array_as="set"),
    attribute("Plan", ValueType.OBJECT),
    attribute("Items", ValueType.OBJECTS),
    known="none",
)
EXPORTED = {
    "external_id": "a",
    "braze_id": "5f",
    "first_name": "Ana",
    "dob": "1990-02-03",
    "current_location": {"longitude": 1.5, "latitude": 2.5},
    "random_bucket": 7,
    "custom_attributes": {
        'a/b~ "c".d': 5.0,
        "Spend": 1.24,
        "VIP": True,
        "Seen": "2026-01-02T03:04:05.678Z",
        "Likes": ["b", "a"],
        "Plan": {"z": 1, "a": "x"},
        "Items": [{"b": 1, "a": 2}],
        "Other": "not ours",
    },
}
PROFILE = {
    "first_name": "Ana",
    "dob": date(1990, 2, 3),
    "current_location": '{"latitude":2.5,"longitude":1.5}',
    'a/b~ "c".d': 5,
    "Spend": 1.24,
    "VIP": True,
    "Seen": datetime.fromisoformat("2026-01-02T03:04:05.678"),
    "Likes": ["a", "b"],
    "Plan": '{"a":"x","z":1}',
    "Items": '[{"a":2,"b":1}]',
}


def lines(*users: Any) -> str:
    return "".join(json.dumps(user) + "\n" for user in users)


def test_the_first_run_after_an_import_sends_the_difference_only(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "export.json"
    file.write_text(lines(EXPORTED), encoding="utf-8")
    w = world(T, "a b")
    found = import_export(w.con, w.warehouse, T, [file], now=w.now)
    assert (found.users, found.values, found.misfits, found.unreadable) == (1, 10, {}, 0)
    w.profiles(day(1), {"a": {**PROFILE, "VIP": False}, "b": {"Spend": 3.0}})
    plan = w.run(day(1))
    assert w.sent(plan) == {"a": {"VIP": False}, "b": {"Spend": 3.0}}
    assert plan.reasons == {"changed": 1, "new user": 1}
    assert (plan.known_users, plan.unknown_users, plan.first_send) == (1, 1, False)
    assert plan.new_attributes == ()


def test_a_number_that_braze_has_with_more_decimal_places_is_another_number(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "export.json"
    exported = ({"external_id": user, "custom_attributes": {"Spend": spend}} for user, spend in (
        ("a", 10.004), ("b", 10.0), ("c", 10),
    ))  # fmt: skip
    file.write_text(lines(*exported), encoding="utf-8")
    w = world(T, "a b c")
    import_export(w.con, w.warehouse, T, [file], now=w.now)
    w.profiles(day(1), {user: {"Spend": 10.0} for user in "abc"})
    assert w.sent(w.run(day(1))) == {"a": {"Spend": 10.0}}


@pytest.mark.parametrize("packed", ["gz", "zip"])
def test_exports_may_be_packed_and_in_several_files(
    world: Make, tmp_path: Path, packed: str
) -> None:
    one, two = lines({**EXPORTED, "external_id": "b"}), lines(EXPORTED)
    files = [tmp_path / f"x.{packed}"]
    if packed == "gz":
        files[0] = tmp_path / "x.json.gz"
        files[0].write_bytes(gzip.compress((one + two).encode()))
    else:
        with zipfile.ZipFile(files[0], "w") as archive:
            archive.writestr("part/1.txt", one)
            archive.writestr("part/2.txt", two)
    w = world(T)
    assert import_export(w.con, w.warehouse, T, files, now=w.now).users == 2


def test_values_of_another_type_are_reported_and_replaced_or_cleared(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "export.json"
    drifted = {
        "external_id": "a",
        "first_name": None,
        "custom_attributes": {
            "Spend": "12",
            "VIP": 1,
            "Likes": "b",
            "Plan": [1],
            "Items": None,
            "Seen": "soon",
        },
    }
    file.write_text(lines(drifted) + "not json\n" + lines({"braze_id": "x"}), encoding="utf-8")
    w = world(T, "a")
    found = import_export(w.con, w.warehouse, T, [file], now=w.now)
    assert found.misfits == {"Spend": 1, "VIP": 1, "Likes": 1, "Plan": 1, "Seen": 1}
    assert (found.values, found.unreadable) == (0, 2)
    w.profiles(day(1), {"a": {"Spend": 12.0}})
    cleared = dict.fromkeys(["VIP", "Likes", "Plan", "Seen"])
    assert w.sent(w.run(day(1))) == {"a": {"Spend": 12.0, **cleared}}
    assert w.plan(day(1)).planned_users == 0


def test_values_of_another_type_do_not_make_a_user_leave_who_never_was_there(
    world: Make, tmp_path: Path
) -> None:
    t = template(attribute("Tier", on_leave="clear"))
    w = world(t, "a")
    file = tmp_path / "export.json"
    file.write_text(lines({"external_id": "a", "custom_attributes": {"Tier": 5}}))
    import_export(w.con, w.warehouse, t, [file], now=w.now)
    w.profiles(day(1), {"b": {"Tier": "x"}}, left_out=["a"])
    assert set(w.sent(w.plan(day(1)))) == {"b"}


def test_a_user_of_the_export_leaves_though_the_first_request_had_no_answer(
    world: Make, tmp_path: Path
) -> None:
    t = template(attribute("Tier", on_leave="clear"))
    w = world(t, "a b")
    file = tmp_path / "export.json"
    file.write_text(lines({"external_id": "a", "custom_attributes": {}}))
    import_export(w.con, w.warehouse, t, [file], now=w.now)
    w.profiles(day(1), {"a": {"Tier": "x"}})
    w.send(w.plan(day(1)), stop_after=0, lose_ack=True)
    w.profiles(day(2), {"b": {"Tier": "x"}}, left_out=["a"])
    w.run(day(2))
    assert w.braze.profiles == {"a": {}, "b": {"Tier": "x"}}


@pytest.mark.parametrize(
    ("exported", "same"),
    [
        ("2024-05-05", True),
        ("2024-05-05T00:00:00.000Z", True),
        ("2024-05-05T23:30:00-02:00", False),
        ("2024-05-05T10:00:00Z", False),
    ],
)
def test_only_midnight_in_utc_is_a_date(
    world: Make, tmp_path: Path, exported: str, *, same: bool
) -> None:
    t = template(attribute("Since", ValueType.DATE))
    w = world(t, "a")
    file = tmp_path / "export.json"
    file.write_text(lines({"external_id": "a", "custom_attributes": {"Since": exported}}))
    import_export(w.con, w.warehouse, t, [file], now=w.now)
    w.profiles(day(1), {"a": {"Since": date(2024, 5, 5)}})
    assert w.plan(day(1)).planned_users == (0 if same else 1)


def test_an_import_proves_what_was_unconfirmed_and_keeps_what_was_acknowledged(
    world: Make, tmp_path: Path
) -> None:
    file = tmp_path / "export.json"
    w = world(T, "a")
    w.profiles(day(1), {"a": {"first_name": "Ana", "Spend": 2.0, "VIP": True}})
    w.run(day(1))
    file.write_text(
        lines({"external_id": "a", "first_name": "Ana", "custom_attributes": {"Spend": 9}}),
        encoding="utf-8",
    )
    import_export(w.con, w.warehouse, T, [file], now=w.now)
    plan = w.run(day(1))
    assert w.sent(plan) == {"a": {"Spend": 2.0, "VIP": True}}
    assert (plan.known_users, plan.unconfirmed_users) == (1, 0)
    again = import_export(w.con, w.warehouse, T, [file], now=w.now)
    assert again.differing == 2
    assert w.plan(day(1)).planned_users == 0


def test_a_file_that_is_not_an_export_is_named_in_the_error(world: Make, tmp_path: Path) -> None:
    w = world(T)
    damaged = bytearray(gzip.compress(b'{"x": 1}\n'))
    damaged[10] ^= 0xFF
    contents = (("a.zip", b"no"), ("b.gz", b"no"), ("c.json", b'{"x": 1}\n'), ("d.gz", damaged))
    for name, content in contents:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=name):
            import_export(w.con, w.warehouse, T, [tmp_path / name], now=w.now)
    with pytest.raises(UsageError, match="missing"):
        import_export(w.con, w.warehouse, T, [tmp_path / "none.json"], now=w.now)


def test_files_with_a_broken_line_do_not_count_as_all_users(world: Make, tmp_path: Path) -> None:
    """A download that was cut off may lack users whose values are in doubt."""
    file = tmp_path / "export.json"
    no_id = {"braze_id": "5e"}
    file.write_text(lines(EXPORTED, no_id) + '{"external_id": "b", "cust', encoding="utf-8")
    w = world(T, "a b")
    with pytest.raises(UsageError, match=r"^1 line of the files cannot be read"):
        import_export(w.con, w.warehouse, T, [file], now=w.now, all_users=True)
    assert w.con.execute("SELECT count(*) FROM ledger.braze_users").fetchone() == (0,)
    assert import_export(w.con, w.warehouse, T, [file], now=w.now).unreadable == 2
    file.write_text(lines(EXPORTED, no_id), encoding="utf-8")
    assert import_export(w.con, w.warehouse, T, [file], now=w.now, all_users=True).unreadable == 1
