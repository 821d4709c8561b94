"""Whether the source tables are fresh and complete, as far as their own rows show.

What belongs here: the findings of a template's ``source_checks``. What does not: errors that stop
a build (`sources`, `attributes.build`), and how the findings are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from braze_pipeline.sources.typed_tables import TABLES

if TYPE_CHECKING:
    from braze_pipeline.attributes.result import AttributesSummary
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.sources import SourceInfo


NEWEST: Final = "newest row"
"""What is checked of a table's date."""


@dataclass(frozen=True, kw_only=True)
class SourceFinding:
    """One check of a source table.

    Attributes:
        source: The source table.
        what: What was checked.
        saw: What was found.
        allowed: What is expected.
        number, unit: What was found, as a number of what.
    """

    source: str
    what: str
    saw: str
    allowed: str
    passed: bool
    number: float
    unit: str

    def sentence(self) -> str:
        """The finding in one line."""
        return f"{self.source}: saw {self.saw}; allowed: {self.allowed}."


def evaluate_sources(
    t: TemplateSettings, sources: Sequence[SourceInfo], day: AttributesSummary
) -> list[SourceFinding]:
    """Check the source tables of a day against the template's ``source_checks``.

    Args:
        t: The template.
        sources: The source tables as they were attached.
        day: The summary of the newest as-of date.
    """
    optional = {source.name for source in t.sources if source.optional}
    findings = [
        SourceFinding(
            source=source.name,
            what="rows",
            saw=f"{source.rows:,} rows",
            allowed="at least 1",
            passed=source.rows > 0,
            number=source.rows,
            unit="row count",
        )
        for source in sources
        if source.name in TABLES and source.name not in optional
    ]
    checks = t.source_checks
    findings += [
        _freshness(name, newest, as_of=day.day, days=days)
        for name, newest, days in (
            ("orders", day.newest_order, checks.orders_within_days),
            ("consents", day.newest_consent, checks.consents_within_days),
        )
        if days is not None and newest is not None
    ]
    if checks.max_lost_lines_share is not None and day.lines:
        findings.append(_lost_lines(day, day.lines, checks.max_lost_lines_share))
    return findings


def not_known(t: TemplateSettings, sources: Sequence[SourceInfo]) -> str:
    """What no check looks at where a warehouse runs the SQL: empty where there is nothing."""
    if t.run_in is None:
        return ""
    checks, declared = t.source_checks, {source.name for source in sources}
    unknown = [
        f"how new {name} is"
        for name, days in (
            ("orders", checks.orders_within_days),
            ("consents", checks.consents_within_days),
        )
        if days is not None and name not in declared
    ]
    if checks.max_lost_lines_share is not None:
        unknown.append("whether order lines are complete")
    return (
        f"Not known, as the SQL runs in {t.run_in.name}: {', '.join(unknown)}. Tables that "
        "`sources:` declares in this connection are counted."
        if unknown
        else ""
    )


def _freshness(name: str, newest: date, *, as_of: date, days: int) -> SourceFinding:
    age = (as_of - newest).days
    seen = f"the newest row of {newest}"
    return SourceFinding(
        source=name,
        what=NEWEST,
        saw=f"{seen}, {age:,} days before {as_of}" if age > 0 else seen,
        allowed=f"{days:,} days before the as-of date",
        passed=age <= days,
        number=age,
        unit="age in days",
    )


def _lost_lines(day: AttributesSummary, lines: int, limit: float) -> SourceFinding:
    # A line that is both incomplete and of an unknown customer counts twice: better one warning
    # too many than one too few.
    lost = min((day.lines_incomplete or 0) + (day.lines_of_unknown_customers or 0), lines)
    return SourceFinding(
        source="orders",
        what="lines that cannot be used",
        saw=(
            f"{lost / lines:.1%} of {lines:,} lines incomplete "
            f"({day.lines_incomplete:,}) or of unknown customers "
            f"({day.lines_of_unknown_customers:,})"
        ),
        allowed=f"{limit:.0%}",
        passed=lost <= limit * lines,
        number=lost / lines,
        unit="share of lost lines",
    )
