"""What each customer is expected to spend: computed from the orders, published only if it helps.

What belongs here: purchase statistics, the model and its fit, the backtest beside naive guesses,
and the predictions of a day. What does not: when this is done, and where fits and predictions are
kept.
"""
