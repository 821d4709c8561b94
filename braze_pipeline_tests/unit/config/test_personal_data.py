"""What is personal by default, and what a template with `restricted_pii` accepts."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from braze_pipeline.attributes.lineage import Lineage, follow
from braze_pipeline.attributes.personal import decide_personal
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings import TemplateSettings
from braze_pipeline_tests.unit.config.test_configuration_errors import (
    document,
    line_of,
    load,
)

SQL = """
SELECT
    customer_id, email, phone, c.mail_2 AS contact, upper(given_name) AS shout,
    split_part(email, '@', 2) AS email_domain, given_name || ' ' || surname AS full_name,
    CASE WHEN gender = 'F' THEN 'Ms' ELSE 'Mr' END AS salutation,
    email IS NOT NULL AS has_email, count(*) AS orders, sum(o.quantity) AS pieces,
    loyalty_status AS tier, c.nickname AS nick
FROM customers AS c LEFT JOIN orders AS o USING (customer_id)
WHERE o.ordered_at < $as_of
GROUP BY ALL
"""

PERSONAL = ["email", "phone", "shout", "email_domain", "full_name", "salutation"]
OTHERS = ["has_email", "orders", "pieces", "tier", "nick"]


def of(
    tmp_path: Path, attributes: str, *, sql: str = SQL, restricted: bool = True, more: str = ""
) -> TemplateSettings:
    template = f"restricted_pii: {str(restricted).lower()}\nattributes_sql: mine.sql\n"
    (tmp_path / "mine.sql").write_text(sql, encoding="utf-8")
    return load(tmp_path, document(attributes=attributes, template=template) + more)[0]


def custom(column: str, more: str = "") -> str:
    return f"- {{column: {column}, as: About {column}, type: string{more}}}"


def listed(columns: list[str], more: str = "") -> str:
    return "\n".join(custom(column, more) for column in columns)


def test_a_restricted_template_sends_nothing_that_is_made_from_personal_columns(
    tmp_path: Path,
) -> None:
    t = of(tmp_path, listed([*PERSONAL, *OTHERS]))
    assert [a.column for a in t.attributes] == OTHERS
    assert t.withheld == tuple(f"About {column}" for column in PERSONAL)
    assert not any(a.pii for a in t.attributes)


@pytest.mark.parametrize("column", PERSONAL)
def test_a_restricted_template_refuses_pii_false_for_such_a_column(
    tmp_path: Path, column: str
) -> None:
    attributes = listed(OTHERS) + "\n" + custom(column, ", pii: false")
    with pytest.raises(ConfigurationError) as caught:
        of(tmp_path, attributes)
    text = (tmp_path / "defs.yaml").read_text(encoding="utf-8")
    assert f"defs.yaml:{line_of(text, 'pii: false')}: " in str(caught.value)
    assert f"'About {column}' is personal data" in str(caught.value)
    assert "template without `restricted_pii`" in str(caught.value)


def test_a_restricted_template_refuses_a_profile_field_as_not_personal(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'phone' is personal data"):
        of(tmp_path, custom("tier") + "\n- {column: phone, pii: false}")


def test_a_column_is_personal_under_any_name_once_it_feeds_a_profile_field(
    tmp_path: Path,
) -> None:
    t = of(tmp_path, listed(["contact", "tier"]) + "\n- {column: contact, as: email}")
    assert [a.column for a in t.attributes] == ["tier"]
    assert t.withheld == ("About contact", "email")


def test_what_another_template_over_the_same_sql_sends_as_personal_is_so_here_too(
    tmp_path: Path,
) -> None:
    second = indent(
        dedent("""\
            - name: second
              attributes_sql: mine.sql
              audience: {high_value: {lifetime_value: 0}}
              attributes: [{column: contact, as: email}, {column: nick, as: N, type: string,
                           pii: true}]
        """),
        "    ",
    )
    sql = SQL.replace("c.nickname AS nick", "c.nickname AS nick, upper(c.mail_2) AS loud")
    t = of(tmp_path, listed(["contact", "tier", "nick", "loud"]), sql=sql, more=second)
    assert [a.column for a in t.attributes] == ["tier"]


def test_where_the_sql_cannot_be_followed_a_restricted_template_needs_pii(
    tmp_path: Path,
) -> None:
    sql = "SELECT COLUMNS('(.*)') AS 'x_\\1' FROM customers WHERE $as_of IS NOT NULL"
    with pytest.raises(ConfigurationError) as caught:
        of(tmp_path, custom("x_note"), sql=sql)
    assert "cannot follow mine.sql" in str(caught.value)
    assert "`pii: false`" in str(caught.value)
    t = of(tmp_path, custom("x_note", ", pii: false") + "\n" + custom("email"), sql=sql)
    assert [a.column for a in t.attributes] == ["x_note"]
    with pytest.raises(ConfigurationError, match="is personal data"):
        of(tmp_path, custom("email", ", pii: false"), sql=sql)


def test_a_restricted_template_does_not_identify_users_by_their_address(tmp_path: Path) -> None:
    text = document(template="restricted_pii: true\nidentifier_column: email")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f":{line_of(text, 'identifier_column')}:" in str(caught.value)
    assert "id of your own" in str(caught.value)


def test_a_group_of_a_restricted_template_may_name_what_is_not_sent(tmp_path: Path) -> None:
    text = document(
        template="""
        restricted_pii: true
        kind: campaign
        recipient_groups:
          - {name: all, where: "true", attributes: [external_id, email, Value Tier]}
        """
    )
    (t,) = load(tmp_path, text)
    assert t.groups[0].attributes == ("Value Tier",)


def test_elsewhere_they_are_personal_by_default_and_the_template_decides(tmp_path: Path) -> None:
    attributes = listed([*PERSONAL, *OTHERS]) + "\n" + custom("full_name", ", pii: false").replace(
        "About", "Public"
    )  # fmt: skip
    t = decide_personal(of(tmp_path, attributes, restricted=False), follow(SQL))
    assert [a.column for a in t.attributes if a.pii] == PERSONAL
    assert t.withheld == ()


def test_until_the_sql_was_followed_what_nobody_decided_is_personal(tmp_path: Path) -> None:
    t = of(tmp_path, listed(["tier", "email"]) + "\n" + custom("nick", ", pii: false"),
           restricted=False)  # fmt: skip
    assert [a.pii for a in t.attributes] == [True, True, False]


def test_where_it_cannot_be_followed_text_is_personal_and_numbers_are_not(tmp_path: Path) -> None:
    attributes = custom("tier") + "\n- {column: orders, as: Orders, type: integer}"
    t = decide_personal(of(tmp_path, attributes, restricted=False), Lineage())
    assert [a.pii for a in t.attributes] == [True, False]


def test_the_sample_has_nothing_personal_beside_its_profile_fields() -> None:
    from braze_pipeline.cli.context import DEFAULT_CONFIG, session

    for one in session(DEFAULT_CONFIG, None).templates:
        t = decide_personal(one, follow(one.attributes_sql.read_text(encoding="utf-8")))
        assert [a.name for a in t.attributes if a.pii] == [
            "first_name", "last_name", "email", "phone", "home_city", "country", "dob", "gender",
        ]  # fmt: skip
