"""``braze-pipeline demo``: the main job end to end, on the sample data, against the sandbox."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from braze_pipeline.braze.fields import sendable
from braze_pipeline.cli import console
from braze_pipeline.cli.context import DEFAULT_CONFIG, Session
from braze_pipeline.cli.run import run_and_report
from braze_pipeline.config.project import DATABASE_VARIABLE, SOURCES_VARIABLE, project_of
from braze_pipeline.config.resolve import ENDPOINT_VARIABLE
from braze_pipeline.errors import UsageError
from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.layout import kind
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.send import between_sends
from braze_pipeline.sources import attach_sources

if TYPE_CHECKING:
    from braze_pipeline.operations.report import Report
    from braze_pipeline.sandbox import Sandbox

DEMO_DAY = date(2011, 12, 9)
"""The last day of the sample data."""

_UNKNOWN_SHARE = 10
"""The demo's Braze does not have one customer in this many, as is usual in practice."""


@click.command()
@click.pass_obj
def demo(session: Session) -> None:
    """Run the whole pipeline on the sample data, against a stand-in for Braze.

    The sample data is in the repository (`data`), and not in the installed package.
    """
    if (session.dagster_home / "dagster.yaml").is_file():
        os.environ["DAGSTER_HOME"] = str(session.dagster_home)
    with stand_in(session) as sandbox:
        sandboxed = in_sandbox(session, sandbox)
        os.environ.update(sandboxed.environ)
        console.show(f"A stand-in for Braze is listening at {sandbox.endpoint}. Running ...")
        report = run_and_report(sandboxed, [DEMO_DAY])
    for line in _next_steps(report, sandboxed.warehouse.path):
        console.show(line)


def in_sandbox(session: Session, sandbox: Sandbox) -> Session:
    """The session with its runs sent to a sandbox, and with a database that no real run uses.

    Each sandbox starts empty and at another address: the ledger of the last one is adopted, and its
    attributes are created again.
    """
    from braze_pipeline.sandbox import SANDBOX_API_KEY, DataType

    environ = {
        **session.environ,
        ENDPOINT_VARIABLE: sandbox.endpoint,
        DATABASE_VARIABLE: str(session.sandbox_database),
        **{t.destination.api_key_env: SANDBOX_API_KEY for t in session.templates},
    }
    sandboxed = replace(session, environ=environ)
    if not sandboxed.warehouse.path.exists():
        return sandboxed
    with between_sends(sandboxed.warehouse, sandboxed.destinations) as con:
        known = [template for template in sandboxed.templates if ledger_of(con, template).exists()]
        for template in known:
            reason = "The sandbox was started."
            endpoint.adopt(con, sandboxed.warehouse, template, reason=reason)
    for one in (one for template in known for one in sendable(template) if not one.is_field):
        sandbox.define_attribute(one.name, DataType[kind(one.type).upper()])
    return sandboxed


def stand_in(session: Session) -> Sandbox:
    """A sandbox for the session's destinations, which has yet to be started.

    It lacks some of the sample's customers; of a brand's own it treats every user as existing.

    Raises:
        UsageError: the sample's data is not there, because only the package is installed.
    """
    from braze_pipeline.sandbox import Sandbox

    if session.config_file == DEFAULT_CONFIG.resolve():
        installed = project_of(session.config_file.parent) is None
        if installed and not session.environ.get(SOURCES_VARIABLE):
            raise UsageError(
                "The sample's data is part of the repository, not of the installed package.",
                fix="Run `make demo` or `make ui` in a checkout, or set "
                f"{SOURCES_VARIABLE} to its folder `data` and {DATABASE_VARIABLE} to a file. "
                "For your own data, run `braze-pipeline init DIR`, and work in that folder.",
            )
        return Sandbox(users=known_users(session))
    return Sandbox(assume_all=True)


def known_users(session: Session) -> list[str]:
    """The users that the demo's Braze has: nine customers in ten."""
    import duckdb

    template = session.templates[0]
    with duckdb.connect() as con:
        attach_sources(con, template.sources, time_zone=template.time_zone)
        rows = con.execute(
            "SELECT DISTINCT customer_id FROM customers WHERE hash(customer_id) % ? <> 0 "
            "ORDER BY customer_id",
            [_UNKNOWN_SHARE],
        ).fetchall()
    return [customer for (customer,) in rows]


def _next_steps(report: Report, database: Path) -> list[str]:
    """What to try after the demo."""
    if report.plan is not None and report.plan.planned_users == 0:
        again = [
            "Nothing was planned: according to the ledger, Braze has acknowledged every value.",
            f"Remove {_relative(database.with_suffix('.*'))} to start over, or try the next day:",
            "  see README.md, 'A day later'",
        ]
    else:
        again = ["Run it again: it plans 0 users, because the ledger knows what Braze has."]
    return [
        "",
        *again,
        "To see its records, use the commands rejections, plan, sends, ledger show and others:",
        f"  {DATABASE_VARIABLE}={_relative(database)} braze-pipeline rejections",
        "To see this run in the UI: make ui, then http://127.0.0.1:3000",
    ]


def _relative(path: Path) -> Path:
    """The path as somebody would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
