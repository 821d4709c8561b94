"""Output of the command line: text, tables, and errors with exit codes instead of tracebacks."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from braze_pipeline.errors import PipelineError, UsageError
from braze_pipeline.storage.masking import unexpected
from braze_pipeline.storage.warehouse import disk_full

USAGE = 2
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})
_PIPE_WIDTH = 160
_UTC = re.compile(r"(\d{4}-\d\d-\d\d)(?: at)? (\d\d:\d\d) UTC")


def show(text: str) -> None:
    """Print a line on standard output."""
    click.echo(text)


def show_table(table: Table) -> None:
    """Print a table. Its cells are names and values as they are: `[b]` is not markup here.

    A file or a pipe has no width of its own, so names are not cut off for it.
    """
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(markup=False, width=None if has_width else _PIPE_WIDTH).print(table)
    click.echo()


def new_table(*names: str, numbers: Collection[str] = (), title: str | None = None) -> Table:
    """A table with these columns; those in ``numbers`` are aligned to the right."""
    table = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in names:
        # Ids and codes are copied: a narrow terminal gets them on two lines, not cut.
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return table


def note(text: str) -> None:
    """Print a line for a person who waits at a terminal; a file or a pipe does not get it."""
    if sys.stderr.isatty():
        warn(text)


def when(moment: datetime | str) -> str:
    """A time as people read it: local, without seconds. One without a time zone is UTC."""
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{known.astimezone():%Y-%m-%d %H:%M}"


def local(text: str) -> str:
    """A text from the records or the log, with its times in UTC written as ``when`` does."""
    return _UTC.sub(lambda found: when(f"{found[1]} {found[2]}"), text)


def warn(text: str) -> None:
    """Print a line on standard error; at a terminal with local times, in a log with UTC."""
    click.echo(local(text) if sys.stderr.isatty() else text, err=True)


def fail(title: str, what: str, fix: str, *, code: int) -> NoReturn:
    """End the command with a message for the operator and the exit code of the error's class."""
    warn(title)
    warn(f"  What happened: {what}")
    if fix:
        warn(f"  What to do:    {fix}")
    sys.exit(code)


def guarded(command: Callable[[], object]) -> NoReturn:
    """Run a click command; typed errors become messages, never tracebacks."""
    try:
        command()
    except PipelineError as error:
        fail(error.title, error.what, error.fix, code=error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except (click.Abort, KeyboardInterrupt):
        fail("Interrupted", "The command was stopped.", "", code=4)
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold customers' data
        if str(error) == "Query interrupted":  # DuckDB's error when a signal ends its query
            fail("Interrupted", "The command was stopped.", "", code=4)
        known = _refused(error) or unexpected(error)
        fail(known.title, known.what, known.fix, code=known.exit_code)
    sys.exit(0)


def _refused(error: Exception) -> PipelineError | None:
    """What the system refuses at a file or folder that a command writes or reads."""
    if not isinstance(error, OSError):
        return None
    named = "" if error.filename is None else str(error.filename)
    full = disk_full(error, Path(named or "the file"))
    if full is not None:
        return full
    if error.errno in _REFUSED and named:
        return UsageError(
            f"{named} cannot be used: {error.strerror}.",
            fix="Choose a place that you may use, or correct the permissions.",
        )
    return None
