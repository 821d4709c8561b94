"""The parameters that the two models find: those of the papers, and those of drawn customers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from braze_pipeline.predicted_value import bg_nbd, gamma_gamma
from braze_pipeline_tests.unit.predicted_value.worlds import TRUTH, draw, grouped

SAMPLE = Path(__file__).parents[2] / "corpora" / "cdnow" / "cdnow_sample.csv"


def cdnow() -> np.ndarray:
    """Columns: repeat purchases, recency and tenure in days, mean repeat value, customers."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return np.array(list(csv.reader(file))[1:], dtype=float).T


def test_the_orders_of_cdnow_have_the_parameters_of_the_paper() -> None:
    """Fader, Hardie and Lee (2005), table 2; the paper counts in weeks."""
    repeats, recency, tenure, _, customers = cdnow()
    found = bg_nbd.fit(bg_nbd.OrderGroups(repeats, recency, tenure, customers)).parameters
    assert found["r"] == pytest.approx(0.243, abs=0.0005)
    assert found["alpha"] / 7 == pytest.approx(4.414, abs=0.0005)
    assert found["a"] == pytest.approx(0.793, abs=0.0005)
    assert found["b"] == pytest.approx(2.426, abs=0.0005)


def test_the_order_values_of_cdnow_have_the_parameters_of_the_note() -> None:
    """Fader and Hardie (2013), on the customers with repeat purchases."""
    repeats, _, _, value, customers = cdnow()
    again = repeats > 0
    found = gamma_gamma.fit(
        gamma_gamma.ValueGroups(repeats[again], value[again], customers[again])
    ).parameters
    assert found["p"] == pytest.approx(6.25, abs=0.005)
    assert found["q"] == pytest.approx(3.74, abs=0.005)
    assert found["v"] == pytest.approx(15.44, abs=0.01)


def test_the_parameters_of_drawn_customers_are_found_within_their_standard_errors() -> None:
    """Of many, two thirds are within one standard error, and nearly all within three."""
    off = []
    for seed in range(1, 9):
        histories = draw(3_000, 600, seed=seed)
        sizes = np.array([float(len(times)) for _, times, _ in histories])
        means = np.array([values.mean() for _, _, values in histories])
        orders = bg_nbd.fit(grouped(histories, 600))
        values = gamma_gamma.fit(gamma_gamma.ValueGroups(sizes, means, np.ones(len(sizes))))
        for found in (orders, values):
            for name, value in found.parameters.items():
                off.append((value - TRUTH[name]) / found.errors[name])
    distances = np.abs(off)
    assert len(distances) == 8 * len(TRUTH)
    # The parameters of a model go together, so these are fewer than 56 independent draws.
    assert 0.5 < (distances < 1).mean() < 0.85
    assert distances.max() < 3.5
