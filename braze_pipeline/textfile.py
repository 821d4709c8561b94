"""Files that a brand writes: text in UTF-8, or an error that names the line."""

from __future__ import annotations

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
