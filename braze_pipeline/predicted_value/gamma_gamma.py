"""Gamma-Gamma: what an order of a customer is worth.

P. S. Fader and B. G. S. Hardie, The Gamma-Gamma Model of Monetary Value (2013,
brucehardie.com/notes/025). The values of a customer's orders vary around a mean of their own as
Gamma(p); the means differ between customers by (q, v). It assumes that what a customer spends per
order does not depend on how often they order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from braze_pipeline.predicted_value.likelihood import (
    Maximum,
    Refused,
    maximise,
    special_functions,
)

if TYPE_CHECKING:
    from braze_pipeline.predicted_value.likelihood import Floats

BOUNDS = {"p": (1e-2, 1e3), "q": (1e-2, 1e3), "v": (1e-6, 1e12)}

MOST_CORRELATED = 0.5
"""The largest correlation of order value with frequency: above it, frequency explains more than a
quarter of the differences in order value, and the assumption of the model is wrong."""


@dataclass(frozen=True)
class ValueGroups:
    """Customers with as many orders of about the same mean value.

    Attributes:
        orders: Number of orders, at least 1.
        value: Mean value of an order, above 0.
        customers: How many customers the group has.
    """

    orders: Floats
    value: Floats
    customers: Floats


def fit(groups: ValueGroups) -> Maximum:
    """The parameters p, q and v of maximum likelihood.

    Raises:
        Refused: order value is correlated with frequency, or has no mean; see also ``maximise``.
    """
    import numpy as np

    correlation = value_correlation(groups)
    if abs(correlation) > MOST_CORRELATED:
        raise Refused(
            f"Customers who order more often spend {'more' if correlation > 0 else 'less'} per "
            f"order (correlation {correlation:.2f}, at most {MOST_CORRELATED} is allowed): the "
            "model of order value does not apply."
        )
    special = special_functions()
    n, x, z = groups.customers, groups.orders, groups.value

    def likelihood(values: Floats) -> tuple[float, Floats]:
        p, q, v = values
        shape, scale = p * x + q, np.log(x * z + v)
        per_group = (
            special.gammaln(shape) - special.gammaln(p * x) - special.gammaln(q)
            + q * np.log(v) + p * x * np.log(x * z) - np.log(z) - shape * scale
        )  # fmt: skip
        psi = special.digamma
        gradient = [
            x * (psi(shape) - psi(p * x) + np.log(x * z) - scale),
            psi(shape) - psi(q) + np.log(v) - scale,
            q / v - shape / (x * z + v),
        ]
        return float(np.dot(n, per_group)), np.array([np.dot(n, g) for g in gradient])

    typical = float(np.exp(np.average(np.log(z), weights=n)))
    found = maximise(
        likelihood,
        what="order value",
        bounds=BOUNDS,
        starts=[(2, 3, typical), (6, 4, typical / 2), (1, 1.5, typical)],
        customers=float(n.sum()),
    )
    if found.parameters["q"] <= 1:
        raise Refused(
            "A few orders are so large that the mean value of an order cannot be estimated: the "
            "model of order value does not apply."
        )
    return found


def value_correlation(groups: ValueGroups) -> float:
    """Correlation between the logarithms of a customer's number of orders and their mean value.

    Of logarithms, so that a few large customers do not decide.
    """
    import numpy as np

    pair = np.log(np.array([groups.orders, groups.value]))
    covariance = np.cov(pair, aweights=groups.customers, bias=True)
    spread = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return float(covariance[0, 1] / spread) if spread > 0 else 0.0
