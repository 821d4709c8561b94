"""``braze-pipeline doctor``: is everything in order, and what to mend if not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import PipelineError
from braze_pipeline.operations import doctor as checks
from braze_pipeline.operations.doctor import Finding, State
from braze_pipeline.operations.doctor.access import ATTRIBUTES, EXPORT
from braze_pipeline.profiles.identifier import require_configured
from braze_pipeline.settings import TemplateSettings

_SIGNS = {State.OK: "ok  ", State.WARN: "warn", State.FAIL: "FAIL"}
_COLOURS = {State.OK: "blue", State.WARN: "yellow", State.FAIL: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of the list.")
@click.pass_obj
def doctor(session: Session, as_json: bool) -> None:  # noqa: FBT001 - click gives options by name
    """Check configuration, Braze, key, clock, disk, database and Dagster; say what to mend.

    Nothing of ours is written, and nobody's profile is read or changed: Braze gets three requests
    that ask for nothing. The exit code is what a run would end with; warnings leave it at 0.
    """
    findings: list[Finding] = []
    for finding in examine(session):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        console.say(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        console.say(_conclusion(findings))
    sys.exit(checks.exit_code(findings))


def examine(session: Session) -> Iterator[Finding]:
    """Every check, in the order in which one would mend."""
    try:
        templates: Sequence[TemplateSettings] = session.templates
        for template in templates:
            require_configured(template)
    except PipelineError as error:
        templates = ()
        yield checks.failure("configuration", error)
    else:
        names = ", ".join(template.name for template in templates)
        yield checks.ok("configuration", f"{session.config_file}: {names}.")
    yield from checks.zones(template.time_zone for template in templates)
    try:
        warehouse = session.warehouse
    except PipelineError as error:
        yield checks.failure("database", error)
        return
    yield from checks.disk(warehouse)
    yield from checks.private_files(warehouse)
    yield from checks.database(warehouse, templates)
    for _, group in groupby(templates, key=lambda template: template.destination.name):
        yield from _destination(session, list(group))
    yield from _dagster(session)


def _destination(session: Session, templates: Sequence[TemplateSettings]) -> Iterator[Finding]:
    d = templates[0].destination
    ages = [t.schedule.max_age_hours for t in templates if t.schedule]
    yield from checks.journal(session.warehouse, d.name, max_age_hours=max(ages, default=None))
    reached = checks.reach(d)
    yield from reached
    if any(finding.state is State.FAIL for finding in reached) and _key_is_set(
        session, d.api_key_env
    ):
        return
    yield from checks.access(d, session.environ, used=_used(templates))


def _key_is_set(session: Session, variable: str) -> bool:
    return bool(session.environ.get(variable, "").strip())


def _used(templates: Iterable[TemplateSettings]) -> set[str]:
    """The permissions beside users.track that the configuration makes use of."""
    templates = list(templates)
    reads = any(
        t.destination.known_users.source == "lookup" or t.destination.read_back_users
        for t in templates
    )
    compares = any(t.destination.preflight != "off" for t in templates)
    return ({EXPORT} if reads else set()) | ({ATTRIBUTES} if compares else set())


def _dagster(session: Session) -> Iterator[Finding]:
    from braze_pipeline.orchestration.health import dagster

    yield from dagster(session.environ)


def _show(finding: Finding) -> None:
    sign = click.style(_SIGNS[finding.state], fg=_COLOURS[finding.state], bold=True)
    console.say(f"{sign}  {finding.name}: {finding.saw}")
    if finding.mend:
        console.say(f"      What to do: {finding.mend}")


def _conclusion(findings: Sequence[Finding]) -> str:
    failed = sum(finding.state is State.FAIL for finding in findings)
    warned = sum(finding.state is State.WARN for finding in findings)
    if failed:
        return (
            f"{failed} of {len(findings)} checks failed; a run cannot send until they are mended."
        )
    if warned:
        return f"Ready to send. {warned} of {len(findings)} checks have something to tell."
    return f"Ready to send: all {len(findings)} checks passed."
