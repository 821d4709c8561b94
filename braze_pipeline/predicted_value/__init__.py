"""What each customer is expected to spend: computed from the orders, published only if it helps.

What belongs here: purchase statistics, the model and its fit, the backtest beside naive guesses,
and the predictions of a day. What does not: when this is done, and where fits and predictions are
kept.
"""

from braze_pipeline.predicted_value.fit import METHOD_VERSION, Candidate, Fit
from braze_pipeline.predicted_value.refit import refit, score

__all__ = ["METHOD_VERSION", "Candidate", "Fit", "refit", "score"]
