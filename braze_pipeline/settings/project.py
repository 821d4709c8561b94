"""What all templates of a destination share: days, schedule, and when to warn."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from braze_pipeline.settings.predicted_value import PredictedValue
from braze_pipeline.settings.section import CHOICE, Count, Expected, Section, Share
from braze_pipeline.user_input import parse_date


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        return parse_date(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a valid date. Write it as YYYY-MM-DD.") from None


Day = Annotated[date, BeforeValidator(_day)]
TimeOfDay = Annotated[
    str,
    Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"),
    Expected('Expected a time of day as HH:MM in quotes, such as "03:30".'),
]


class ScheduleSettings(Section):
    """When the daily run starts."""

    at: TimeOfDay = "03:30"
    """Local time of day, HH:MM."""
    lag_days: Annotated[int, Field(ge=0, le=30)] = 0
    """Extra days to wait for late data: 0 runs yesterday's date."""
    max_age_hours: Annotated[float, Field(gt=0)] = 36.0
    """A check warns when the last acknowledged send is older than this."""


class SourceChecks(Section):
    """When the source tables count as late or incomplete. `null` switches a check off."""

    orders_within_days: Count | None = 3
    """The newest order is at most this many days before the as-of date."""
    consents_within_days: Count | None = 30
    """The newest change of consent is at most this many days before the as-of date."""
    max_lost_lines_share: Share | None = 0.2
    """Largest share of order lines that lack an order, date, quantity or price, or belong to a
    customer who is not in `customers`. A line without a customer is a guest order, and not lost."""


class AlertSettings(Section):
    """When a run that did not fail still needs attention, and whether to report that all went well.
    `null` switches an alert off.
    """

    max_rejected_share: Share | None = 0.05
    """A run is a partial success when more than this share of its audience was rejected."""
    min_users: Count = 100
    """Shares are ignored below this many users: small numbers vary too much."""
    slow_factor: Annotated[float, Field(gt=1)] | None = 3.0
    """A run is reported as slow while it still runs, once it takes this many times as long as
    recent runs."""
    slow_minutes: Annotated[float, Field(ge=0)] = 10.0
    """No run is slow before this many minutes."""
    success: Annotated[Literal["never", "daily", "after_failure"], CHOICE] = "never"
    """Whether a message says that a run went well, with its numbers: `daily` (once for each as-of
    date), or `after_failure` (only for a run that resolves a workflow action)."""


class ProjectSettings(Section):
    """What all templates of a destination share."""

    time_zone: str = "UTC"
    """IANA time zone whose midnight ends the as-of date."""
    start_date: Day = date(2020, 1, 1)
    """The first day that can be materialized."""
    end_date: Day | None = None
    """The last day that the UI offers and the schedule sends. Default: no end."""
    history_days: Annotated[int, Field(ge=1, le=1000)] = 35
    """How many as-of dates the day tables keep."""
    keep_plans: Annotated[int, Field(ge=1, le=1000)] = 3
    """How many plans of each template are kept with their values: how far back
    `braze-pipeline history` shows what was sent to a user."""
    schedule: ScheduleSettings | None = ScheduleSettings()
    """`null` for no schedule."""
    automation: Annotated[Literal["on_source_update"], CHOICE] | None = None
    """`on_source_update`: also run when one of your own assets that a source names (`asset_key`)
    was written, for the newest day that has ended."""
    predicted_value: PredictedValue | None = None
    """Compute the table `predictions` here, from `orders`. A table `predictions` of your own wins.
    Default: off."""
    alerts: AlertSettings = AlertSettings()
    """When a run that did not fail still needs attention, and whether to report success."""
    source_checks: SourceChecks = SourceChecks()
    """When the source tables count as late or incomplete: a warning."""
