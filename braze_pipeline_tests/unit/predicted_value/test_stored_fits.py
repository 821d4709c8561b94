"""Fits and predictions in the warehouse: bands that hold near a border, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.predicted_value import Fit
from braze_pipeline.predicted_value.step import state_of
from braze_pipeline.predicted_value.stored_fits import (
    StoredFit,
    drop_unneeded,
    drop_unused,
    fits_of,
    in_force,
    store_fit,
    store_predictions,
)
from braze_pipeline.settings import Bands, PredictedValue, SourceSettings, TemplateSettings, replace
from braze_pipeline_tests.ledger_world import template

NOW = datetime(2026, 6, 1)  # noqa: DTZ001 - UTC without a time zone, as in the tables
BANDS = Bands(names=("low", "medium", "high"), borders=(50, 200), hold=0.1)


def predicting(**more: Any) -> TemplateSettings:
    more.setdefault("predicted_value", PredictedValue(bands=BANDS))
    return template(predicts=True, **more)


def fit(
    day: date, *, published: str | None = "model", horizon: int = 365, tested: int | None = None
) -> Fit:
    return Fit(
        fit_id=f"{day}-{horizon}", as_of=day, horizon_days=horizon, first_day=None, last_day=None,
        customers=1, repeat_customers=1, groups=1, parameters={}, backtest=(), backtest_days=tested,
        published=published, refused=() if published else ("Too few.",),
    )  # fmt: skip


def made_at_once(*fits: Fit) -> list[StoredFit]:
    return [StoredFit(fit=one, made_at=NOW) for one in fits]


def keep(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    made: Fit,
    values: Mapping[str, float] | None = None,
    *,
    now: datetime = NOW,
) -> None:
    store_fit(con, t, made, now=now)
    if values is not None:
        before = in_force(fits_of(con, t).values(), made.as_of - timedelta(days=1))
        rows = ", ".join(f"('{name}', {value}::DOUBLE)" for name, value in values.items())
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE scored AS SELECT *, 1.0 AS expected_orders, "
            f"1.0 AS expected_order_value, 0.5 AS probability_active, '{made.fit_id}' AS fit_id "
            f"FROM (VALUES {rows}) AS v(customer_id, predicted_clv)"
        )
        store_predictions(con, t, made, "scored", before=before, now=now)


def bands(con: duckdb.DuckDBPyConnection, day: date) -> dict[str, str]:
    return dict(
        con.execute(
            "SELECT customer_id, predicted_band FROM records.predictions WHERE predicted_on = ?",
            [day],
        ).fetchall()
    )


def month(number: int) -> date:
    return date(2026, number, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # Around the border of 50, up to a tenth to either side, the first band stays.
        ([49, 51, 54.9, 49, 46], ["low", "low", "low", "low", "low"]),
        ([51, 49, 45, 51, 46], ["medium", "medium", "medium", "medium", "medium"]),
        # Past the border by more than that, it changes, once.
        ([49, 55, 49, 44.9, 51], ["low", "medium", "medium", "low", "low"]),
        # Two borders at once.
        ([10, 300, 190, 179, 10], ["low", "high", "high", "medium", "low"]),
        # Exactly on a border begins the upper band.
        ([50, 200, 220, 180, 0], ["medium", "medium", "high", "high", "low"]),
    ],
)
def test_a_customer_near_a_border_does_not_change_back_and_forth(
    con: duckdb.DuckDBPyConnection, values: list[float], expected: list[str]
) -> None:
    t = predicting()
    for number, value in enumerate(values, start=1):
        keep(con, t, fit(month(number)), {"a": value})
    assert [bands(con, month(n))["a"] for n in range(1, len(values) + 1)] == expected


def test_without_a_hold_every_border_counts(con: duckdb.DuckDBPyConnection) -> None:
    t = predicting(
        predicted_value=PredictedValue(bands=Bands(names=("a", "b"), borders=(50,), hold=0))
    )
    for number, value in enumerate([49, 51, 49], start=1):
        keep(con, t, fit(month(number)), {"x": value})
    assert [bands(con, month(n))["x"] for n in (1, 2, 3)] == ["a", "b", "a"]


def test_a_band_that_is_no_longer_configured_holds_nobody(con: duckdb.DuckDBPyConnection) -> None:
    keep(con, predicting(), fit(month(1)), {"a": 49.0})
    renamed = predicting(
        predicted_value=PredictedValue(bands=Bands(names=("small", "big"), borders=(50,)))
    )
    keep(con, renamed, fit(month(2)), {"a": 51.0, "new": 51.0})
    assert bands(con, month(2)) == {"a": "big", "new": "big"}


def test_only_published_fits_up_to_the_day_are_in_force() -> None:
    fits = made_at_once(fit(month(1)), fit(month(2), published=None), fit(month(3)))
    days = (date(2025, 12, 31), month(1), date(2026, 2, 15), date(2026, 3, 15))
    found = [in_force(fits, day) for day in days]
    assert [one and one.as_of for one in found] == [None, month(1), month(1), month(3)]


def test_a_fit_made_after_a_later_refusal_changes_no_day_since_it(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """Those days have run with the fit that the refusal left in force."""

    def used(*numbers: int) -> list[int | None]:
        stored = fits_of(con, t).values()
        found = [in_force(stored, month(number)) for number in numbers]
        return [one.as_of.month if one else None for one in found]

    def later(days: int) -> datetime:
        return NOW + timedelta(days=days)

    t = predicting()
    keep(con, t, fit(month(1)))
    keep(con, t, fit(month(3), published=None), now=later(1))
    keep(con, t, fit(month(4), published=None), now=later(2))
    keep(con, t, fit(month(2)), now=later(3))
    assert used(1, 2, 3, 4) == [1, 2, 1, 1]
    # One made again, because its orders were wrong, counts for the days that used it.
    keep(con, t, fit(month(1)), now=later(4))
    assert used(1, 2, 3, 4) == [1, 2, 1, 1]
    # A refusal that was asked for again leaves in force what is known by then.
    keep(con, t, fit(month(3), published=None), now=later(5))
    assert used(1, 2, 3, 4) == [1, 2, 2, 1]


def test_predictions_that_a_refusal_left_in_force_are_kept(con: duckdb.DuckDBPyConnection) -> None:
    t, old = predicting(history_days=35), NOW - timedelta(days=40)
    keep(con, t, fit(month(1)), {"a": 1.0}, now=old)
    keep(con, t, fit(month(4), published=None), now=old + timedelta(days=1))
    keep(con, t, fit(month(2)), {"a": 1.0}, now=old + timedelta(days=2))
    drop_unneeded(con, t, now=NOW)
    assert [day.month for day, one in fits_of(con, t).items() if one.stored] == [1, 2]


def test_predictions_are_kept_for_the_days_of_the_history_and_fits_for_good(
    con: duckdb.DuckDBPyConnection,
) -> None:
    t = predicting(history_days=35)
    for number in range(1, 6):
        keep(con, t, fit(month(number)), {"a": 1.0}, now=NOW - timedelta(days=40))
    # Another destination's, and those that a backfill just made, are left alone.
    other = predicting(destination=t.destination.model_copy(update={"name": "other"}))
    keep(con, other, fit(date(2020, 1, 1)), {"a": 1.0}, now=NOW - timedelta(days=40))
    keep(con, t, fit(date(2020, 1, 1)), {"a": 1.0})
    drop_unneeded(con, t, now=NOW)
    kept = con.execute(
        "SELECT destination, predicted_on FROM records.predictions ORDER BY ALL"
    ).fetchall()
    # 27 March is 35 days before 1 May: the fit of 1 March was in force then.
    assert kept == [
        ("braze", date(2020, 1, 1)), *(("braze", month(n)) for n in (3, 4, 5)),
        ("other", date(2020, 1, 1)),
    ]  # fmt: skip
    assert [one.stored for one in fits_of(con, t).values()] == [
        True,
        False,
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("t", "left"),
    [
        pytest.param(predicting(), 1, id="computed"),
        pytest.param(predicting(predicted_value=None), 0, id="switched off"),
        pytest.param(template(predicted_value=PredictedValue(bands=BANDS)), 1, id="not read"),
        pytest.param(
            replace(
                template(predicted_value=PredictedValue(bands=BANDS)),
                sources=(SourceSettings(name="predictions", database=Path("o"), relation="clv"),),
            ),
            0,
            id="an own table in a database",
        ),
    ],
)
def test_predictions_of_a_destination_that_has_others_are_deleted_and_its_fits_stay(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, left: int
) -> None:
    other = predicting(destination=t.destination.model_copy(update={"name": "other"}))
    for one in (predicting(), other):
        keep(con, one, fit(month(1)), {"a": 1.0})
    drop_unused(con, t)
    kept = con.execute("SELECT destination FROM records.predictions ORDER BY ALL").fetchall()
    assert kept == [("braze",)] * left + [("other",)]
    assert [one.stored for one in fits_of(con, predicting()).values()] == [bool(left)]


@pytest.mark.parametrize(
    ("fits", "day", "expected"),
    [
        ([], month(2), "Nothing was computed yet. Next refit: 2026-03-01."),
        (
            [fit(month(1))],
            month(1),
            (
                "In force: the fit of 2026-01-01 (model, 1 customers, 365 days ahead). Next refit: "
                "2026-02-01."
            ),
        ),
        (
            [fit(month(1)), fit(month(2), published=None)],
            month(2),
            (
                "The refit of 2026-02-01 was refused: Too few. In force: the fit of 2026-01-01 "
                "(model, 1 customers, 365 days ahead). Next refit: 2026-03-01."
            ),
        ),
        (
            [fit(month(2), published=None)],
            month(2),
            (
                "The refit of 2026-02-01 was refused: Too few. There was no earlier one, so nobody "
                "has a prediction. Next refit: 2026-03-01."
            ),
        ),
        (
            [fit(month(1), tested=180)],
            date(2026, 12, 31),
            (
                "In force: the fit of 2026-01-01 (model, 1 customers, 365 days ahead, tested "
                "on 180). No refit follows."
            ),
        ),
    ],
)
def test_one_sentence_says_what_a_day_uses(fits: list[Fit], day: date, expected: str) -> None:
    t = predicting(end_date=date(2026, 12, 31))
    newest = fits[-1] if fits else None
    assert state_of(made_at_once(*fits), t, day, newest=newest).sentence() == expected


def test_fits_of_another_horizon_are_other_fits(con: duckdb.DuckDBPyConnection) -> None:
    keep(con, predicting(), fit(month(1)), {"a": 1.0})
    shorter = predicting(predicted_value=PredictedValue(horizon_days=90))
    assert fits_of(con, shorter) == {}
    keep(con, shorter, fit(month(1), horizon=90), {"a": 0.5})
    assert len(fits_of(con, predicting())) == len(fits_of(con, shorter)) == 1


def test_a_fit_is_read_as_it_was_written(con: duckdb.DuckDBPyConnection) -> None:
    made = fit(month(1), published=None)
    keep(con, predicting(), made)
    assert [one.fit for one in fits_of(con, predicting()).values()] == [made]
