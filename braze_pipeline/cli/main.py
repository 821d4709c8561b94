"""``braze-pipeline``: the pipeline from a terminal.

Exit codes: 0 success; 1 unexpected error; 2 configuration or input; 3 credentials or permission;
4 Braze unreachable or failing; 5 stopped by a guard.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path

import click

from braze_pipeline import __version__, private
from braze_pipeline.cli.actions import actions
from braze_pipeline.cli.console import guarded
from braze_pipeline.cli.context import project_config, session
from braze_pipeline.cli.demo import demo
from braze_pipeline.cli.doctor import doctor
from braze_pipeline.cli.init import init
from braze_pipeline.cli.ledger import ledger
from braze_pipeline.cli.one_user import history, try_command
from braze_pipeline.cli.pause import pause, resume
from braze_pipeline.cli.plan import plan, retry_rejected
from braze_pipeline.cli.records import rejections, sends
from braze_pipeline.cli.run import run
from braze_pipeline.cli.sandbox import sandbox
from braze_pipeline.cli.template import template
from braze_pipeline.cli.ui import ui

_WITHOUT_PROJECT = frozenset({"demo", "init", "sandbox"})
"""Commands that work without a configuration, or on the sample's."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="braze-pipeline")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The defs.yaml to use (default: that of the project in the working directory, or the "
    "sample's).",
)
@click.option(
    "--template",
    "template_name",
    help="The data template to use (default: the first). If several destinations have one of that "
    "name: DESTINATION/NAME.",
)
@click.pass_context
def cli(context: click.Context, config: Path | None, template_name: str | None) -> None:
    """Keeps customer attributes in Braze up to date."""
    if config is None and context.invoked_subcommand not in _WITHOUT_PROJECT:
        config = project_config(Path.cwd())
    context.obj = session(config, template_name)


for command in (
    demo,
    init,
    run,
    plan,
    try_command,
    history,
    retry_rejected,
    sandbox,
    rejections,
    sends,
    ledger,
    template,
    actions,
    pause,
    resume,
    doctor,
    ui,
):
    cli.add_command(command)


def main() -> None:
    """The entry point: typed errors become messages and exit codes, never tracebacks."""
    # Dagster's warnings about its own beta features are for developers (docs/decisions).
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    os.umask(private.OTHERS)
    # Like Ctrl-C, a termination signal lets requests in flight finish. So does a closed terminal,
    # unless the command was started with nohup.
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _interrupt)
    guarded(lambda: cli.main(args=sys.argv[1:], prog_name="braze-pipeline", standalone_mode=False))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
