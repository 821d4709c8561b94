"""Reads what people write by hand: text files, paths, names and dates."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from braze_pipeline.errors import ConfigurationError


def read_text(file: Path) -> str:
    """The text of a file, without the byte order mark that some editors put at the start.

    Raises:
        ConfigurationError: the file cannot be read, or is not UTF-8.
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


def path_of(text: str) -> Path:
    """A path as a shell reads it, in which `~/` is the home folder."""
    return Path(text).expanduser() if text.startswith("~/") else Path(text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the closest known name, ignoring case; empty if none is close."""
    spelled = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), spelled, n=1)
    return f" Did you mean '{spelled[close[0]]}'?" if close else ""


def parse_date(text: str) -> date:
    """A date in the form YYYY-MM-DD.

    Raises:
        ValueError: the text has another form, or the date does not exist.
    """
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("not YYYY-MM-DD")
    return date.fromisoformat(text)
