"""``braze-pipeline doctor``: is everything in order, and how to fix it if not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

import click

from braze_pipeline.braze.redaction import has_api_key
from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import PipelineError
from braze_pipeline.operations.doctor.access import ATTRIBUTES, BULK, EXPORT, TRACK, access
from braze_pipeline.operations.doctor.alerts import alerts
from braze_pipeline.operations.doctor.connection import reach
from braze_pipeline.operations.doctor.contract import contract
from braze_pipeline.operations.doctor.database import database
from braze_pipeline.operations.doctor.disk import disk, private_files
from braze_pipeline.operations.doctor.finding import Finding, State, exit_code, failure, ok
from braze_pipeline.operations.doctor.journal import journal
from braze_pipeline.operations.doctor.memory import memory
from braze_pipeline.operations.doctor.predicted_value import predicted_value
from braze_pipeline.operations.doctor.sources import sources
from braze_pipeline.operations.doctor.trial import trial
from braze_pipeline.operations.doctor.zones import zones
from braze_pipeline.profiles.identifier import require_configured
from braze_pipeline.settings import TemplateSettings

_LABELS = {
    State.OK: click.style("ok  ", fg="blue", bold=True),
    State.WARN: click.style("warn", fg="yellow", bold=True),
    State.FAIL: click.style("FAIL", fg="red", bold=True),
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of the list.")
@click.pass_obj
def doctor(session: Session, as_json: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Check configuration, sources, Braze, key, clock, machine, database and Dagster.

    No file is written, and no profile is read or changed: Braze gets three requests that ask for
    nothing (four with `endpoint: bulk` or `auto`). The exit code is the one that a run would end
    with; warnings leave it at 0.
    """
    findings: list[Finding] = []
    for finding in examine(session):
        findings.append(finding)
        if not as_json:
            saw = console.local(finding.saw)
            console.show(f"{_LABELS[finding.state]}  {finding.name}: {saw}")
            if finding.fix:
                console.show(f"      What to do: {finding.fix}")
    if as_json:
        console.show(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        console.show(_conclusion(findings))
    sys.exit(exit_code(findings))


def examine(session: Session) -> Iterator[Finding]:
    """Every check, in the order in which to fix what fails."""
    try:
        templates: Sequence[TemplateSettings] = session.templates
        for template in templates:
            require_configured(template)
    except PipelineError as error:
        templates = ()
        yield failure("configuration", error)
    else:
        names = ", ".join(template.name for template in templates)
        yield ok("configuration", f"{session.config_file}: {names}.")
    yield from zones(template.time_zone for template in templates)
    yield from memory(session.environ)
    try:
        warehouse = session.warehouse
    except PipelineError as error:
        yield failure("database", error)
        return
    yield from disk(warehouse)
    yield from private_files(warehouse)
    yield from database(warehouse, templates, environ=session.environ)
    yield from sources(templates, session.environ)
    for _, group in groupby(templates, key=lambda template: template.destination.name):
        yield from _destination(session, list(group))
    from braze_pipeline.orchestration.health import dagster

    yield from dagster(session.environ)


def _destination(session: Session, templates: Sequence[TemplateSettings]) -> Iterator[Finding]:
    destination = templates[0].destination
    ages = [template.schedule.max_age_hours for template in templates if template.schedule]
    max_age = max(ages, default=None)
    yield from journal(session.warehouse, destination.name, max_age_hours=max_age)
    yield from alerts(session.warehouse, destination.name)
    yield from predicted_value(session.warehouse, templates)
    yield from trial(destination, session.environ, database=session.warehouse.path)
    yield contract(destination)
    reached = reach(destination)
    yield from reached
    has_key = has_api_key(session.environ, destination.api_key_env)
    # Without a key no request is made, and the missing key gets a finding of its own.
    if has_key and any(finding.state is State.FAIL for finding in reached):
        return
    used = set()
    for settings in (template.destination for template in templates):
        if settings.known_users.source == "lookup" or settings.read_back_users:
            used.add(EXPORT)
        if settings.preflight != "off":
            used.add(ATTRIBUTES)
        if settings.sends_to != "track":
            used.add(BULK)
    needs_bulk = any(template.destination.sends_to == "bulk" for template in templates)
    required = {TRACK, BULK} if needs_bulk else {TRACK}
    yield from access(destination, session.environ, used=used, required=required)


def _conclusion(findings: Sequence[Finding]) -> str:
    failed = sum(finding.state is State.FAIL for finding in findings)
    warned = sum(finding.state is State.WARN for finding in findings)
    if failed:
        return f"{failed} of {len(findings)} checks failed. Fix them: until then no run can send."
    if warned:
        return f"Ready to send. {warned} of {len(findings)} checks reported warnings."
    return f"Ready to send: all {len(findings)} checks passed."
