"""What people write by hand is read, or the error says what is wrong with it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.user_input import did_you_mean, parse_date, read_text


def test_the_closest_name_is_suggested_in_its_own_spelling() -> None:
    assert did_you_mean("LIFETIME_VALU", ["email", "Lifetime_Value"]) == (
        " Did you mean 'Lifetime_Value'?"
    )


def test_nothing_is_suggested_when_no_name_is_close() -> None:
    assert did_you_mean("x", ["email", "phone"]) == ""


def test_a_date_is_year_month_day() -> None:
    assert parse_date("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "text", ["2024-2-9", "20240229", "2024-W09-4", "2023-02-29", "2024-02-29 ", "٢٠٢٤-٠٢-٢٩", ""]
)
def test_any_other_form_of_a_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(text)


def test_text_is_utf_8_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.sql"
    file.write_bytes("ä".encode("utf-8-sig"))
    assert read_text(file) == "ä"
    file.write_bytes("a\nä".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"a\.sql:2: not UTF-8"):
        read_text(file)
    with pytest.raises(ConfigurationError, match=r"b\.sql cannot be read: No such file"):
        read_text(tmp_path / "b.sql")
