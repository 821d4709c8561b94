"""What each customer is expected to spend: computed from the orders, published only if it helps.

What belongs here: purchase statistics, the model and its fit, the backtest beside naive guesses,
and the predictions of a day (``refit``); the days on which that is done (``refit_days``), the step
of a run (``step``), and fits and predictions in the warehouse (``stored_fits``). What does not: who
is sent.
"""

from braze_pipeline.predicted_value.fit import METHOD_VERSION, Candidate, Fit
from braze_pipeline.predicted_value.refit import refit, score

__all__ = ["METHOD_VERSION", "Candidate", "Fit", "refit", "score"]
