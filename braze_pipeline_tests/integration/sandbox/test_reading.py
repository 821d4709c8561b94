"""The reading endpoints."""

from __future__ import annotations

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


def test_users_are_found_by_one_braze_id_at_a_time(sandbox: Sandbox, post: Post) -> None:
    sandbox.seed([{"external_id": "a", "braze_id": "b1"}])
    fields = {"fields_to_export": ["external_id"]}
    found = post(sandbox, EXPORT, {"braze_id": "b1"} | fields).json()
    assert found["users"] == [{"external_id": "a"}]
    assert post(sandbox, EXPORT, {"braze_id": ["b1"]} | fields).status_code == 400


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
    sandbox.define_attribute("old", blocklisted=True)
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
            "description": None,
            "name": "old",
            "status": "Blocklisted",
            "tag_names": [],
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
