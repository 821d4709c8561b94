"""Every error of a configuration names file, line, key, what is allowed and the nearest name."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import phonenumbers
import pytest

from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import REGIONS, resolve
from braze_pipeline.errors import ConfigurationError, MissingRequiredField
from braze_pipeline.profiles.identifier import require_configured
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.settings.destination import UNKNOWN_LIMIT
from braze_pipeline.wordlists import meanings

DESTINATION = """\
name: braze
instance: US-01
user_identifier: external_id
"""

ATTRIBUTES = """\
- {column: email}
- {column: tier, as: Value Tier, type: string}
"""


def document(
    *,
    destination: str = DESTINATION,
    attributes: str = ATTRIBUTES,
    template: str = "",
    more: str = "",
) -> str:
    """A defs.yaml with one template."""
    lines = [
        "type: braze_pipeline.orchestration.BrazeDestination",
        "attributes:",
        "  destination:",
        indent(destination.rstrip(), "    "),
        "  templates:",
        "    - name: everyone",
        "      audience: {high_value: {lifetime_value: 0}}",
        "      attributes:",
        indent(dedent(attributes).rstrip(), "        "),
        indent(dedent(template).rstrip(), "      "),
        indent(dedent(more).rstrip(), "  "),
    ]
    return "\n".join(line for line in lines if line.strip()) + "\n"


def load(tmp_path: Path, text: str, **environ: str) -> tuple[TemplateSettings, ...]:
    file = tmp_path / "defs.yaml"
    file.write_text(text, encoding="utf-8")
    (tmp_path / "customer_attributes.sql").write_text("SELECT 1", encoding="utf-8")
    return tuple(
        template
        for config, place in load_configs(file)
        for template in resolve(config, folder=tmp_path, place=place, environ=environ)
    )


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if part in line)


def test_a_good_configuration_gives_settings_with_defaults(tmp_path: Path) -> None:
    (template,) = load(tmp_path, document())
    assert template.destination.endpoint == "https://rest.iad-01.braze.com"
    assert template.destination.update_only
    assert template.destination.rate_limit == UNKNOWN_LIMIT
    assert [a.name for a in template.attributes] == ["email", "Value Tier"]
    assert [a.pii_undecided for a in template.attributes] == [False, True]
    assert template.identifier_column == "customer_id"
    assert template.db_schema == "braze"
    assert template.key_prefix == ()


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        (
            document(destination=DESTINATION.replace("user_identifier", "user_identifer")),
            "user_identifer",
            "Did you mean 'user_identifier'?",
        ),
        (
            document(attributes="- {column: tier, as: Value Tier, type: strng}"),
            "strng",
            "Did you mean 'string'?",
        ),
        (
            document(destination=DESTINATION.replace("US-01", "US-11")),
            "US-11",
            "US-01, US-02",
        ),
        (document(attributes="- {column: b, as: Birthdate, type: date}"), "Birthdate", "'dob'"),
        (document(attributes="- {column: b, as: birthday, type: date}"), "birthday", "'dob'"),
        (document(attributes="- {column: b, as: E-mail, type: string}"), "E-mail", "'email'"),
        (
            document(attributes="- {column: b, as: First Name, type: string}"),
            "First Name",
            "'first_name'",
        ),
        (document(attributes="- {column: b, as: DOB, type: date}"), "as: DOB", "'dob'"),
        (
            document(attributes="- {column: b, as: created_at}"),
            "created_at",
            "only exported by Braze",
        ),
        (document(attributes="- {column: b, as: Tier}"), "as: Tier", "needs a type"),
        (document(attributes="- {column: b, as: '', type: date}"), "as: ''", "must not be empty"),
        (
            document(attributes="- {column: country, type: integer}"),
            "type: integer",
            "is of type string",
        ),
        (
            document(attributes="- {column: b, as: Customer DOB, type: date}"),
            "Customer DOB",
            "add `custom: true`",
        ),
        (
            document(attributes="- {column: country, type: string, custom: true}"),
            "custom: true",
            "the exact name of a profile field",
        ),
        (
            document(attributes="- {column: groups, as: subscription_groups}"),
            "subscription_groups",
            "consent belongs to Braze",
        ),
        (document(attributes="- {column: b, as: braze_id}"), "braze_id", "read-only"),
        (document(attributes='- {column: b, as: "a\\tb", type: string}'), "tb", "control"),
        (document(more="time_zone: Europe/Londom"), "time_zone", "Did you mean 'Europe/London'?"),
        (document(more="start_date: '2024-02-30'"), "start_date", "not a valid date"),
        (document(more="end_date: '2024-02-30'"), "end_date", "not a valid date"),
        (document(more="end_date: 2024-02-30"), "end_date", "not a valid date"),
        (document(more="end_date: 9 December 2011"), "end_date", "Write it as YYYY-MM-DD"),
        (
            document(more="end_date: '2019-12-31'"),
            "end_date",
            "before the `start_date`, 2020-01-01",
        ),
        (
            document(destination=DESTINATION + "known_users: {source: list, file: ''}"),
            "known_users",
            "needs `file`",
        ),
        (document(more="schedule: {at: 3:30}"), "schedule", "HH:MM in quotes"),
        (
            document(destination=DESTINATION + "owners: [crm team]"),
            "owners",
            "an e-mail address, or `team:name`",
        ),
        (
            document(destination=DESTINATION + "api_key_env: 0f3a-planted"),
            "api_key_env",
            "never the API key itself",
        ),
        (
            document(destination=DESTINATION.replace("name: braze", "name: My Brand")),
            "My Brand",
            "lower-case letters",
        ),
        (document(template="default_region: UK"), "default_region", "such as GB"),
        (document(template="default_region: fr"), "default_region", "such as FR"),
        (document(template="default_region: Atlantis"), "default_region", "not the code of"),
        (document(template="default_region: AN"), "default_region", "not the code of"),
        (document(template='default_region: ""'), "default_region", "not the code of"),
        (document(template="kind: campagn"), "kind", "Did you mean 'campaign'?"),
        (document(template="restricted_pii:"), "restricted_pii", "Expected true or false."),
        (document(more="history_days: 0"), "history_days", "Expected at least 1."),
        (document(more="keep_plans: 1.5"), "keep_plans", "Expected a whole number."),
        (
            document(destination=DESTINATION + "max_in_flight: 5000"),
            "max_in_flight",
            "Expected at most 1000.",
        ),
        (
            document(more="connections: {shop: {type: postgres, uri_env: 'postgresql://u:p@h/d'}}"),
            "connections",
            "such as WAREHOUSE_URI, never the address itself",
        ),
        (
            document(attributes="- {column: a, as: Tier, type: string, on_leave: delete}"),
            "on_leave",
            "Allowed: keep, clear, {set: VALUE}.",
        ),
        (
            document().replace("{high_value: {lifetime_value: 0}}", "everyone"),
            "audience: everyone",
            "Expected `all`, or the keys `rules` and `where`.",
        ),
        (
            document().replace("{high_value: {lifetime_value: 0}}", "{rules: [], where: ''}"),
            "where: ''",
            "For no condition, remove this key.",
        ),
        (
            document(template="guards: {max_audience_share: 200}"),
            "guards",
            "200 % is 2.",
        ),
        (document(template="guards: {min_audience_share: 50}"), "guards", "a share from 0 to 1"),
        (document(template="attributes_sql: other.sql"), "attributes_sql", "No such file"),
        (
            document(template="recipient_groups: [{name: g, where: 'true', attributes: [email]}]"),
            "recipient_groups",
            "Only `kind: campaign`",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_a_fix(
    tmp_path: Path, text: str, at: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, at)}: " in str(caught.value)
    assert expected in str(caught.value)


def test_a_name_close_to_a_profile_field_can_be_used_on_purpose(
    tmp_path: Path,
) -> None:
    attributes = """
        - {column: a, as: Location, type: string, custom: true}
        - {column: b, as: Email, type: string, custom: true}
        - {column: birthdate, type: date, custom: true}
        - {column: c, as: Customer's Tier, type: string}
        - {column: d, as: Loyalty.Tier, type: string}
        - {column: e, as: "!!", type: string}
        - {column: f, as: "??", type: string, pii: true}
        """
    (template,) = load(tmp_path, document(attributes=attributes))
    assert [(a.name, a.pii and not a.pii_undecided) for a in template.attributes] == [
        ("Location", True),
        ("Email", True),
        ("birthdate", True),
        ("Customer's Tier", False),
        ("Loyalty.Tier", False),
        ("!!", False),
        ("??", True),
    ]
    assert not any(a.is_field for a in template.attributes)


def test_the_countries_for_phone_numbers_are_those_that_the_library_reads() -> None:
    assert set(meanings(REGIONS)) == set(phonenumbers.SUPPORTED_REGIONS)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = document(
        attributes="""
        - {column: a, as: Email, type: string}
        - {column: b, as: birthday, type: string}
        """,
        more="time_zone: Nowhere",
    )
    with pytest.raises(ConfigurationError, match="3 problems"):
        load(tmp_path, text)


def test_a_value_that_fits_neither_of_two_forms_is_one_problem(tmp_path: Path) -> None:
    text = document(attributes="- {column: a, as: Tier, type: string, on_leave: keap}")
    with pytest.raises(ConfigurationError, match=r"(?s)one problem:.*Did you mean 'keep'"):
        load(tmp_path, text)


def test_names_that_differ_only_in_case_or_spacing_are_refused(tmp_path: Path) -> None:
    text = document(
        attributes="""
        - {column: a, as: Value Tier, type: string}
        - {column: b, as: value_tier, type: string}
        """
    )
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f":{line_of(text, 'value_tier')}:" in str(caught.value)
    assert "used twice" in str(caught.value)


def test_a_missing_identifier_fails_the_runs_unless_more_is_wrong(
    tmp_path: Path,
) -> None:
    text = document(destination="name: braze\ninstance: US-01\n")
    (t,) = load(tmp_path, text)
    with pytest.raises(MissingRequiredField, match="Put it under `destination`") as caught:
        require_configured(t)
    assert f"defs.yaml:{line_of(text, '- name: everyone')}: " in caught.value.what
    both = document(destination="name: braze\ninstance: US-01\n", more="time_zone: Nowhere")
    with pytest.raises(ConfigurationError, match="2 problems"):
        load(tmp_path, both)


def test_consent_is_never_sent(tmp_path: Path) -> None:
    text = document(
        attributes="""
        - {column: email}
        - {column: email_opted_in, as: email_subscribe}
        - {column: push_subscribe}
        """
    )
    (template,) = load(tmp_path, text)
    assert [a.name for a in template.attributes] == ["email"]
    assert template.dropped == ("email_opted_in", "push_subscribe")


def test_restricted_pii_keeps_personal_columns_out(tmp_path: Path) -> None:
    (template,) = load(tmp_path, document(template="restricted_pii: true"))
    assert [a.name for a in template.attributes] == ["Value Tier"]


def test_the_environment_overrides_the_instance(tmp_path: Path) -> None:
    (template,) = load(tmp_path, document(), BRAZE_REST_ENDPOINT="http://127.0.0.1:8421/")
    assert template.destination.endpoint == "http://127.0.0.1:8421"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://rest.iad-01.braze.com", "plain http"),
        ("https://dashboard-01.braze.com", "dashboard"),
        ("https://rest.iad-01.braze.com/users/track", "path"),
        ("https://user:word@rest.iad-01.braze.com", "remove the user, password"),
        ("rest.iad-01.braze.com", "is not a REST endpoint"),
    ],
)
def test_an_endpoint_that_cannot_be_right_is_refused(
    tmp_path: Path, endpoint: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        load(tmp_path, document(), BRAZE_REST_ENDPOINT=endpoint)


def test_a_secret_cannot_be_copied_into_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAZE_API_KEY", "planted-key")
    text = document(destination=DESTINATION + 'description: "{{ env.BRAZE_API_KEY }}"\n')
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, 'env.')}: destination.description: " in str(caught.value)
    assert "api_key_env: BRAZE_API_KEY" in str(caught.value)
    assert "planted-key" not in str(caught.value)


def test_the_environment_fills_in_what_is_not_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAZE_REGION", "EU-02")
    text = document(destination=DESTINATION.replace("US-01", '"{{ env.BRAZE_REGION }}"'))
    (template,) = load(tmp_path, text)
    assert template.destination.instance == "EU-02"


def test_invalid_yaml_is_reported_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "defs.yaml"
    file.write_text("type: x\nattributes: [unclosed\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"defs\.yaml:\d+: not valid YAML"):
        load_configs(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml"):
        load_configs(tmp_path / "nothing.yaml")
