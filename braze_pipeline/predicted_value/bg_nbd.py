"""BG/NBD: how often customers order, and when they stop.

P. S. Fader, B. G. S. Hardie and K. L. Lee, "Counting Your Customers" the Easy Way: An Alternative
to the Pareto/NBD Model, Marketing Science 24 (2005). While active, a customer orders at a rate of
their own; after each repeat order they stop with a probability of their own. Rates are distributed
as Gamma(r, alpha), probabilities as Beta(a, b). All that counts of a customer is the number of
repeat orders ``x``, the time ``t_x`` from the first order to the last, and the time ``T`` from the
first order to the end of the data. Times are in days.

A customer with one order has had no occasion to stop, so the model counts each of them as active.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from braze_pipeline.predicted_value.likelihood import Maximum, maximise, special_functions

if TYPE_CHECKING:
    from braze_pipeline.predicted_value.likelihood import Floats

BOUNDS = {"r": (1e-3, 20.0), "alpha": (0.1, 1e6), "a": (1e-3, 50.0), "b": (1e-3, 1000.0)}
"""Within them every formula below is exact to six digits; beyond, customers hardly differ."""


@dataclass(frozen=True)
class OrderGroups:
    """Customers with the same history: one number of each array for each group.

    Attributes:
        repeats: ``x``.
        recency: ``t_x`` in days; 0 without a repeat order.
        tenure: ``T`` in days.
        customers: How many customers the group has.
    """

    repeats: Floats
    recency: Floats
    tenure: Floats
    customers: Floats


def fit(groups: OrderGroups) -> Maximum:
    """The parameters r, alpha, a and b of maximum likelihood.

    Raises:
        Refused: see ``maximise``.
    """
    import numpy as np

    special = special_functions()
    psi, gammaln = special.digamma, special.gammaln
    n, again = groups.customers, groups.repeats > 0
    # What depends on x alone is computed once for each x.
    x, of_group = np.unique(groups.repeats, return_inverse=True)
    of_x = np.bincount(of_group, n, len(x))

    def likelihood(values: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = values
        end, last = alpha + groups.tenure, alpha + groups.recency
        ends, lasts, rates = np.log(end), np.log(last), r + groups.repeats
        # The customer is still active, or stopped after the last order: the odds of the second.
        chances = np.where(x > 0, a / np.maximum(b + x - 1, 1e-300), 1)
        odds = np.where(again, np.log(chances)[of_group] + rates * (ends - lasts), 0)
        smaller = np.exp(-np.abs(odds))
        stopped = np.where(again, np.where(odds > 0, 1, smaller) / (1 + smaller), 0)
        both = np.where(again, np.maximum(odds, 0) + np.log1p(smaller), 0)
        by_x = (
            gammaln(r + x) - gammaln(r) + r * np.log(alpha)
            + special.betaln(a, b + x) - special.betaln(a, b)
        )  # fmt: skip
        gone = np.bincount(of_group, n * stopped, len(x))
        gradient = np.array([
            np.dot(of_x, psi(r + x) - psi(r) + np.log(alpha))
            - np.dot(n, ends - stopped * (ends - lasts)),
            np.dot(n, r / alpha - rates * ((1 - stopped) / end + stopped / last)),
            np.dot(of_x, psi(a + b) - psi(a + b + x)) + gone.sum() / a,
            np.dot(of_x, psi(b + x) - psi(b) + psi(a + b) - psi(a + b + x))
            - np.dot(gone, chances) / a,
        ])  # fmt: skip
        return float(np.dot(of_x, by_x) + np.dot(n, both - rates * ends)), gradient

    time = float(np.average(groups.tenure, weights=n)) + 1
    return maximise(
        likelihood,
        what="orders",
        bounds=BOUNDS,
        starts=[(0.5, time / 4, 1, 3), (1, time, 0.2, 5), (0.1, time / 20, 0.5, 0.5)],
        customers=float(n.sum()),
    )


def probability_active(
    p: Mapping[str, float], repeats: Floats, recency: Floats, tenure: Floats
) -> Floats:
    """The probability that a customer has not stopped by the end of the data."""
    import numpy as np

    chances = np.maximum(p["b"] + repeats - 1, 1e-300)
    odds = np.log(p["a"] / chances) + (p["r"] + repeats) * np.log1p(
        (tenure - recency) / (p["alpha"] + recency)
    )
    active: Floats = np.where(repeats > 0, special_functions().expit(-odds), 1.0)
    return active


def expected_orders(
    p: Mapping[str, float], days: float, repeats: Floats, recency: Floats, tenure: Floats
) -> Floats:
    """How many orders a customer is expected to make in the ``days`` after the end of the data.

    The paper's formula (10) has a hypergeometric function that overflows for long histories, and
    divides by a - 1. By Euler's transformation (DLMF 15.8.1) the large power cancels; with
    e = a - 1 and c = a + b + x - 1 the number for an active customer is

        c (1 - (1 - z)^e F(a + b - 1 - r, e; c; z)) / e,  z = days / (alpha + T + days)

    whose division by e (and by c, which can be 0) is done in the terms of the series.
    """
    import numpy as np

    e, c, first = p["a"] - 1, p["a"] + p["b"] + repeats - 1, p["a"] + p["b"] - 1 - p["r"]
    z = days / (p["alpha"] + tenure + days)
    stay = np.log1p(-z)
    left = -stay if abs(e) < 1e-12 else -np.expm1(e * stay) / e  # noqa: PLR2004
    orders = c * left - np.exp(e * stay) * _series(first, e, c, z)
    positive: Floats = np.maximum(orders, 0) * probability_active(p, repeats, recency, tenure)
    return positive


def _series(first: float, e: float, c: Floats, z: Floats) -> Floats:
    """The sum of (first)_k (1+e)_{k-1} z^k / ((c+1)_{k-1} k!) for k from 1, to the last digit."""
    import numpy as np

    total = first * z
    term, rest = total.copy(), np.arange(len(z))
    k = 1
    while len(rest):
        term = term * ((first + k) * (e + k) / (k + 1)) * z / (c + k)
        total[rest] += term
        k += 1
        if k % 8 == 0:
            # Terms may grow first; from here they fall at least as fast as those of z^k.
            going = np.abs(term) > 1e-16 * (1 - z) * np.abs(total[rest])
            if k < -first:
                continue
            rest, term, c, z = rest[going], term[going], c[going], z[going]
    return total
