"""Charts for Dagster's UI: plain numbers in, an image in Markdown out.

========== =====================================================================
``svg``    what they are drawn with, short enough for the UI to show without a click
``funnel`` the audience: how many customers are left after each rule
``tenths`` predicted value: what each tenth of the customers spent, and was predicted to
``cost``   the plan: cost by attribute, compared with a full resend
``send``   the send: outcomes, throughput and latency
========== =====================================================================

They are written as SVG, without a plotting library and without Dagster. Charts get only names of
rules and attributes, and counts; customers' values never belong here.
"""

from __future__ import annotations

from braze_pipeline.orchestration.charts.cost import cost
from braze_pipeline.orchestration.charts.funnel import funnel
from braze_pipeline.orchestration.charts.send import send
from braze_pipeline.orchestration.charts.tenths import calibration, lift

__all__ = ["calibration", "cost", "funnel", "lift", "send"]
