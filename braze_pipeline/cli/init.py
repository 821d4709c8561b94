"""``braze-pipeline init``: a project of the brand's own, made for a table that it has."""

from __future__ import annotations

import os
from pathlib import Path

import click

from braze_pipeline.cli import console
from braze_pipeline.operations.scaffold.write import write_project


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--from",
    "table",
    metavar="TABLE",
    help="The table with one row per customer: a Parquet or CSV file, a folder or glob of them, an "
    "address such as s3://…, or TYPE:VARIABLE:TABLE for a table of a database, such as "
    "postgres:WAREHOUSE_URI:marts.customers. Default: an example with three customers.",
)
@click.option("--instance", metavar="NAME", help="Your Braze instance, such as US-01 or EU-02.")
def init(folder: Path, table: str | None, instance: str | None) -> None:
    """Write a project for your own data into DIR: defs.yaml, SQL, a test and settings.

    With --from, each column gets a proposed name and type in Braze, and a comment where only you
    can decide. Values are looked at and not copied. A file that exists is never overwritten.
    """
    written = write_project(folder, table, instance=instance, environ=os.environ)
    for line in written.lines(folder):
        console.show(line)
    console.show("Next, in this folder:")
    prefix = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    console.show(f"  {prefix}braze-pipeline template check --as-of newest")
    console.show("To try it against a sandbox, and then send it to Braze: docs/tutorial.md")
