"""Whether the source tables are fresh and complete, as far as that can be told from themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from braze_pipeline.attributes.build import AttributesSummary
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.sources import SourceInfo


@dataclass(frozen=True, kw_only=True)
class SourceFinding:
    """One promise about a source table, and whether it keeps it.

    Attributes:
        source: The source table.
        what: What of it is looked at.
        saw: What was found.
        allowed: What is expected.
    """

    source: str
    what: str
    saw: str
    allowed: str
    passed: bool

    def sentence(self) -> str:
        """The finding in one line."""
        return f"{self.source}: saw {self.saw}; allowed: {self.allowed}."


def evaluate_sources(
    t: TemplateSettings, sources: Sequence[SourceInfo], day: AttributesSummary
) -> tuple[SourceFinding, ...]:
    """What can be said of the source tables of a day, by the template's ``source_checks``.

    Args:
        t: The template.
        sources: What was found of each source.
        day: What the build of the newest as-of date made.
    """
    return tuple(_findings(t, sources, day))


def _findings(
    t: TemplateSettings, sources: Sequence[SourceInfo], day: AttributesSummary
) -> Iterator[SourceFinding]:
    optional = {source.name for source in t.sources if source.optional}
    for source in sources:
        if source.name not in optional:
            yield SourceFinding(
                source=source.name,
                what="rows",
                saw=f"{source.rows:,} rows",
                allowed="at least 1",
                passed=source.rows > 0,
            )
    checks = t.source_checks
    for name, newest, days in (
        ("orders", day.newest_order, checks.orders_within_days),
        ("consents", day.newest_consent, checks.consents_within_days),
    ):
        if days is not None and newest is not None:
            yield _freshness(name, newest, as_of=day.day, days=days)
    if checks.max_lost_lines_share is not None and day.lines:
        yield _lost(day, checks.max_lost_lines_share)


def _freshness(name: str, newest: date, *, as_of: date, days: int) -> SourceFinding:
    age = (as_of - newest).days
    seen = f"the newest row of {newest}"
    return SourceFinding(
        source=name,
        what="newest row",
        saw=f"{seen}, {age:,} days before {as_of}" if age > 0 else seen,
        allowed=f"{days:,} days before the as-of date",
        passed=age <= days,
    )


def _lost(day: AttributesSummary, limit: float) -> SourceFinding:
    # An incomplete line may be one of an unknown customer too: counted twice, it is rather told.
    lost = min(day.lines_incomplete + day.lines_of_unknown_customers, day.lines)
    return SourceFinding(
        source="orders",
        what="lines that cannot be used",
        saw=(
            f"{lost / day.lines:.1%} of {day.lines:,} lines incomplete "
            f"({day.lines_incomplete:,}) or of unknown customers "
            f"({day.lines_of_unknown_customers:,})"
        ),
        allowed=f"{limit:.0%}",
        passed=lost <= limit * day.lines,
    )
