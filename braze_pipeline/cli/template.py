"""``braze-pipeline template``: what is sent under which name, and whether the data is valid."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path

import click

from braze_pipeline.attributes.build import build_attributes, sources_read
from braze_pipeline.attributes.compare import compare as compare_places
from braze_pipeline.attributes.freshness import evaluate_sources, not_known
from braze_pipeline.attributes.lineage import lineage_of
from braze_pipeline.attributes.personal import decide_personal
from braze_pipeline.audience.build import build_audience, require_members
from braze_pipeline.braze.data_points import billable
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.cli import console
from braze_pipeline.cli.arguments import Day
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import ConfigurationError, UsageError
from braze_pipeline.plan.preflight import ask
from braze_pipeline.predicted_value.step import predict
from braze_pipeline.profiles import build_profiles, require_profiles, rule_for
from braze_pipeline.profiles.identifier import require_configured
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.sources.translation.tables import tables_of
from braze_pipeline.sources.translation.translate import translate as spark_sql
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline.user_input import read_text
from braze_pipeline.wording import counted


@click.group()
def template() -> None:
    """The data template: what is sent to Braze under which name."""


@template.command()
@click.pass_obj
def describe(session: Session) -> None:
    """Show the mapping: column, Braze name, type, personal data, billable, rule."""
    for chosen in session.chosen_templates:
        t = decide_personal(chosen, lineage_of(chosen))
        identifier = t.destination.identifier
        table = console.new_table(
            "column", "Braze name", "kind", "type", "PII", "billable", "rule",
            title=f"{t.destination.name}: {t.name}",
        )  # fmt: skip
        table.add_row(
            t.identifier_column, identifier, "identifier", "string", "yes", "no",
            FIELDS[identifier].rule,
        )  # fmt: skip
        for a in t.attributes:
            table.add_row(
                a.column,
                a.name,
                "profile field" if a.is_field else "custom attribute",
                a.type.value,
                "yes" if a.pii else "no",
                "yes" if billable(a.name, is_field=a.is_field) else "no",
                rule_for(a),
            )
        console.show_table(table)
        _show_consent(t)
        for name in t.withheld:
            console.show(f"{name}: personal data; not sent (`restricted_pii`).")
        for a in t.attributes:
            if a.on_leave != "keep":
                change = "cleared" if a.on_leave == "clear" else f"set to {a.leave_value!r}"
                console.show(f"{a.name}: {change} when a user leaves the audience.")


@template.command()
@click.option("--as-of", type=Day(), help="Also check the data of this day.")
@click.option(
    "--compare",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With `run_in`: DuckDB's SQL, to compare its values of that day with those from there.",
)
@click.option(
    "--percent",
    type=click.FloatRange(0, 100, min_open=True),
    default=10.0,
    show_default=True,
    help="How many of the customers to compare.",
)
@click.pass_obj
def check(session: Session, as_of: date | None, compare: Path | None, percent: float) -> None:
    """Check the configuration and, with --as-of, the data. Nothing is sent.

    If an API key is set, names and types are compared with those in Braze.
    """
    if compare is not None and as_of is None:
        raise UsageError("--compare needs a day.", fix="Pass --as-of YYYY-MM-DD.")
    for t in session.templates:
        require_configured(t)
    names = ", ".join(f"{t.destination.name}/{t.name}" for t in session.templates)
    console.show(f"The configuration {session.config_file} is valid: {names}.")
    if as_of is not None:
        for t in session.chosen_templates:
            if compare is not None:
                _compare_places(t, compare, as_of, percent, session.environ)
            else:
                _check_data(t, as_of)
    for t in session.chosen_templates:
        _show_consent(t)
        _compare_with_braze(t, session.environ)


@template.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("to", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Overwrite TO if it exists.")
@click.pass_obj
def translate(session: Session, file: Path, to: Path, replace: bool) -> None:  # noqa: FBT001
    """Write DuckDB's SQL of FILE in Spark's dialect into TO, as a first version.

    Only what is known to give the same values is translated; anything else is listed with its
    line, and nothing is written. The columns are those of the template's sources.
    """
    if to.exists() and (to.resolve() == file.resolve() or not replace):
        raise UsageError(
            f"{to} exists.", fix=f"Name another file than {file.name}, or overwrite with --replace."
        )
    if not to.parent.is_dir():
        raise UsageError(f"There is no folder {to.parent}.", fix="Create it, or name another file.")
    tables = tables_of(file, session.template.sources, session.environ)
    to.write_text(spark_sql(file, read_text(file), tables), encoding="utf-8")
    console.show(
        f"{to} has a first version. Make it the `attributes_sql` of a template with `run_in`, "
        "declare its tables under `sources:`, and compare the values of both:"
    )
    console.show(f"  braze-pipeline template check --as-of DAY --compare {file}")


def _show_consent(t: TemplateSettings) -> None:
    for column in t.dropped:
        console.show(f"{column}: consent belongs to Braze; never sent.")


def _compare_places(
    t: TemplateSettings, file: Path, day: date, percent: float, environ: Mapping[str, str]
) -> None:
    """Compute the day in both places, in a temporary database, and show which columns differ."""
    with tempfile.TemporaryDirectory() as folder:
        found = compare_places(
            Warehouse(Path(folder) / "template-compare.duckdb"), t, file, day,
            percent=percent, environ=environ, log=console.show,
        )  # fmt: skip
    console.show(
        f"{t.name} as of {day}: {found.customers:,} customers and {found.columns} columns "
        f"compared; {found.only_here:,} customers only from {file.name}, {found.only_there:,} only "
        f"from {t.attributes_sql.name}."
    )
    if found.equal and found.customers:
        return
    if found.differences:
        counts = ("customers", "only the last digits")
        table = console.new_table(
            "column", *counts, "DuckDB", "there", "shape in DuckDB", "shape there", numbers=counts
        )
        for one in found.differences:
            types = (type_ or "missing" for type_ in one.types)
            shapes = (shape if shape is not None else "NULL" for shape in one.shapes)
            table.add_row(one.column, f"{one.customers:,}", f"{one.nearly:,}", *types, *shapes)
        console.show_table(table)
    names = ", ".join(one.column for one in found.differences) or "their customers"
    what = f"{names} differ" if found.customers else "nobody was compared"
    raise ConfigurationError(
        f"{t.name}: {file.name} and {t.attributes_sql.name} do not give the same rows: {what}.",
        fix="Correct one of them; docs/run-in.md lists what usually differs. If nobody was "
        "compared, raise --percent.",
    )


def _compare_with_braze(t: TemplateSettings, environ: Mapping[str, str]) -> None:
    found = ask(t, environ=environ, now=utc_now(), last=None)
    for line in found.lines():
        console.show(f"{t.name}: {line}")
    if found.new:
        console.show(f"{t.name}: new to Braze: {', '.join(sorted(found.new))}")
    if found.blocked:
        raise ConfigurationError(
            f"{t.name}: Braze would lose the values of {', '.join(found.blocked)}.",
            fix="See above. A run blocks these attributes and sends the others.",
        )


def _check_data(t: TemplateSettings, day: date) -> None:
    """Build everything up to the profiles in a temporary database."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder) / "template-check.duckdb")
        if t.predicts:
            sources = partial(sources_read, t)
            predict(warehouse, t, [day], sources=sources, log=console.show)
        built = build_attributes(warehouse, t, [day], log=console.show)
        with warehouse.connect() as con:
            funnel = build_audience(con, t, day)
            profiles = build_profiles(con, t, day, run_id="template check", now=utc_now())
            console.show(
                f"{t.name} as of {day}: {counted(funnel.customers, 'customer')}, "
                f"{funnel.audience:,} in the audience, {counted(profiles.profiles, 'profile')}; "
                f"{counted(profiles.rejected_rows, 'row')} and "
                f"{counted(profiles.rejected_values, 'value')} rejected."
            )
            for source in built.sources:
                for left_out in source.left_out:
                    console.warn(f"Warning: {left_out}")
            reasons = sorted(profiles.rejected_by_reason.items(), key=lambda item: -item[1])
            for reason, count in reasons:
                console.show(f"  {count:>8,}  {reason}")
            for finding in evaluate_sources(t, built.sources, built.summaries[-1]):
                if not finding.passed:
                    console.warn(f"Warning: {finding.sentence()}")
            if unknown := not_known(t, built.sources):
                console.show(f"{t.name}: {unknown}")
            require_members(con, t, day)
            require_profiles(con, t, day)
