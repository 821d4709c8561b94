"""What is expected of a customer: the papers' formulas, at any length of history."""

from __future__ import annotations

from itertools import product

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.predicted_value.bg_nbd import BOUNDS, expected_orders, probability_active

CDNOW = {"r": 0.243, "alpha": 30.9, "a": 0.793, "b": 2.426}
PARAMETERS = (
    CDNOW,
    {"r": 0.663, "alpha": 63.2, "a": 0.109, "b": 2.416},
    {"r": 5.0, "alpha": 300.0, "a": 0.3, "b": 0.4},
    {"r": 19.0, "alpha": 2_000.0, "a": 0.01, "b": 0.5},
    {"r": 0.01, "alpha": 1.0, "a": 4.0, "b": 90.0},
    # Where the paper's formula divides zero by zero: a = 1, and a + b = 1 without a repeat order.
    {"r": 0.5, "alpha": 20.0, "a": 1.0, "b": 2.0},
    {"r": 0.5, "alpha": 20.0, "a": 0.25, "b": 0.75},
)
HISTORIES = ((0, 0, 0), (0, 0, 700), (1, 3, 90), (7, 300, 330), (250, 1_000, 1_900))


def history(*numbers: float) -> tuple[np.ndarray, ...]:
    return tuple(np.array([float(number)]) for number in numbers)


def by_the_paper(p: dict[str, float], days: float, x: int, t_x: int, end: int) -> float:
    """Formula (10) of the paper as it is printed, with 80 digits.

    A parameter that is off by 1e-30 stands for the limit where the formula divides zero by zero.
    """
    with mpmath.workdps(80):
        r, alpha, a, b = (mpmath.mpf(p[name]) for name in ("r", "alpha", "a", "b"))
        a += mpmath.mpf(10) ** -30
        whole = (alpha + end) / (alpha + end + days)
        hyper = mpmath.hyp2f1(r + x, b + x, a + b + x - 1, days / (alpha + end + days))
        made = (a + b + x - 1) / (a - 1) * (1 - whole ** (r + x) * hyper)
        stopped = a / (b + x - 1) * ((alpha + end) / (alpha + t_x)) ** (r + x) if x else 0
        return float(made / (1 + stopped))


@pytest.mark.parametrize("p", PARAMETERS)
def test_expected_orders_are_those_of_the_papers_formula(p: dict[str, float]) -> None:
    for (x, t_x, end), days in product(HISTORIES, (30, 365)):
        found = expected_orders(p, days, *history(x, t_x, end))[0]
        assert found == pytest.approx(by_the_paper(p, days, x, t_x, end), rel=1e-8)


@pytest.mark.parametrize("corner", list(product((0, 1), repeat=4)))
def test_at_the_bounds_of_the_search_they_still_are(corner: tuple[int, ...]) -> None:
    p = {name: BOUNDS[name][side] for name, side in zip(BOUNDS, corner, strict=True)}
    for (x, t_x, end), days in product(HISTORIES, (30, 365)):
        found = expected_orders(p, days, *history(x, t_x, end))[0]
        assert found == pytest.approx(by_the_paper(p, days, x, t_x, end), rel=1e-6, abs=1e-12)


def test_long_histories_have_finite_numbers() -> None:
    repeats = np.array([1_000.0, 3_000.0, 5_000.0, 8_000.0])
    recency = np.array([3_900.0, 3_900.0, 9_000.0, 10_000.0])
    tenure = np.array([4_000.0, 3_901.0, 10_000.0, 10_000.0])
    for p in PARAMETERS:
        orders = expected_orders(p, 365, repeats, recency, tenure)
        active = probability_active(p, repeats, recency, tenure)
        assert np.isfinite(orders).all()
        assert ((active >= 0) & (active <= 1)).all()
    # Twice a day for ten years and still today: about as often in the next year.
    (often,) = expected_orders(CDNOW, 365, *history(7_300, 3_650, 3_650))
    assert often == pytest.approx(730, rel=0.1)


def test_a_customer_with_one_order_counts_as_active() -> None:
    assert probability_active(CDNOW, *history(0, 0, 3_000))[0] == 1


parameters = st.fixed_dictionaries({
    "r": st.floats(0.01, 19),
    "alpha": st.floats(0.5, 5_000),
    "a": st.floats(0.01, 40),
    "b": st.floats(0.01, 900),
})  # fmt: skip


@given(parameters, st.integers(1, 4_000), st.integers(0, 4_000), st.integers(0, 4_000))
def test_who_bought_more_recently_is_at_least_as_likely_active(
    p: dict[str, float], repeats: int, first: int, second: int
) -> None:
    earlier, later = sorted((first, second))
    tenure = float(later + 10)
    times = np.array([float(earlier), float(later)])
    both = (np.full(2, float(repeats)), times, np.full(2, tenure))
    active = probability_active(p, *both)
    assert 0 <= active[0] <= active[1] <= 1
    orders = expected_orders(p, 180, *both)
    assert 0 <= orders[0] <= orders[1] * (1 + 1e-9)


@given(
    parameters, st.integers(0, 4_000), st.integers(0, 4_000), st.integers(0, 4_000),
    st.integers(1, 700),
)  # fmt: skip
def test_expected_orders_grow_with_time_and_never_faster_than_the_rate_of_who_cannot_stop(
    p: dict[str, float], repeats: int, recency: int, more: int, days: int
) -> None:
    customer = history(repeats, recency if repeats else 0, recency + more)
    shorter, longer = (expected_orders(p, t, *customer)[0] for t in (days, days + 30))
    rate = (p["r"] + repeats) / (p["alpha"] + recency + more)
    assert 0 <= shorter <= longer * (1 + 1e-7) + 1e-12
    assert shorter <= rate * days * (1 + 1e-7)
