"""Configuration that could not work is refused when it is read, with file, line and fix."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from braze_pipeline.config.load import load_configs
from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.config.resolve import resolve
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.ledger_world import World, attribute, day, template
from braze_pipeline_tests.unit.config.test_configuration_errors import (
    ATTRIBUTES,
    DESTINATION,
    document,
    line_of,
    load,
)


def on_leave(type_: str, value: str, more: str = "") -> str:
    return f"- {{column: a, as: Level, type: {type_}, on_leave: {{set: {value}}}{more}}}"


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        (on_leave("integer", "x"), "it must be an integer"),
        (on_leave("integer", "true"), "it must be an integer"),
        (on_leave("integer", "1.5"), "it must be an integer"),
        (on_leave("integer", "9007199254740993"), "2^53"),
        (on_leave("float", "'1'"), "it must be a number"),
        (on_leave("float", "1.234", ", precision: 2"), "more decimal places than `precision: 2`"),
        (on_leave("boolean", "'no'"), "it must be true or false"),
        (on_leave("string", "5"), "it must be text"),
        (on_leave("string", "'2024-01-02'"), "declare it as date or time"),
        (on_leave("string", "null"), "on_leave: clear"),
        (on_leave("date", "soon"), "not a date in a known format"),
        (on_leave("date", "03/04/2024"), "cannot be told apart"),
        (on_leave("time", "12:xx"), "not a date and time"),
        (on_leave("array", "none"), "not valid JSON"),
        (on_leave("array", "[[a]]"), "not an array of text"),
        (on_leave("object", "[1]"), "not a JSON object"),
        (on_leave("object", "{a: null}"), "null inside"),
        (on_leave("array_of_objects", "[1]"), "not a JSON array of objects"),
        ("- {column: country, on_leave: {set: Atlantis}}", "not a country"),
        ("- {column: email, on_leave: {set: nobody}}", "not a valid e-mail address"),
        ("- {column: phone, on_leave: {set: '020 7946 0000'}}", "a country that can be read"),
        ("- {column: a, as: dob, on_leave: {set: 1899-12-31}}", "after 1900-01-01"),
        ("- {column: a, as: image_url, on_leave: {set: nothing}}", "http"),
    ],
)
def test_a_value_to_set_on_leave_must_be_valid_for_the_attribute(
    tmp_path: Path, attribute: str, expected: str
) -> None:
    text = document(attributes=f"- {{column: email}}\n{attribute}".replace(
        "- {column: email}\n- {column: email", "- {column: email"
    ))  # fmt: skip
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, 'set:')}: " in str(caught.value)
    assert "cannot be set to this: " in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("given", "value", "sent"),
    [
        ("integer", "0", 0),
        ("float", "5", 5.0),
        ("float", "0.25", 0.25),
        ("boolean", "false", False),
        ("string", "former", "former"),
        ("date", "2024-02-29", "2024-02-29"),
        ("date", "'13/04/2024'", "2024-04-13"),
        ("time", "2024-07-01T12:00:00+02:00", "2024-07-01T10:00:00.000Z"),
        ("time", "'2024-07-01 12:00:00'", "2024-07-01T11:00:00.000Z"),
        ("array", "[b, a, b]", ["a", "b"]),
        ("array", "[]", []),
        ("object", "{b: 1, a: x}", {"a": "x", "b": 1}),
        ("array_of_objects", "[{a: 1}]", [{"a": 1}]),
    ],
)
def test_the_accepted_value_is_sent_when_somebody_leaves(
    tmp_path: Path, given: str, value: str, sent: Any
) -> None:
    text = document(attributes=on_leave(given, value), more="time_zone: Europe/London")
    (loaded,) = load(tmp_path, text)
    (one,) = loaded.attributes
    before = {
        "integer": 7, "float": 7.5, "boolean": True, "string": "x", "date": day(1),
        "time": day(1), "array": ["z"], "object": "{}", "array_of_objects": '[{"b":1}]',
    }[given]  # fmt: skip
    t = template(attribute("Level", ValueType(given), on_leave="set", leave_value=one.leave_value))
    with closing(World(tmp_path, t, users=["a", "b"])) as w:
        w.profiles(day(1), {"a": {"Level": before}, "b": {"Level": before}})
        w.run(day(1))
        w.profiles(day(2), {"b": {"Level": before}}, left_out=["a"])
        assert w.sent(w.run(day(2))) == {"a": {"Level": sent}}


@pytest.mark.parametrize(
    ("text", "repeated", "key"),
    [
        (document(destination=DESTINATION + "name: other\n"), "name: other", "destination.name"),
        (document(more="time_zone: UTC\ntime_zone: Europe/London"), "Europe/London", "time_zone"),
        (
            document(attributes=ATTRIBUTES + "- {column: x, as: Y, type: string, as: Z}\n"),
            "as: Z",
            "attributes[2].as",
        ),
    ],
)
def test_a_key_that_appears_twice_is_refused(
    tmp_path: Path, text: str, repeated: str, key: str
) -> None:
    with pytest.raises(ConfigurationError, match="twice") as caught:
        load(tmp_path, text)
    assert f"{key}: This key appears twice" in str(caught.value)
    assert f" and {line_of(text, repeated)})" in str(caught.value)


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    "text",
    [
        document().replace("lifetime_value: 0", "lifetime_value: NUMBER"),
        document(template="guards: {max_changed_share: NUMBER}"),
        document(destination=DESTINATION + "retry_budget_seconds: NUMBER\n"),
        document(more="alerts: {slow_minutes: NUMBER}"),
        document(attributes=on_leave("float", "NUMBER")),
        document(attributes=on_leave("object", "{a: NUMBER}")),
    ],
)
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, text: str, number: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text.replace("NUMBER", number))
    assert f"defs.yaml:{line_of(text, 'NUMBER')}: " in str(caught.value)


def test_a_configuration_in_latin_1_is_refused_by_its_line(tmp_path: Path) -> None:
    text = document(destination=DESTINATION + "description: Käufer\n")
    file = tmp_path / "defs.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError) as caught:
        load_configs(file)
    assert f"defs.yaml:{line_of(text, 'Käufer')}: not UTF-8" in str(caught.value)
    assert "Save the file as UTF-8" in caught.value.fix
    file.write_text(text, encoding="utf-8-sig")
    assert load_configs(file)[0][0].destination.description == "Käufer"


@pytest.mark.parametrize("restricted", [True, False])
def test_sql_in_latin_1_is_refused_when_the_configuration_is_read(
    tmp_path: Path, restricted: bool
) -> None:
    text = document(template=f"restricted_pii: {str(restricted).lower()}")
    file = tmp_path / "defs.yaml"
    file.write_text(text, encoding="utf-8")
    sql = tmp_path / "customer_attributes.sql"
    sql.write_bytes("SELECT 1\n-- für alle\n".encode("latin-1"))
    ((config, place),) = load_configs(file)
    with pytest.raises(ConfigurationError) as caught:
        resolve(config, folder=tmp_path, place=place, environ={})
    assert "customer_attributes.sql:2: not UTF-8" in str(caught.value)
    assert "attributes_sql" in str(caught.value)


@pytest.mark.parametrize(
    "file", ["braze.duckdb", "Ledger.duckdb", "records.db", "built.duckdb", "braze.prod.duckdb"]
)
def test_a_database_file_is_not_named_like_a_schema_in_it(tmp_path: Path, file: str) -> None:
    with pytest.raises(ConfigurationError, match="DuckDB cannot tell them apart") as caught:
        load(tmp_path, document(), BRAZE_PIPELINE_DATABASE=str(tmp_path / file))
    assert "in BRAZE_PIPELINE_DATABASE, such as warehouse.duckdb" in str(caught.value)
    for other in ("braze-sandbox.duckdb", "shop.duckdb", "main.duckdb", "my_braze.duckdb"):
        load(tmp_path, document(), BRAZE_PIPELINE_DATABASE=str(tmp_path / other))


def test_a_destination_is_not_named_like_the_database(tmp_path: Path) -> None:
    text = document(destination=DESTINATION.replace("name: braze", "name: warehouse"))
    with pytest.raises(
        ConfigurationError, match="Use another name, or set BRAZE_PIPELINE"
    ) as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, 'name: warehouse')}: destination.name: " in str(caught.value)
    load(tmp_path, text, BRAZE_PIPELINE_DATABASE="other.duckdb")


@pytest.mark.parametrize("name", ["built", "ledger", "pg_catalog", "system"])
def test_a_destination_is_not_named_like_what_the_database_has_anyway(
    tmp_path: Path, name: str
) -> None:
    text = document(destination=DESTINATION.replace("name: braze", f"name: {name}"))
    with pytest.raises(ConfigurationError, match="reserved for the pipeline's own tables"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    "template", ["identifier_column: customer_id", "identifier_column: crm_id", ""]
)
def test_a_template_has_one_column_with_the_identifier(tmp_path: Path, template: str) -> None:
    one = ATTRIBUTES + "- {column: crm_id, as: external_id}\n"
    text = document(attributes=one + "- {column: other_id, as: external_id}\n", template=template)
    with pytest.raises(ConfigurationError, match="external_id would be 'other_id' here") as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, 'other_id')}: templates[0].attributes[3]: " in str(
        caught.value
    )
    text = document(attributes=one, template=template)
    if "customer_id" in template:
        with pytest.raises(ConfigurationError, match="'customer_id' by `identifier_column`"):
            load(tmp_path, text)
    else:
        assert load(tmp_path, text)[0].identifier_column == "crm_id"


@pytest.mark.parametrize("name", ["vip", "VIP"])
def test_each_recipient_group_has_a_name_of_its_own(tmp_path: Path, name: str) -> None:
    text = document(
        template=f"""
        kind: campaign
        recipient_groups:
          - {{name: vip, where: "a = 1", attributes: [external_id, email]}}
          - name: {name}
            where: "a = 2"
            attributes: [external_id, Value Tier]
        """
    )
    with pytest.raises(ConfigurationError, match="Two groups are named") as caught:
        load(tmp_path, text)
    at = f"defs.yaml:{line_of(text, f'- name: {name}')}: templates[0].recipient_groups[1].name: "
    assert at in str(caught.value)


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        (document(template="guards: {max_changed_share: off}"), "off", "`null` means none"),
        (document(template="guards: {max_requests: no}"), "max_requests", "A number is expected"),
        (document(more="history_days: yes"), "history_days", "reads yes, no, on and off as true"),
        (document(template="guards: {max_rejected_share: 10}"), "share: 10", "10 % is 0.1"),
        (document(template="guards: {max_changed_share: 80}"), "share: 80", "from 0 to 1"),
        (document(template="guards: {max_null_share_rise: 30}"), "rise: 30", "from 0 to 1"),
        (document(more="alerts: {max_rejected_share: 5}"), "share: 5", "from 0 to 1"),
        (document(more="history_days: 030"), "030", "in base 8. Remove the leading zero"),
        (document(more="schedule: {max_age_hours: 36:00}"), "36:00", "36:00 in base 60"),
        (document(more="schedule:"), "schedule:", "Write `null` for that"),
        (document(template="guards:\n  max_changed_share:"), "max_changed", "switch it off"),
        (document(more="source_checks: {orders_within_days: }"), "orders_within", "switch it off"),
    ],
)
def test_what_yaml_would_silently_misread_is_refused(
    tmp_path: Path, text: str, at: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, at)}: " in str(caught.value)
    assert expected in str(caught.value)


def test_off_needs_no_quotes_and_null_switches_off(tmp_path: Path) -> None:
    text = document(
        destination=DESTINATION + "preflight: off\n",
        template="guards: {max_changed_share: null, max_audience_share: 3}",
        more="schedule: null",
    )
    (t,) = load(tmp_path, text)
    assert (t.destination.preflight, t.schedule) == ("off", None)
    assert (t.guards.max_changed_share, t.guards.max_audience_share) == (None, 3)
    schema = PipelineConfig.model_json_schema(by_alias=True)["$defs"]["DestinationConfig"]
    assert schema["properties"]["preflight"]["anyOf"][0]["enum"] == ["stop", "warn", "off", False]


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (
            document(destination=DESTINATION + "known_users:\n  file: users.csv\n"),
            "file",
            "Only `source: list` reads a file",
        ),
        (document(attributes="- {column: email, region_column: cc}"), "region_column", "`phone`"),
        (document(attributes="- {column: email, date_order: dmy}"), "date_order", "a date or a"),
        (document(attributes="- {column: email, array_as: set}"), "array_as", "Only an array"),
        (document(attributes="- {column: email, precision: 2}"), "precision", "Only a float"),
        (
            document(attributes="- {column: x, as: Level, type: string, date_order: mdy}"),
            "date_order",
            "Remove this key",
        ),
    ],
)
def test_a_key_without_effect_is_refused(
    tmp_path: Path, text: str, key: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError, match="one problem") as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, key + ':')}: " in str(caught.value)
    assert f".{key}: " in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize("rule", ["high_value: {lifetime_value: 0}", "active: {within_days: 30}"])
def test_a_rule_that_does_not_apply_is_not_configured(tmp_path: Path, rule: str) -> None:
    text = document().replace("high_value: {lifetime_value: 0}", f"rules: [contactable], {rule}")
    with pytest.raises(ConfigurationError, match="`rules` does not name this rule") as caught:
        load(tmp_path, text)
    key = f"templates[0].audience.{rule.partition(':')[0]}: "
    assert f"defs.yaml:{line_of(text, rule)}: {key}" in str(caught.value)
