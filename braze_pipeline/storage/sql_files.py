"""SQL that is in files beside the code."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


def read_sql(room: str, name: str, /, **parts: object) -> str:
    """The SQL in ``NAME.sql`` of a room, with its ``{parts}`` (names, expressions) filled in."""
    return _text(room, name).format(**parts)


@cache
def _text(room: str, name: str) -> str:
    return files(f"braze_pipeline.{room}").joinpath(f"{name}.sql").read_text("utf-8")
