"""Whom an object is about, and what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from braze_pipeline.sandbox import seeds
from braze_pipeline.sandbox.points import data_points
from braze_pipeline.sandbox.refusals import refusal
from braze_pipeline.sandbox.values import DataType
from braze_pipeline.sandbox.workspace import Tracked, Workspace
from braze_pipeline.settings import Json


def send(workspace: Workspace, *objects: dict[str, Any]) -> Tracked:
    return workspace.track({"attributes": list(objects)})


def values(workspace: Workspace, key: str) -> dict[str, Json] | None:
    profile = workspace.profiles.get(key)
    return None if profile is None else profile.values


def test_update_only_ignores_an_unknown_user_without_a_word() -> None:
    workspace = Workspace()
    tracked = send(workspace, {"external_id": "9", "tier": "gold", "_update_existing_only": True})
    assert (tracked.ignored, tracked.refused, tracked.taken["attributes"]) == (1, [], 1)
    assert values(workspace, "9") is None
    assert workspace.attributes == {}


def test_without_update_only_an_external_id_makes_a_profile() -> None:
    workspace = Workspace()
    assert send(workspace, {"external_id": "9", "tier": "gold"}).created == 1
    assert values(workspace, "9") == {"tier": "gold"}


def test_a_workspace_can_assume_that_it_has_everybody() -> None:
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


def test_an_alias_only_user_is_made_only_when_asked_for() -> None:
    workspace = Workspace()
    alias = {"alias_name": "n", "alias_label": "l"}
    assert send(workspace, {"user_alias": alias, "tier": "a"}).ignored == 1
    send(workspace, {"user_alias": alias, "tier": "b", "_update_existing_only": False})
    send(workspace, {"user_alias": alias, "tier": "c"})
    [(_, profile)] = workspace.profiles.items()
    assert profile.values == {"tier": "c"}


def test_email_and_phone_find_a_user_only_where_no_primary_identifier_is() -> None:
    workspace = Workspace()
    workspace.seed([{"external_id": "1", "email": "a@example.com"}])
    send(workspace, {"email": "a@example.com", "tier": "gold"})
    send(workspace, {"phone": "+4420", "tier": "gold"})
    assert values(workspace, "1") == {"email": "a@example.com", "tier": "gold"}
    assert len(workspace.profiles) == 2


def test_null_removes_and_an_omitted_key_stays() -> None:
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
        ("country", "United Kingdom", "GB"),
        ("country", "DEU", "DE"),
        ("country", "Atlantis", None),
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
        ("home_city", 5, "5"),
        ("image_url", "h" * 1025, "before"),
        ("email_open_tracking_disabled", True, True),
        ("email_open_tracking_disabled", "yes", "before"),
        ("date_of_first_session", "2011-11-01", "2011-11-01"),
        ("date_of_first_session", "never", "before"),
        ("created_at", "2011-11-01", "before"),
        ("email_subscribe", "opted_in", "opted_in"),
    ],
)
def test_a_field_stores_what_braze_stores(name: str, value: Json, stored: Json) -> None:
    workspace = Workspace()
    workspace.profiles.add("1")
    profile = workspace.profiles.get("1")
    assert profile is not None
    profile.values[name] = "before"
    workspace.profiles.put("1", profile)
    assert send(workspace, {"external_id": "1", name: value}).refused == []
    assert (values(workspace, "1") or {}).get(name) == stored


def test_a_blocklisted_attribute_is_ignored_and_costs_nothing() -> None:
    workspace = Workspace()
    workspace.attribute("tier").blocklisted = True
    tracked = send(workspace, {"external_id": "1", "tier": "gold", "n": 1})
    assert values(workspace, "1") == {"n": 1}
    assert tracked.data_points == 1


@pytest.mark.parametrize(
    ("name", "value", "points"),
    [
        ("tier", "gold", 1),
        ("tier", None, 1),
        ("tags", ["a", "b"], 1),
        ("tags", {"add": ["a", "b"], "remove": ["c"]}, 3),
        ("visits", {"inc": 1}, 1),
        ("home", {"city": "Rome", "zip": "1"}, 2),
        ("pets", [{"name": "a", "age": 1}, {"name": "b"}], 3),
        ("pets", {"$add": [{"name": "a", "age": 1}]}, 2),
        ("pets", {"$remove": [{"$identifier_key": "id", "$identifier_value": 1}]}, 1),
        (
            "pets",
            {
                "$update": [
                    {
                        "$identifier_key": "id",
                        "$identifier_value": 1,
                        "$new_object": {"age": 2, "name": "b"},
                    }
                ]
            },
            2,
        ),
        ("email", "a@example.com", 1),
        ("email_subscribe", "opted_in", 0),
        ("subscription_groups", [], 0),
        ("twitter", {"screen_name": "a", "friends_count": 1}, 1),
    ],
)
def test_data_points_are_counted_as_documented(name: str, value: Json, points: int) -> None:
    assert data_points(name, value) == points


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("text", "object"),
        ({"tier": "gold"}, "required"),
        ({"external_id": "1", "braze_id": "b"}, "only one of"),
        ({"external_id": ""}, "non-empty"),
        ({"external_id": 5}, "non-empty"),
        ({"external_id": "é" * 494}, "987"),
        ({"external_id": "blocked"}, "blacklisted"),
        ({"user_alias": {"alias_name": "n"}}, "alias_label"),
        ({"external_id": "1", "email": "nobody"}, "email"),
        ({"external_id": "1", "email": "a@b"}, "email"),
        ({"external_id": "1", "email_subscribe": "yes"}, "'email_subscribe' must be"),
        ({"external_id": "1", "push_subscribe": 1}, "'push_subscribe' must be"),
        ({"external_id": "1", "email_subscription_info": {}}, "email_subscription_info"),
        ({"external_id": "1", "current_location": {"latitude": 91, "longitude": 0}}, "latitude"),
        ({"external_id": "1", "current_location": {"latitude": True, "longitude": 0}}, "latitude"),
        ({"external_id": "1", "current_location": "here"}, "latitude"),
        ({"external_id": "1", "subscription_groups": [{}]}, "subscription_groups"),
        ({"external_id": "1", "push_token_import": True}, "push_token_import"),
    ],
)
def test_a_bad_object_is_refused_by_name(entry: Json, part: str) -> None:
    sentence = refusal(entry, "attributes", {"blocked"})
    assert sentence is not None
    assert part in sentence


@pytest.mark.parametrize(
    "entry",
    [
        {"external_id": "é" * 493},
        {"external_id": "1", "email": None},
        {"external_id": "1", "email_subscribe": "opted_in"},
        {"external_id": "1", "current_location": {"latitude": 1, "longitude": 2.5}},
        {
            "external_id": "1",
            "subscription_groups": [
                {"subscription_group_id": "g", "subscription_state": "subscribed"}
            ],
        },
        {"push_token_import": True, "push_tokens": [{"app_id": "a", "token": "t"}]},
    ],
)
def test_a_good_object_is_taken(entry: Json) -> None:
    assert refusal(entry, "attributes", ()) is None


def test_events_and_purchases_need_their_parts() -> None:
    assert refusal({"external_id": "1", "name": "e", "time": "now"}, "events", ()) is None
    assert refusal({"external_id": "1", "name": "e"}, "events", ()) == "'time' is required"
    assert refusal({"external_id": "1"}, "purchases", ()) == "'product_id' is required"


def test_a_state_file_brings_profiles_and_types_back(tmp_path: Path) -> None:
    workspace = Workspace()
    workspace.seed([{"external_id": "1", "braze_id": "b1"}, {"braze_id": "b2"}])
    workspace.seed([{"user_alias": {"alias_label": "l", "alias_name": "n"}}])
    send(workspace, {"external_id": "1", "tier": "gold", "email": "a@example.com"})
    workspace.attribute("flag").type = DataType.BOOLEAN
    workspace.attribute("old").blocklisted = True
    seeds.save(workspace, tmp_path / "state.jsonl")

    again = Workspace()
    seeds.load(again, tmp_path / "state.jsonl")
    assert values(again, "1") == values(workspace, "1")
    assert again.profiles.by_braze_id("b1") == "1"
    assert again.profiles.by_braze_id("b2") is not None
    assert again.profiles.by_alias(("l", "n")) is not None
    assert len(again.profiles) == 3
    assert again.attributes["flag"].type is DataType.BOOLEAN
    assert again.attributes["old"].blocklisted
    assert [path.name for path in tmp_path.iterdir()] == ["state.jsonl"]


def test_users_are_read_from_lines_or_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text('user_id\n"1"\n2\n\n{"external_id": "3", "tier": "gold"}\n', encoding="utf-8")
    assert list(seeds.read(file)) == ["1", "2", {"external_id": "3", "tier": "gold"}]


def test_profiles_are_named_by_what_identifies_them() -> None:
    workspace = Workspace()
    workspace.seed(["1", {"braze_id": "b2"}, {"external_id": "3", "braze_id": "b3"}])
    workspace.seed([{"user_alias": {"alias_label": "l", "alias_name": "n"}}])
    store = workspace.profiles
    assert [store.name(key) for key in store] == ["1", "b2", "3", "user_alias l n"]
    assert (store.find("b3"), store.find("3"), store.find("x")) == ("3", "3", None)
    assert store.page(1, 2) == list(store)[1:3]
