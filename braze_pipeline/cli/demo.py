"""``braze-pipeline demo``: the main job end to end, on the sample data, against the sandbox."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.run import carry_out, finish, told
from braze_pipeline.config.project import DATABASE_VARIABLE
from braze_pipeline.config.resolve import ENDPOINT_VARIABLE
from braze_pipeline.ledger import endpoint, tables
from braze_pipeline.send import between_sends
from braze_pipeline.sources import attach_sources

if TYPE_CHECKING:
    from braze_pipeline.operations.report import Report
    from braze_pipeline.sandbox import Sandbox

DEMO_DAY = date(2011, 12, 9)
"""The last day of the sample data."""

_UNKNOWN_EVERY = 10
"""One customer in so many is unknown to the demo's Braze, as some always are."""


@click.command()
@click.pass_obj
def demo(given: Session) -> None:
    """The whole pipeline on the sample data, against a stand-in Braze."""
    from braze_pipeline.sandbox import Sandbox

    if (given.dagster_home / "dagster.yaml").is_file():
        os.environ["DAGSTER_HOME"] = str(given.dagster_home)
    with Sandbox(users=known_users(given)) as sandbox:
        ours = in_sandbox(given, sandbox)
        os.environ.update(ours.environ)
        console.say(f"A stand-in Braze answers at {sandbox.endpoint}. The pipeline runs ...")
        outcome, found = carry_out(ours, [DEMO_DAY], dry_run=False, tags={})
        for line in told(found, dry_run=False):
            console.say(line)
        if outcome.failed is None:
            for line in explained(found, ours.warehouse.path):
                console.say(line)
    finish(outcome, found, as_json=False, dry_run=False)


def in_sandbox(given: Session, sandbox: Sandbox) -> Session:
    """The session with its runs sent to a sandbox, and a database that no real run uses.

    Each start of a sandbox has another address: the ledger of the last one goes on with it.
    """
    from braze_pipeline.sandbox import SANDBOX_API_KEY

    own = {
        ENDPOINT_VARIABLE: sandbox.endpoint,
        DATABASE_VARIABLE: str(given.sandbox_database),
        **{t.destination.api_key_env: SANDBOX_API_KEY for t in given.templates},
    }
    ours = Session(given.config_file, given.template_name, {**given.environ, **own})
    if ours.warehouse.path.exists():
        names = {template.destination.name for template in ours.templates}
        with between_sends(ours.warehouse, names) as con:
            for template in ours.templates:
                if tables.ledger_name(template) in tables.ledgers(con):
                    endpoint.adopt(con, ours.warehouse, template, reason="The sandbox, started.")
    return ours


def known_users(given: Session) -> list[str]:
    """Whom the demo's Braze has: nine customers of ten."""
    import duckdb

    template = given.templates[0]
    with duckdb.connect() as con:
        attach_sources(con, template.sources, time_zone=template.time_zone)
        rows = con.execute(
            "SELECT DISTINCT customer_id FROM customers WHERE hash(customer_id) % ? <> 0 "
            "ORDER BY customer_id",
            [_UNKNOWN_EVERY],
        ).fetchall()
    return [customer for (customer,) in rows]


def explained(found: Report, database: Path) -> list[str]:
    """What a newcomer asks next."""
    lines = [""]
    plan = found.plan
    if plan is not None and plan.planned_users == 0:
        lines += [
            "Nothing was planned: the ledger says that Braze has acknowledged every value already.",
            f"Remove {_shown(database.with_suffix('.*'))} to start over, or try the next day:",
            "  see README.md, 'A day later'",
        ]
    else:
        lines.append("Run it again: it plans 0 users, because the ledger knows what Braze has.")
    lines += [
        "Its records, with the commands rejections, plan, sends, ledger show and others:",
        f"  {DATABASE_VARIABLE}={_shown(database)} braze-pipeline rejections",
        "The UI, with this run in it: make ui, then http://127.0.0.1:3000",
    ]
    return lines


def _shown(path: Path) -> Path:
    """The path as somebody would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
