"""Pictures for Dagster's UI: plain numbers in, a small SVG out, shown as an image in Markdown.

============ =================================================================
``card``     the surface that all are drawn on: text, bars, colours, both themes
``funnel``   the audience: who is left after each rule
``cost``     the plan: what each attribute costs, beside a full resend
``outcomes`` the send: outcomes by reason, throughput and latency
``embed``    an SVG as Markdown metadata
============ =================================================================

Nothing here reads a customer's value: names of rules and attributes, and counts, are all it gets.
"""

from __future__ import annotations

from braze_pipeline.orchestration.pictures.cost import AttributeBar, cost_svg
from braze_pipeline.orchestration.pictures.embed import picture
from braze_pipeline.orchestration.pictures.funnel import funnel_svg
from braze_pipeline.orchestration.pictures.outcomes import Latencies, outcomes_svg

__all__ = [
    "AttributeBar",
    "Latencies",
    "cost_svg",
    "funnel_svg",
    "outcomes_svg",
    "picture",
]
