"""Phone numbers as people write them: read where they can mean one number only."""

from __future__ import annotations

import pytest

from braze_pipeline.profiles.normalise import contact


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("07911 123456", "GB", "+447911123456"),
        ("(020) 7946 0018", "GB", "+442079460018"),
        ("+44 (0)7911 123456", "FR", "+447911123456"),
        ("00447911123456", "", "+447911123456"),
        ("＋44 7911 123456", "", "+447911123456"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("0151 23456789", "DE", "+4915123456789"),
        ("tel:+44-7911-123456", "", "+447911123456"),
        ("07911 123456", "", "phone_without_country"),
        ("0000000000", "GB", "phone_not_assigned"),
        ("123", "GB", "phone_wrong_length"),
        ("+999 123456", "", "phone_unknown_calling_code"),
        ("07911 123456", "AQ", "phone_without_country"),
        ("call me", "GB", "phone_unreadable"),
        ("030/1234567", "DE", "+49301234567"),
        ("0171-1234567", "DE", "+491711234567"),
        ("030-12-34-56", "DE", "+4930123456"),
        ("06-12-34-56-78", "FR", "+33612345678"),
        ("06.12.34.56.78", "FR", "+33612345678"),
        ("06/12/34/56/78", "FR", "+33612345678"),
        ("+49 (0)171 / 1234567", "", "+491711234567"),
        ("+1 (212) 555-01-23", "", "+12125550123"),
        ("8 (495) 123-45-67", "RU", "+74951234567"),
        ("tel:+261-20-21-234-56", "", "+261202123456"),
        ("+44\u00a07911\u00a0123456,", "", "+447911123456"),
        ("\u0660\u0665\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "SA", "+966501234567"),
        ("\uff10\uff13\u30fc1234\u30fc5678", "JP", "+81312345678"),
    ],
)
def test_phones_as_people_write_them(raw: str, region: str, expected: str) -> None:
    outcome = contact.phone(raw, region)
    assert (outcome.value or outcome.problem) == expected


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("+43 660 1234O56", ""),
        ("0660 1234O56", "AT"),
        ("030 1234S678", "DE"),
        ("347 123456I", "IT"),
        ("+447700900l23", ""),
        ("O7911 123456", "GB"),
        ("O 7911 123456", "GB"),
        ("+44 (O)7911 123456", ""),
        ("+49 171 xxx4567", ""),
        ("+49 1512 345678x", ""),
        ("1-800-FLOWERS", "US"),
    ],
)
def test_a_letter_among_the_digits_is_never_left_out(raw: str, region: str) -> None:
    assert contact.phone(raw, region).problem == "phone_unreadable"


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("+447700-900#123", ""),
        ("+49 30 1234#5678", ""),
        ("+49 30 1234*678", ""),
        ("+49 30 1234;678", ""),
        ("+49 30 1234,5678", ""),
        ("+49 171 1234567 / 8", ""),
        ("+49 171 1234567-8", ""),
        ("+49 171 1234567\u20138", ""),
        ("+49 171 123 45 67-8", ""),
        ("+49 171 1234567 (8)", ""),
        ("030/1234567-89", "DE"),
        ("030 12345/23456", "DE"),
        ("030/1234567-0 o. 89", "DE"),
        ("01/234 56 78 DW 9", "AT"),
        ("1711234567.0", "DE"),
    ],
)
def test_a_second_number_or_ending_is_never_added_to_the_first(raw: str, region: str) -> None:
    assert contact.phone(raw, region).problem == "phone_unreadable"


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("Tel. 030 1234567", "DE", "+49301234567"),
        ("M: 0171 1234567", "DE", "+491711234567"),
        ("Tel./Fax: 030 1234567", "DE", "+49301234567"),
        ("T +49 171 1234567", "AT", "+491711234567"),
        ("+1 (650) 253-0000 x12", "", "+16502530000"),
        ("tel:+1-650-253-0000;ext=12", "", "+16502530000"),
        ("07911 123456 ext. 3", "GB", "+447911123456"),
    ],
)
def test_a_label_and_an_extension_are_no_part_of_the_number(
    raw: str, region: str, expected: str
) -> None:
    assert contact.phone(raw, region).value == expected
