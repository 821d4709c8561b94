"""A masked value shows a format and no content, in Python and in SQL alike."""

from __future__ import annotations

import sys
import unicodedata

import duckdb
import pytest

from braze_pipeline.storage.masking import mask, mask_sql

TEXTS = {
    "latin": ("Zoë O'Neil-2", "xxx x'xxxx-9"),
    "combining accent": ("Zoe\u0308", "xxxx"),
    "hindi": ("प्रिया १२", "xxxxxx 99"),
    "thai": ("ดวงใจ ๑", "xxxxx 9"),
    "arabic": ("مُحَمَّد ٣", "xxxxxxxx 9"),
    "hebrew": ("שָׁלוֹם", "xxxxxxx"),
    "tamil": ("கௌரி", "xxxx"),
    "chinese": ("王小明 三", "xxx x"),
    "korean": ("김민수", "xxx"),
    "other numbers": ("5½ ² Ⅷ", "99 9 9"),
    "long": ("é" * 39 + "12", "x" * 39 + "…"),
}


def in_sql(*texts: str) -> list[str | None]:
    with duckdb.connect() as con:
        rows = con.execute(f"SELECT {mask_sql('t')} FROM (SELECT unnest(?) AS t)", [list(texts)])
        return [row[0] for row in rows.fetchall()]


@pytest.mark.parametrize(("text", "shape"), TEXTS.values(), ids=list(TEXTS))
def test_no_letter_vowel_or_digit_of_a_name_is_shown_in_any_script(text: str, shape: str) -> None:
    assert mask(text) == shape
    assert in_sql(text) == [shape]


def test_python_and_sql_mask_every_character_alike() -> None:
    # Of Unicode 3.2, which every version of Python and DuckDB knows.
    known = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.ucd_3_2_0.category(char) not in {"Cn", "Cs", "Co"}
    ]
    shown = in_sql(*known)
    differ = [ascii(char) for char, shape in zip(known, shown, strict=True) if mask(char) != shape]
    assert not differ
