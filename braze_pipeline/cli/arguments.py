"""Arguments that several commands share: days, limits, and the API key that sending needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import click

from braze_pipeline.attributes.current_state import newest_day
from braze_pipeline.braze.redaction import has_api_key
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import CredentialsMissing, UsageError
from braze_pipeline.user_input import parse_date

_Command = TypeVar("_Command", bound=Callable[..., object])


class Day(click.ParamType[date]):
    """A day in the form YYYY-MM-DD, or `newest`: the last one that has ended."""

    name = "YYYY-MM-DD"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        """The day.

        Raises:
            UsageError: it is not a valid date.
        """
        session = ctx.find_object(Session) if ctx else None
        if value == "newest" and session is not None:
            return newest_day(session.template, datetime.now(UTC))
        try:
            return parse_date(str(value))
        except ValueError as error:
            option = f"{param.opts[0]} " if param else ""
            raise UsageError(
                f"{option}{value!r} is not a valid date.",
                fix="Write it as YYYY-MM-DD, such as 2011-12-09, or `newest`.",
            ) from error


def limit_option(default: int, what: str, *, least: int = 1) -> Callable[[_Command], _Command]:
    """The option `--limit`; ``what`` is counted."""
    return click.option(
        "--limit",
        default=default,
        show_default=True,
        type=click.IntRange(min=least),
        help=f"Number of {what} to show.",
    )


def days_between(first: date, last: date) -> list[date]:
    """The days from the first to the last, both included.

    Raises:
        UsageError: the last is before the first.
    """
    if last < first:
        raise UsageError(f"--until {last} is before --as-of {first}.", fix="Swap them.")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def require_key(session: Session) -> None:
    """Fail before anything is built if there is no API key to send with.

    Raises:
        CredentialsMissing: the variable that the destination names is not set.
    """
    name = session.template.destination.api_key_env
    if not has_api_key(session.environ, name):
        raise CredentialsMissing(
            f"The environment variable {name} is not set, or is empty.",
            fix=f"Set {name} to a REST API key with the `users.track` permission, "
            "or use --dry-run, which needs none.",
        )
