"""Several templates of a destination, and several recipient groups of a template."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from braze_pipeline.errors import ConfigurationError, MissingRequiredField
from braze_pipeline.profiles.identifier import require_configured
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.unit.config.test_configuration_errors import (
    document,
    line_of,
    load,
)


def test_a_template_supplies_what_its_destination_leaves_open(tmp_path: Path) -> None:
    text = document(
        destination="name: braze\ninstance: US-01\n",
        template="user_identifier: braze_id\nupdate_only: false",
    )
    (template,) = load(tmp_path, text)
    assert template.destination.identifier == "braze_id"
    assert template.identifier_column == "braze_id"
    assert not template.destination.update_only


def test_a_recipient_group_without_the_identifier_is_a_missing_required_field(
    tmp_path: Path,
) -> None:
    text = document(
        template="""
        kind: campaign
        recipient_groups:
          - {name: gold, where: "tier = 'gold'", attributes: [external_id, email]}
          - {name: rest, where: "tier <> 'gold'", attributes: [email]}
        """
    )
    (t,) = load(tmp_path, text)
    with pytest.raises(MissingRequiredField, match="'rest' does not include 'external_id'"):
        require_configured(t)


def test_a_recipient_group_may_only_name_attributes_of_its_template(tmp_path: Path) -> None:
    text = document(
        template="""
        kind: campaign
        recipient_groups:
          - {name: gold, where: "true", attributes: [external_id, emial]}
        """
    )
    with pytest.raises(ConfigurationError, match="Did you mean 'email'"):
        load(tmp_path, text)


@pytest.mark.parametrize("name", ["Value Tier", "value tier", "value_tier", "Value-Tier"])
def test_two_templates_of_a_destination_cannot_own_one_attribute(tmp_path: Path, name: str) -> None:
    text = document() + indent(
        dedent(
            f"""\
            - name: second
              audience: {{high_value: {{lifetime_value: 0}}}}
              attributes:
                - {{column: x, as: {name}, type: string}}
            """
        ),
        "    ",
    )
    with pytest.raises(ConfigurationError, match="by the template 'everyone' as 'Value Tier'"):
        load(tmp_path, text)


def test_a_second_template_has_tables_and_asset_keys_of_its_own(tmp_path: Path) -> None:
    text = document() + indent(
        dedent(
            """\
            - name: second
              audience: {high_value: {lifetime_value: 0}}
              attributes:
                - {column: x, as: Other, type: array}
            """
        ),
        "    ",
    )
    first, second = load(tmp_path, text)
    assert (first.db_schema, second.db_schema) == ("braze", "braze__second")
    assert (first.key_prefix, second.key_prefix) == ((), ("second",))
    assert second.attributes[0].type is ValueType.ARRAY


def test_a_recipient_group_with_more_than_a_condition_is_reported_with_its_line(
    tmp_path: Path,
) -> None:
    where = "true); COPY (SELECT 1) TO '/tmp/written.csv'; SELECT (true"
    text = document(
        template=f"""
        kind: campaign
        recipient_groups:
          - {{name: good, where: "lifetime_value > 1", attributes: [external_id, email]}}
          - name: bad
            attributes: [external_id, email]
            where: "{where}"
        """
    )
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    here = f"defs.yaml:{line_of(text, where)}: templates[0].recipient_groups[1].where: "
    assert here in str(caught.value)
    assert "is not one SQL condition" in str(caught.value)
    assert "recipient_groups[0]" not in str(caught.value)
