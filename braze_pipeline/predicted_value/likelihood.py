"""The parameters that make the data most likely, or a sentence why there are none.

Both models have a few positive parameters. They are searched on a logarithmic scale, with exact
gradients, and from another point if the search ends at a border. What is found must be a maximum
inside the bounds: a number from the border of the search would be a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from braze_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Likelihood = Callable[[Floats], tuple[float, Floats]]
    """The log-likelihood of the parameters, and its derivative by each."""

GRADIENT = 1e-6
"""At a maximum, the largest change of the mean log-likelihood for one e-fold of a parameter."""

BORDER = 1e-6
"""How close to a bound, on the logarithmic scale, counts as at it."""

DIGITS = 9
"""Significant digits that are kept: the last ones depend on the processor."""

_STEP = 1e-4


class Refused(Exception):
    """A number would be a guess; the text says why, in a sentence for the reader of a check."""


@dataclass(frozen=True)
class Maximum:
    """What was found.

    Attributes:
        parameters: By name.
        errors: Their standard errors, from the curvature of the log-likelihood.
    """

    parameters: Mapping[str, float]
    errors: Mapping[str, float]


def special_functions() -> Any:  # noqa: ANN401 - scipy has no types
    """The module ``scipy.special``.

    Raises:
        ConfigurationError: scipy is not installed.
    """
    try:
        import scipy.special
    except ImportError as error:
        raise ConfigurationError(
            "predicted_value needs the library scipy, which is not installed.",
            fix="Install it: pip install 'braze-pipeline[predicted-value]'.",
        ) from error
    return scipy.special


def maximise(
    likelihood: Likelihood,
    *,
    what: str,
    bounds: Mapping[str, tuple[float, float]],
    starts: Sequence[Sequence[float]],
    customers: float,
) -> Maximum:
    """The maximum of a log-likelihood over all customers.

    Args:
        likelihood: See ``Likelihood``; of all customers together.
        what: What the model is about, for the sentences.
        bounds: The smallest and largest value of each parameter, by name.
        starts: Values to start from; the first that leads to a maximum inside the bounds counts.
        customers: How many customers the likelihood is of.

    Raises:
        Refused: no maximum was found, or only at a border.
    """
    import numpy as np
    from scipy.optimize import minimize

    def loss(logs: Floats) -> tuple[float, Floats]:
        values = np.exp(logs)
        found, gradient = likelihood(values)
        return -found / customers, -gradient * values / customers

    limits = np.log(np.array(list(bounds.values())))
    failure = f"The model of {what} did not converge."
    for start in starts:
        found = minimize(
            loss, np.log(start), jac=True, method="L-BFGS-B", bounds=limits,
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9},
        )  # fmt: skip
        outside = np.abs(found.x[:, None] - limits).min(axis=1) < BORDER
        if not np.isfinite(found.fun):
            continue
        if not outside.any():
            break
        name, at = list(bounds)[outside.argmax()], np.exp(found.x[outside.argmax()])
        failure = (
            f"The model of {what} does not describe these customers: its parameter {name} ran to "
            f"the border of the search, {at:.4g}."
        )
    else:
        raise Refused(failure)
    logs, curvature = _polished(loss, found.x, what)
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)) / customers)
    values = [float(f"{value:.{DIGITS}g}") for value in np.exp(logs)]
    return Maximum(
        dict(zip(bounds, values, strict=True)),
        {n: float(v * e) for n, v, e in zip(bounds, values, errors, strict=True)},
    )


def _polished(
    loss: Callable[[Floats], tuple[float, Floats]], logs: Floats, what: str
) -> tuple[Floats, Floats]:
    """Newton's method from close by, and the curvature at the end.

    It makes the result independent of where the search stopped.
    """
    import numpy as np

    for _ in range(20):
        gradient, curvature = loss(logs)[1], _curvature(loss, logs)
        if not (np.isfinite(curvature).all() and np.linalg.eigvalsh(curvature)[0] > 0):
            raise Refused(f"The model of {what} did not converge: no maximum was found.")
        step = np.linalg.solve(curvature, gradient)
        if np.abs(step).max() < 10.0 ** (-DIGITS - 1):
            break
        logs = logs - step * min(1.0, 0.5 / np.abs(step).max())
    if not np.abs(gradient).max() < GRADIENT:
        raise Refused(f"The model of {what} did not converge.")
    return logs, curvature


def _curvature(loss: Callable[[Floats], tuple[float, Floats]], logs: Floats) -> Floats:
    import numpy as np

    rows = [
        (loss(logs + step)[1] - loss(logs - step)[1]) / (2 * _STEP)
        for step in np.eye(len(logs)) * _STEP
    ]
    matrix = np.array(rows)
    symmetric: Floats = (matrix + matrix.T) / 2
    return symmetric
