"""``braze-pipeline template``: what goes out under which name, and whether it would pass."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.attributes.freshness import evaluate_sources
from braze_pipeline.attributes.lineage import follow
from braze_pipeline.attributes.personal import decide_personal
from braze_pipeline.audience.build import build_audience, require_members
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.run import day_of
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.plan.preflight import ask
from braze_pipeline.profiles import build_profiles, require_profiles, rule_for
from braze_pipeline.profiles.identifier import require_configured
from braze_pipeline.settings import AttributeSettings, TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline.user_input import read_text

if TYPE_CHECKING:
    from braze_pipeline.audience.build import Funnel
    from braze_pipeline.profiles import ProfilesSummary


@click.group()
def template() -> None:
    """The data template: what goes to Braze under which name."""


@template.command()
@click.pass_obj
def describe(session: Session) -> None:
    """The mapping: column, Braze name, type, personal data, billable, rule."""
    for one in session.chosen:
        t = decide_personal(one, follow(read_text(one.attributes_sql)))
        shown = Table(
            "column", "Braze name", "kind", "type", "PII", "billable", "rule",
            title=f"{t.destination.name}: {t.name}",
        )  # fmt: skip
        shown.add_row(
            t.identifier_column, t.destination.identifier, "identifier", "string", "yes", "no",
            FIELDS[t.destination.identifier].rule,
        )  # fmt: skip
        for attribute in t.attributes:
            shown.add_row(*_line(attribute), rule_for(attribute))
        console.table(shown)
        for column in t.dropped:
            console.say(f"{column}: consent belongs to Braze; never sent.")
        for name in t.withheld:
            console.say(f"{name}: personal data; not sent (`restricted_pii`).")
        _leavers(t)


def _line(a: AttributeSettings) -> tuple[str, ...]:
    billable = FIELDS[a.name].billable if a.is_field else True
    return (
        a.column,
        a.name,
        "profile field" if a.is_field else "custom attribute",
        a.type.value,
        "yes" if a.pii else "no",
        "yes" if billable else "no",
    )


def _leavers(t: TemplateSettings) -> None:
    acted = [a for a in t.attributes if a.on_leave != "keep"]
    for a in acted:
        does = "cleared" if a.on_leave == "clear" else f"set to {a.leave_value!r}"
        console.say(f"{a.name}: {does} when a user leaves the audience.")


@template.command()
@click.option("--as-of", "as_of", metavar="YYYY-MM-DD", help="Try the data of this day too.")
@click.pass_obj
def check(session: Session, as_of: str | None) -> None:
    """Check the configuration and, with --as-of, the data, without sending anything.

    With an API key set, names and types are compared with what Braze has.
    """
    for t in session.templates:
        require_configured(t)
    names = ", ".join(f"{t.destination.name}/{t.name}" for t in session.templates)
    console.say(f"The configuration {session.config_file} is good: {names}.")
    if as_of is not None:
        day = day_of(as_of, "--as-of")
        for t in session.chosen:
            _try(t, day)
    for t in session.chosen:
        _compare(t, session.environ)


def _compare(t: TemplateSettings, environ: Mapping[str, str]) -> None:

    found = ask(t, environ=environ, now=datetime.now(UTC).replace(tzinfo=None), last=None)
    for line in found.lines():
        console.say(f"{t.name}: {line}")
    if found.new:
        console.say(f"{t.name}: new to Braze: {', '.join(sorted(found.new))}")
    if found.stopped:
        raise ConfigurationError(
            f"{t.name}: Braze would lose the values of {', '.join(found.stopped)}.",
            fix="See above; a run holds these attributes back and sends the others.",
        )


def _try(t: TemplateSettings, day: date) -> None:
    """Build everything up to the profiles in a database that is thrown away."""
    now = datetime.now(UTC).replace(tzinfo=None)
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder) / "check.duckdb")
        sources, (attributes,) = build_attributes(warehouse, t, [day])
        with warehouse.connect() as con:
            funnel = build_audience(con, t, day)
            profiles = build_profiles(con, t, day, run_id="template check", now=now)
            _tell(t, funnel, profiles)
            for finding in evaluate_sources(t, sources, attributes):
                if not finding.passed:
                    console.warn(f"Warning: {finding.sentence()}")
            require_members(con, t, day)
            require_profiles(con, t, day)


def _tell(t: TemplateSettings, funnel: Funnel, profiles: ProfilesSummary) -> None:
    console.say(
        f"{t.name} as of {funnel.day}: {funnel.customers:,} customers, {funnel.audience:,} in the "
        f"audience, {profiles.profiles:,} profiles, {profiles.rejected_rows:,} rows and "
        f"{profiles.rejected_values:,} values rejected."
    )
    for reason, count in sorted(profiles.rejected_by_reason.items(), key=lambda item: -item[1]):
        console.say(f"  {count:>8,}  {reason}")
