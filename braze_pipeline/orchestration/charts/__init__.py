"""Charts for Dagster's UI: plain numbers in, an image in Markdown out.

========== =====================================================================
``svg``    the surface they are drawn on, short enough to be shown without a click
``funnel`` the audience: who is left after each rule
``cost``   the plan: which attributes it costs, beside a full resend
``send``   the send: outcomes, throughput and latency
========== =====================================================================

Drawn by hand as SVG, with no plotting library and without Dagster. Nothing here reads a customer's
value: names of rules and attributes, and counts, are all it gets.
"""

from __future__ import annotations

from braze_pipeline.orchestration.charts.cost import cost
from braze_pipeline.orchestration.charts.funnel import funnel
from braze_pipeline.orchestration.charts.send import send

__all__ = ["cost", "funnel", "send"]
