"""The reading endpoints and the export file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from braze_pipeline.sandbox import DataType, Limits, Sandbox
from braze_pipeline_tests.integration.sandbox.conftest import Post, objects

EXPORT = "/users/export/ids"


def listed(sandbox: Sandbox, address: str = "/custom_attributes") -> requests.Response:
    if address.startswith("/"):
        address = sandbox.endpoint + address
    key = {"Authorization": f"Bearer {sandbox.api_key}"}
    return requests.get(address, headers=key, timeout=20)


def test_users_are_exported_with_the_fields_asked_for(sandbox: Sandbox, post: Post) -> None:
    post(sandbox, "/users/track", objects("1", email="a@example.com", tier="gold"))
    answer = post(
        sandbox,
        EXPORT,
        {
            "external_ids": ["1", "nobody", "2"],
            "fields_to_export": ["external_id", "email", "custom_attributes"],
        },
    )
    assert answer.status_code == 201
    assert answer.json() == {
        "message": "success",
        "users": [
            {
                "external_id": "1",
                "email": "a@example.com",
                "custom_attributes": {"tier": "gold"},
            },
            {"external_id": "2", "email": None, "custom_attributes": None},
        ],
        "invalid_user_ids": ["nobody"],
    }


def test_users_that_all_count_as_there_are_exported_as_well(post: Post) -> None:
    with Sandbox(assume_all=True) as everybody:
        asked = {"external_ids": ["a", "b"], "fields_to_export": ["external_id"]}
        answer = post(everybody, EXPORT, asked).json()
        assert answer["users"] == [{"external_id": "a"}, {"external_id": "b"}]
        assert "invalid_user_ids" not in answer
        by_braze_id = {"braze_id": "0123", "fields_to_export": ["external_id", "braze_id"]}
        [user] = post(everybody, EXPORT, by_braze_id).json()["users"]
        assert user == {"external_id": None, "braze_id": "0123"}


def test_users_are_found_by_every_identifier(sandbox: Sandbox, post: Post) -> None:
    alias = {"alias_label": "l", "alias_name": "n"}
    sandbox.seed([{"external_id": "a", "braze_id": "b1", "user_alias": alias, "phone": "+4420"}])
    sandbox.seed([{"external_id": "e", "email": "e@example.com"}])
    fields = {"fields_to_export": ["external_id", "user_aliases"]}
    by_alias = post(sandbox, EXPORT, {"user_aliases": [alias, {"alias_name": "x"}]} | fields)
    assert by_alias.json()["users"] == [{"external_id": "a", "user_aliases": [alias]}]
    for asked in ({"braze_id": "b1"}, {"phone": "+4420"}, {"email_address": "e@example.com"}):
        [user] = post(sandbox, EXPORT, asked | fields).json()["users"]
        assert user["external_id"] == ("e" if "email_address" in asked else "a")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"external_ids": ["1"]},
        {"external_ids": ["1"], "fields_to_export": "email"},
        {"external_ids": [1], "fields_to_export": ["email"]},
        {"external_ids": ["1"] * 51, "fields_to_export": ["email"]},
    ],
)
def test_a_bad_export_is_refused(sandbox: Sandbox, post: Post, body: dict[str, object]) -> None:
    assert post(sandbox, EXPORT, body).status_code == 400


def test_older_customers_export_all_fields_by_default(post: Post) -> None:
    with Sandbox(users=["1"], fields_required=False) as sandbox:
        [user] = post(sandbox, EXPORT, {"external_ids": ["1"]}).json()["users"]
    assert user == {"external_id": "1", "braze_id": sandbox.workspace.profiles.braze_id("1")}


def test_exports_have_a_limit_of_their_own(post: Post) -> None:
    body = {"external_ids": ["1"], "fields_to_export": ["email"]}
    with Sandbox(users=["1"], limits=Limits(exports_per_minute=1)) as sandbox:
        assert post(sandbox, EXPORT, body).status_code == 201
        assert post(sandbox, EXPORT, body).status_code == 429
        assert post(sandbox, "/users/track", objects("1", tier="a")).status_code == 201


def test_custom_attributes_come_in_pages_of_50(sandbox: Sandbox, post: Post) -> None:
    names = [f"attribute {number:03}" for number in range(120)]
    post(sandbox, "/users/track", objects("1", **dict.fromkeys(names, 1)))
    pages = [listed(sandbox)]
    while "next" in pages[-1].links:
        pages.append(listed(sandbox, pages[-1].links["next"]["url"]))
    assert [len(page.json()["attributes"]) for page in pages] == [50, 50, 20]
    assert [one["name"] for page in pages for one in page.json()["attributes"]] == names
    assert [set(page.links) for page in pages] == [{"next"}, {"prev", "next"}, {"prev"}]
    assert listed(sandbox, "/custom_attributes?cursor=bad").status_code == 400


def test_a_custom_attribute_is_described(sandbox: Sandbox, post: Post) -> None:
    sandbox.define_attribute("flag", DataType.BOOLEAN)
    old = sandbox.define_attribute("old", blocklisted=True)
    old.description, old.tags = "not used any more", ("one",)
    post(sandbox, "/users/track", objects("1", tags=["a"], flag="t", old=1))
    answer = listed(sandbox)
    assert (answer.status_code, answer.json()["message"]) == (200, "success")
    assert answer.json()["attributes"] == [
        {
            "array_length": None,
            "data_type": "Boolean",
            "description": None,
            "name": "flag",
            "status": "Active",
            "tag_names": [],
        },
        {
            "array_length": None,
            "data_type": "String",
            "description": "not used any more",
            "name": "old",
            "status": "Blocklisted",
            "tag_names": ["one"],
        },
        {
            "array_length": 500,
            "data_type": "Array",
            "description": None,
            "name": "tags",
            "status": "Active",
            "tag_names": [],
        },
    ]
    assert sandbox.profile("1") == {"flag": True, "tags": ["a"]}


def test_all_profiles_can_be_written_as_an_export_file(
    sandbox: Sandbox, post: Post, tmp_path: Path
) -> None:
    post(sandbox, "/users/track", objects("1", email="a@example.com", tier="gold"))
    assert sandbox.write_export(tmp_path / "export.jsonl") == 9
    lines = (tmp_path / "export.jsonl").read_text(encoding="utf-8").splitlines()
    users = [json.loads(line) for line in lines]
    assert users[0]["custom_attributes"] == {"tier": "gold"}
    assert users[0]["email"] == "a@example.com"
    assert [user["external_id"] for user in users] == [str(number) for number in range(1, 10)]
