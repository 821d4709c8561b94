"""What people write by hand: a text file, a name, a day; read, or told what is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from braze_pipeline.errors import ConfigurationError


def read_text(file: Path) -> str:
    """The text of a file, without the mark that some editors put before it.

    Raises:
        ConfigurationError: it cannot be read, or is not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror}.", fix="Check the path and its permissions."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            f"{file}:{line}: not UTF-8 text.",
            fix="Save the file as UTF-8 (it is probably Latin-1 or Windows-1252).",
        ) from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the known name that is most like one, in any case; else empty."""
    by_fold = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), by_fold, n=1)
    return f" Did you mean '{by_fold[close[0]]}'?" if close else ""


def day_of(text: str) -> date:
    """A day as YYYY-MM-DD.

    Raises:
        ValueError: it is written in another way, or is not in the calendar.
    """
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("not YYYY-MM-DD")
    return date.fromisoformat(text)
