"""What SQL reads, it reads as the readers do; the rest it leaves to them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import date

import duckdb
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.profiles import cache
from braze_pipeline.profiles.normalise import READERS, by_sql, contact
from braze_pipeline_tests.profiles_world import World

KINDS = ("mobile", "fixed_line", "toll_free", "premium_rate", "shared_cost", "voip", "uan", "pager")
SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda digits: digits,
    lambda digits: f"({digits[:4]}) {digits[4:]}",
    lambda digits: f"{digits[:3]} {digits[3:6]}-{digits[6:]}",
    lambda digits: f"{digits[:2]}.{digits[2:]}",
    lambda digits: f"{digits} ",
    lambda digits: f"{digits} x12",
    lambda digits: f"{digits[:3]}/{digits[3:]}",
    lambda digits: f"{digits[:-1]}-{digits[-1]}",
    lambda digits: f"{digits[:-2]} - {digits[-2:]}",
    lambda digits: f"{digits} (1)",
    lambda digits: f"{digits}.0",
)


def numbers_of(region: str, chance: random.Random) -> set[str]:
    """Numbers of a country, some of them not assigned, in many spellings."""
    found: set[str] = set()
    plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
    assert plan is not None
    code, prefix = str(plan.country_code), plan.national_prefix or "0"
    for kind in KINDS:
        part = getattr(plan, kind)
        example = part and part.example_number
        if not example:
            continue
        for _ in range(2):
            digits = list(example)
            for _ in range(chance.randrange(4)):
                digits[chance.randrange(len(digits))] = chance.choice("0123456789")
            number = "".join(digits)[: len(digits) - (chance.random() < 0.1)]
            for begin in ("", "0", prefix, code, "+" + code, "00" + code, "+00" + code,
                          f"+{code} (0)", "(+" + code + ")", "011", "1", "8"):  # fmt: skip
                found.add(chance.choice(SPELLINGS)(begin + number).strip())
    for size in range(1, 19):
        for begin in ("", "0", prefix, code):
            number = "".join(chance.choice("0123456789") for _ in range(size))
            found.add(chance.choice(SPELLINGS)(begin + number).strip())
    return found


def read(pairs: list[tuple[str, str]], found: by_sql.InSql) -> list[tuple[str, str, str, str]]:
    with duckdb.connect() as con:
        table = pa.table({"params": [p for p, _ in pairs], "raw": [r for _, r in pairs]})
        con.register("pairs", table)
        return con.execute(
            f"SELECT params, raw, value, problem FROM (SELECT *, {found.value} AS value, "
            f"{found.problem} AS problem FROM (SELECT *, {found.text} AS text FROM pairs))"
        ).fetchall()


def test_numbers_of_every_country_are_read_as_the_library_reads_them() -> None:
    chance = random.Random(7)
    known, wrong, read_by_sql = 0, [], set()
    problems: Counter[str | None] = Counter()
    regions = sorted(phonenumbers.SUPPORTED_REGIONS)
    for start in range(0, len(regions), 25):
        some = regions[start : start + 25]
        pairs = sorted(
            {
                ("" if contact._INTERNATIONAL.match(raw) else region, raw)
                for region in some
                for raw in numbers_of(region, chance)
            }
            | {("", raw) for region in some for raw in numbers_of(region, chance)}
        )
        for params, raw, value, problem in read(pairs, by_sql.phone(["", *some])):
            if value is not None or problem is not None:
                known += 1
                read_by_sql.add(params)
                problems[problem] += value is None
                if contact.phone(raw, params) != (value, None if value else problem):
                    wrong.append((params, raw, value, problem))
    assert wrong == []
    assert known > 10_000
    assert problems["phone_wrong_length"] > 1_000
    assert problems["phone_not_assigned"] > 1_000
    assert {"", "GB", "DE", "FR", "IT", "ES", "US", "IN", "NL", "PL", "SE"} <= read_by_sql


addresses = st.one_of(
    st.from_regex(r"\A[A-Za-z0-9._+-]{1,25}@[A-Za-z0-9.-]{1,25}\.[A-Za-z]{1,13}\Z"),
    st.from_regex(r"\A[ -~]{1,30}\Z"),
    st.text(max_size=20),
    st.sampled_from(
        [
            "A@x.LOCAL",
            "a@XN--b.com",
            "\u212a@x.org",
            "a@b.Test",
            "mailto:a@b.org",
            "a(at)b.org",
            "a b",
        ]
    ),
)


@settings(max_examples=60)
@given(raws=st.lists(addresses.filter(lambda text: text < "\ud800" or text.isascii()), max_size=30))
def test_addresses_are_read_as_the_library_reads_them(raws: list[str]) -> None:
    pairs = [("", raw.strip()) for raw in raws if raw.strip()]
    for _, raw, value, problem in read(pairs, by_sql.email([])):
        outcome = contact.email(raw)
        if value is not None:
            assert outcome.value == value
        elif problem is not None:
            assert outcome.problem == problem


def test_what_sql_cannot_read_goes_to_the_readers_and_all_count_as_new(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MANY", 1)
    raws = ["07911 123456", "020 7946 0958", "07911 123456 ext. 3", "12", "+44 7911 123456"]
    pairs = " UNION ALL ".join(
        f"SELECT '{'' if raw.startswith('+') else 'GB'}' AS params, '{raw}' AS raw" for raw in raws
    )
    assert cache.read_new(world.con, kind="phone", pairs=pairs, today=date(2026, 1, 1)) == len(raws)
    found = world.con.execute(f"SELECT params, raw, value, problem FROM {cache.TABLE}").fetchall()
    assert len(found) == len(raws)
    for params, raw, value, problem in found:
        assert READERS["phone"].read(raw, params) == (value, problem)
