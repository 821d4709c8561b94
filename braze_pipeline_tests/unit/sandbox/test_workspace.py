"""Which user an object belongs to, and what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from braze_pipeline.sandbox import files
from braze_pipeline.sandbox.coercion import DataType
from braze_pipeline.sandbox.profiles import name_of
from braze_pipeline.sandbox.refusals import refusal
from braze_pipeline.sandbox.workspace import Tracked, Workspace
from braze_pipeline.settings import Json


def send(workspace: Workspace, *objects: dict[str, Any]) -> Tracked:
    return workspace.track(objects)


def values(workspace: Workspace, key: str) -> dict[str, Json] | None:
    return workspace.profiles.get(key).values if key in workspace.profiles else None


def test_update_only_silently_ignores_an_unknown_user() -> None:
    workspace = Workspace()
    tracked = send(workspace, {"external_id": "9", "tier": "gold", "_update_existing_only": True})
    assert (tracked.ignored, tracked.refused, tracked.taken) == (1, {}, 1)
    assert values(workspace, "9") is None
    assert workspace.attributes == {}


def test_without_update_only_an_external_id_makes_a_profile() -> None:
    workspace = Workspace()
    send(workspace, {"external_id": "9", "tier": "gold"})
    assert values(workspace, "9") == {"tier": "gold"}


def test_a_workspace_can_assume_that_every_user_exists() -> None:
    workspace = Workspace(assume_all=True)
    send(workspace, {"external_id": "9", "tier": "gold", "_update_existing_only": True})
    send(workspace, {"braze_id": "b1", "tier": "gold", "_update_existing_only": True})
    assert len(workspace.profiles) == 2


def test_a_user_is_found_by_braze_id() -> None:
    workspace = Workspace()
    workspace.seed([{"external_id": "1", "braze_id": "b1"}, "2"])
    send(workspace, {"braze_id": "b1", "tier": "gold"}, {"braze_id": "b9", "tier": "gold"})
    derived = workspace.profiles.braze_id("2")
    send(workspace, {"braze_id": derived, "tier": "silver"})
    assert values(workspace, "1") == {"tier": "gold"}
    assert values(workspace, "2") == {"tier": "silver"}
    assert len(workspace.profiles) == 2


def test_null_removes_a_value_and_an_omitted_key_keeps_it() -> None:
    workspace = Workspace()
    send(workspace, {"external_id": "1", "email": "a@example.com", "tier": "gold", "n": 1})
    send(workspace, {"external_id": "1", "email": None, "tier": None})
    assert values(workspace, "1") == {"n": 1}


def test_a_miscased_field_becomes_a_custom_attribute() -> None:
    workspace = Workspace()
    send(workspace, {"external_id": "1", "Email": "x", "email": "a@example.com"})
    assert list(workspace.attributes) == ["Email"]


def test_names_are_trimmed_and_long_ones_dropped() -> None:
    workspace = Workspace()
    send(workspace, {"external_id": "1", " tier ": "gold", "x" * 256: 1, " ": 1})
    assert values(workspace, "1") == {"tier": "gold"}


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("country", "GB", "GB"),
        ("country", "United Kingdom", None),
        ("country", "XX", None),
        ("gender", "F", "F"),
        ("gender", "female", "before"),
        ("dob", "1980-02-03", "1980-02-03"),
        ("dob", "03.02.1980", "before"),
        ("dob", "1980-02-30", "before"),
        ("language", "de", "de"),
        ("language", "German", "before"),
        ("time_zone", "Europe/London", "Europe/London"),
        ("time_zone", "Mars/Base", "before"),
        ("first_name", "x" * 256, "before"),
        ("home_city", 5, "before"),
        ("phone", "+442079460000", "+442079460000"),
        ("phone", "020 7946 0000", "before"),
        ("image_url", "h" * 1025, "before"),
        ("email_open_tracking_disabled", True, True),
        ("email_open_tracking_disabled", "yes", "before"),
        ("date_of_first_session", "2011-11-01", "2011-11-01"),
        ("date_of_first_session", "never", "before"),
    ],
)
def test_a_field_stores_what_braze_stores(name: str, value: Json, stored: Json) -> None:
    workspace = Workspace()
    workspace.profiles.add("1")
    profile = workspace.profiles.get("1")
    profile.values[name] = "before"
    workspace.profiles.put("1", profile)
    assert send(workspace, {"external_id": "1", name: value}).refused == {}
    assert (values(workspace, "1") or {}).get(name) == stored


def test_a_blocklisted_attribute_is_ignored_and_costs_nothing() -> None:
    workspace = Workspace()
    workspace.attribute("tier").blocklisted = True
    tracked = send(workspace, {"external_id": "1", "tier": "gold", "n": 1})
    assert values(workspace, "1") == {"n": 1}
    assert tracked.data_points == 1


def test_data_points_are_counted_per_attribute() -> None:
    tracked = send(
        Workspace(),
        {"external_id": "1", "email": "a@example.com", "push_tokens": [], "n": None},
        {"external_id": "2", "home": {"city": "Rome", "zip": "1"}, "tags": ["a", "b"]},
    )
    assert (tracked.attributes, tracked.data_points) == (5, 5)


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("text", "object"),
        ({"tier": "gold"}, "required"),
        ({"external_id": "1", "braze_id": "b"}, "only one of"),
        ({"external_id": ""}, "non-empty"),
        ({"external_id": 5}, "non-empty"),
        ({"external_id": "é" * 494}, "987"),
        ({"email": "a@example.com"}, "required"),
        ({"user_alias": {"alias_name": "n", "alias_label": "l"}}, "never sends"),
        ({"external_id": "1", "email": "nobody"}, "email"),
        ({"external_id": "1", "email": "a@b"}, "email"),
        ({"external_id": "1", "email_subscribe": "opted_in"}, "'email_subscribe' is not known"),
        ({"external_id": "1", "created_at": "2011-11-01"}, "'created_at' is not known"),
        ({"external_id": "1", "email_subscription_info": {}}, "email_subscription_info"),
        ({"external_id": "1", "current_location": {"latitude": 91, "longitude": 0}}, "latitude"),
        ({"external_id": "1", "current_location": {"latitude": True, "longitude": 0}}, "latitude"),
        ({"external_id": "1", "current_location": "here"}, "latitude"),
        ({"external_id": "1", "subscription_groups": [{}]}, "subscription_groups"),
        ({"external_id": "1", "push_token_import": True}, "push_token_import"),
        ({"external_id": "1", "_merge_objects": True}, "_merge_objects"),
        ({"external_id": "1", "visits": {"inc": 1}}, "'visits' is not known"),
        ({"external_id": "1", "tags": {"add": ["a"], "remove": ["b"]}}, "'tags' is not known"),
        ({"external_id": "1", "pets": {"$add": [{"a": 1}]}}, "'pets' is not known"),
        ({"external_id": "1", "pets": {"$update": []}}, "'pets' is not known"),
    ],
)
def test_a_bad_object_is_refused_by_name(entry: Json, part: str) -> None:
    sentence = refusal(entry)
    assert sentence is not None
    assert part in sentence


@pytest.mark.parametrize(
    "entry",
    [
        {"external_id": "é" * 493},
        {"external_id": "1", "email": None},
        {"external_id": "1", "current_location": {"latitude": 1, "longitude": 2.5}},
        {"external_id": "1", "home": {"add": 1, "city": "Rome"}, "other": {}},
    ],
)
def test_a_good_object_is_taken(entry: Json) -> None:
    assert refusal(entry) is None


def test_a_state_file_restores_profiles_and_types(tmp_path: Path) -> None:
    workspace = Workspace()
    workspace.seed([{"external_id": "1", "braze_id": "b1"}, {"braze_id": "b2"}])
    send(workspace, {"external_id": "1", "tier": "gold", "email": "a@example.com"})
    workspace.attribute("flag").type = DataType.BOOLEAN
    workspace.attribute("old").blocklisted = True
    files.save(workspace, tmp_path / "state.jsonl")

    again = Workspace()
    files.load(again, tmp_path / "state.jsonl")
    assert values(again, "1") == values(workspace, "1")
    assert again.profiles.by_braze_id("b1") == "1"
    assert again.profiles.by_braze_id("b2") is not None
    assert len(again.profiles) == 2
    assert again.attributes["flag"].type is DataType.BOOLEAN
    assert again.attributes["old"].blocklisted
    assert [path.name for path in tmp_path.iterdir()] == ["state.jsonl"]


def test_users_are_read_from_lines_or_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text('user_id\n"1"\n2\n\n{"external_id": "3", "tier": "gold"}\n', encoding="utf-8")
    assert list(files.read_users(file)) == ["1", "2", {"external_id": "3", "tier": "gold"}]


def test_profiles_are_named_by_their_identifier() -> None:
    workspace = Workspace()
    workspace.seed(["1", {"braze_id": "b2"}, {"external_id": "3", "braze_id": "b3"}])
    store = workspace.profiles
    assert [name_of(key) for key in store] == ["1", "b2", "3"]
    assert (store.find("b3"), store.find("3"), store.find("x")) == ("3", "3", None)
