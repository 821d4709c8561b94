from __future__ import annotations

import pytest

from braze_pipeline.braze.fields import FIELDS, SENDABLE, UNSENT_CONSENT, sendable
from braze_pipeline.braze.instances import INSTANCES, endpoint_for, normalise_endpoint
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.profiles_world import custom, field_of, template


def test_the_table_has_every_standard_field_of_the_docs() -> None:
    settable = {
        "external_id", "first_name", "last_name", "home_city", "email", "phone", "dob", "gender",
        "country", "language", "time_zone", "current_location", "image_url", "email_subscribe",
        "push_subscribe", "subscription_groups", "email_open_tracking_disabled",
        "email_click_tracking_disabled", "marked_email_as_spam_at", "date_of_first_session",
        "date_of_last_session", "push_tokens", "facebook", "twitter",
    }  # fmt: skip
    assert {name for name, field in FIELDS.items() if field.settable} == settable
    assert {name for name, field in FIELDS.items() if not field.settable} >= {
        "user_alias", "braze_id", "created_at", "random_bucket", "total_revenue", "uninstalled_at",
        "apps", "devices", "last_coordinates", "custom_events", "purchases", "campaigns_received",
        "canvases_received", "email_subscription_info",
    }  # fmt: skip


def test_subscription_states_identifiers_and_some_keys_cost_no_data_points() -> None:
    free = {name for name, field in FIELDS.items() if field.settable and not field.billable}
    assert free == {
        "external_id", "email_subscribe", "push_subscribe", "subscription_groups", "push_tokens",
    }  # fmt: skip
    assert {name: field.free_keys for name, field in FIELDS.items() if field.free_keys} == {
        "facebook": ("likes",),
        "twitter": ("followers_count", "friends_count", "statuses_count"),
    }


def test_consent_and_identifiers_are_never_attributes_that_leave() -> None:
    settable = {name for name, field in FIELDS.items() if field.settable}
    assert settable - set(SENDABLE) == {"external_id", *UNSENT_CONSENT, "subscription_groups"}
    t = template(*(field_of(name) for name in FIELDS), custom("Tier", ValueType.STRING))
    assert [attribute.name for attribute in sendable(t)] == [*SENDABLE, "Tier"]


def test_every_field_has_a_rule_in_words_and_the_page_that_states_it() -> None:
    for field in FIELDS.values():
        assert field.rule
        assert field.page.startswith("/")
        assert isinstance(field.type, ValueType)


def test_an_instance_is_found_by_its_name_in_any_case() -> None:
    assert endpoint_for(" us-01 ") == "https://rest.iad-01.braze.com"
    assert all(normalise_endpoint(endpoint + "/") == endpoint for endpoint in INSTANCES.values())


def test_an_unknown_instance_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'US-01'"):
        endpoint_for("US-1")
