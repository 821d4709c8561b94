"""DuckDB's errors say what is wrong with the SQL, and never what a customer's value is."""

from __future__ import annotations

import duckdb
import pytest

from braze_pipeline.sources.user_sql import reason

PERSON = ("Anna", "Smith", "O'Brien", "example", "491701234567")
_MISSING = 'Binder Error: Referenced column "nam" not found in FROM clause!'


def said(con: duckdb.DuckDBPyConnection, expression: str) -> str:
    con.execute(
        "CREATE OR REPLACE TABLE t AS SELECT 'Anna Smith' AS name, 'anna@example.com' AS mail, "
        "'+491701234567' AS phone, 'O''Brien \"x\"' AS quoted, 300 AS points"
    )
    with pytest.raises(duckdb.Error) as raised:
        con.execute(f"SELECT {expression} FROM t").fetchall()
    return reason(raised.value)


@pytest.mark.parametrize(
    "expression",
    [
        "error(name)",
        "error('bad row ' || name)",
        "error('Could not convert string ' || name)",
        "error('source column ' || name)",
        "error('bad: ' || quoted)",
        "format('{' || name || '}', 1)",
        "strptime(quoted, '%d')",
        "regexp_matches('a', '[' || mail)",
        "quoted::INT",
        "mail::DATE",
        "phone::TINYINT",
        "timezone(name, now())",
    ],
)
def test_a_message_that_quotes_a_value_is_masked_wherever_the_value_is(
    con: duckdb.DuckDBPyConnection, expression: str
) -> None:
    shown = said(con, expression)
    assert not [part for part in PERSON if part.lower() in shown.lower()], shown


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("name::INT", "Could not convert string 'xxxx xxxxx' to INT32 when casting from source "),
        ("name::INT", "source column name (line 1)"),
        ("points::TINYINT", "because the value is out of range for the destination type INT8"),
        (
            "points::DECIMAL(18, 4) * 99999999999::DECIMAL(18, 4)",
            "Overflow in multiplication of DECIMAL(18) (9999999 * 999999999999999).",
        ),
        (
            "(points * 1e12)::DECIMAL(9, 4)",
            "Could not cast value 999999999999999.999999 to DECIMAL(9,4)",
        ),
        ("(SELECT x FROM range(2) r(x))", "More than one row returned by a subquery used as an"),
        ("strptime(name, '%d')", 'Could not parse string "xxxx xxxxx"'),
        ("ln(points - 300)", "cannot take logarithm of zero"),
        ("nam", _MISSING),
    ],
)
def test_a_message_says_what_is_wrong_in_duckdbs_words(
    con: duckdb.DuckDBPyConnection, expression: str, message: str
) -> None:
    assert message in said(con, expression)


def test_vowel_signs_of_a_name_are_masked_like_its_letters() -> None:
    with duckdb.connect() as con, pytest.raises(duckdb.Error) as raised:
        con.execute("SELECT error('bad row ' || name) FROM (SELECT 'हिन्दी' AS name)").fetchall()
    assert not set(reason(raised.value)) & set("हिन्दी")
    assert "row" in reason(raised.value)
