"""Pictures for Dagster's UI: plain numbers in, an image in Markdown out.

============ ======================================================================
``sketch``   short enough to be seen at once in the UI's table of metadata
``card``     as large as it needs, behind the UI's link "Show Markdown"
``funnel``   the audience: who is left after each rule
``cost``     the plan: what each attribute costs, beside a full resend
``outcomes`` the send: outcomes by reason, throughput and latency
============ ======================================================================

Drawn by hand as SVG, with no plotting library and without Dagster. Nothing here reads a customer's
value: names of rules and attributes, and counts, are all it gets.
"""

from __future__ import annotations

from braze_pipeline.orchestration.pictures.cost import AttributeBar, cost, cost_card
from braze_pipeline.orchestration.pictures.funnel import funnel
from braze_pipeline.orchestration.pictures.outcomes import Figures, send, send_card

__all__ = ["AttributeBar", "Figures", "cost", "cost_card", "funnel", "send", "send_card"]
