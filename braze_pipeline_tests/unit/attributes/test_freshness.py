"""Late, empty and unusable sources are reported, and good ones are not."""

# ruff: noqa: DTZ001 (times of sources have no zone: they are local)

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import duckdb
import pytest

from braze_pipeline.attributes.freshness import evaluate_sources
from braze_pipeline.orchestration.checks import source_result
from braze_pipeline.settings import SourceChecks, SourceSettings, replace
from braze_pipeline.sources import SourceInfo
from braze_pipeline_tests.shop import Consent, Line, Shop, build, template

DAY = date(2011, 12, 9)
NOW = datetime(2011, 12, 10, 3, 30)
NOON = datetime(2011, 12, 9, 12)
SOURCES = tuple(
    SourceSettings(name=name, optional=name == "predictions")
    for name in ("customers", "orders", "consents", "predictions")
)


def line(number: int = 0, *, days_ago: int = 0, customer: str | None = "1") -> Line:
    return Line(f"o{number}", customer, NOON - timedelta(days=days_ago), "1", "BAG", 1, 100)


def failed_checks(
    con: duckdb.DuckDBPyConnection,
    lines: Sequence[Line],
    *,
    consent_days_ago: int = 0,
    as_of: date = DAY,
    checks: SourceChecks | None = None,
    empty: str = "predictions",
) -> list[str]:
    """What does not pass, over one customer."""
    consent = Consent("1", "email", True, NOON - timedelta(days=consent_days_ago))
    Shop(customers=["1"], lines=list(lines), consents=[consent]).attach(con)
    t = replace(template(), sources=SOURCES, source_checks=checks or SourceChecks())
    found = build(con, t, as_of, now=NOW)
    infos = [
        SourceInfo(
            name=source.name,
            location="here",
            rows=0 if source.name == empty else 1,
            columns=(),
            newest=None,
        )
        for source in SOURCES
    ]
    return [one.sentence() for one in evaluate_sources(t, infos, found) if not one.passed]


def test_sources_of_the_day_pass_and_an_optional_one_may_be_empty(
    con: duckdb.DuckDBPyConnection,
) -> None:
    assert failed_checks(con, [line()]) == []


@pytest.mark.parametrize(("days_ago", "late"), [(3, False), (4, True)])
def test_orders_that_end_before_the_day_are_late(
    con: duckdb.DuckDBPyConnection, days_ago: int, late: bool
) -> None:
    expected = (
        "orders: saw the newest row of 2011-12-05, 4 days before 2011-12-09; allowed: 3 days "
        "before the as-of date."
    )
    assert failed_checks(con, [line(days_ago=days_ago)]) == ([expected] if late else [])


def test_an_older_day_of_the_same_sources_is_not_late(con: duckdb.DuckDBPyConnection) -> None:
    lines = [line(1, days_ago=30), line(2)]
    assert failed_checks(con, lines, as_of=DAY - timedelta(days=20)) == []


def test_a_date_that_has_not_come_yet_does_not_hide_that_orders_are_late(
    con: duckdb.DuckDBPyConnection,
) -> None:
    (found,) = failed_checks(con, [line(1, days_ago=9), line(2, days_ago=-365)])
    assert "newest row of 2011-11-30" in found


def test_consents_may_be_older_than_orders_but_not_for_ever(
    con: duckdb.DuckDBPyConnection,
) -> None:
    assert failed_checks(con, [line()], consent_days_ago=30) == []
    (found,) = failed_checks(con, [line()], consent_days_ago=31)
    assert found.startswith("consents: saw the newest row of 2011-11-08, 31 days before")


def test_a_required_table_without_rows_is_reported(con: duckdb.DuckDBPyConnection) -> None:
    (found,) = failed_checks(con, [line()], empty="consents")
    assert found == "consents: saw 0 rows; allowed: at least 1."


def test_unusable_lines_are_reported_and_those_of_guests_are_not(
    con: duckdb.DuckDBPyConnection,
) -> None:
    good = [line(n) for n in range(4)]
    guests = [line(n, customer=None) for n in range(10, 90)]
    assert failed_checks(con, [*good, *guests, line(5, customer="7")]) == []
    lost = [line(n, customer="7") for n in range(20, 45)]
    (found,) = failed_checks(con, [*good, *guests, *lost])
    assert "22.9% of 109 lines incomplete (0) or of unknown customers (25)" in found


def test_lines_that_came_after_an_older_day_do_not_count_against_it(
    con: duckdb.DuckDBPyConnection,
) -> None:
    later = [line(n)._replace(pence=None) for n in (2, 3)]
    found = failed_checks(con, [line(1, days_ago=30), *later], as_of=DAY - timedelta(days=30))
    assert found == []


def test_each_limit_can_be_switched_off(con: duckdb.DuckDBPyConnection) -> None:
    off = SourceChecks(
        orders_within_days=None, consents_within_days=None, max_lost_lines_share=None
    )
    lines = [line(1, days_ago=300), line(2, days_ago=300, customer="7")]
    assert failed_checks(con, lines, consent_days_ago=300, checks=off) == []
    assert len(failed_checks(con, lines, consent_days_ago=300)) == 3


def test_without_a_date_to_look_at_the_check_says_that_nothing_is_known(
    con: duckdb.DuckDBPyConnection,
) -> None:
    t = replace(template(), sources=SOURCES)
    Shop(customers=["1"], lines=[line()], consents=[]).attach(con)
    found = build(con, t, DAY, now=NOW)
    undated = dataclasses.replace(found, newest_order=None, newest_consent=None)
    assert "as new and as complete as 2011-12-09" in str(source_result(t, [], found).description)
    result = source_result(t, [], undated)
    assert result.passed
    assert result.description is not None
    assert result.description.startswith("How new the source tables are is not known")
