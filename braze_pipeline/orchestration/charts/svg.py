"""A chart so short that Dagster's UI shows it in the table of metadata, without a click.

The UI shows Markdown in place up to 999 characters, and behind a link above that. So a chart
shares one style among all its texts, draws all bars of a colour as one path, and stands in the
Markdown as it is: base64 would make it a third longer.

An image cannot take its colours from the page around it, and a user may set a theme in Dagster
that differs from the system's. So it brings its own background, light or dark as the system has
it. Red and green carry no meaning: blue is done, orange is refused, grey is open. The same input
always gives the same text, so that equal runs have equal metadata.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

SHOWN_IN_PLACE: Final = 999
"""Characters of Markdown that the UI shows without a click (seen in Dagster 1.13.27)."""

WIDTH: Final = 360
"""The metadata column of a window 1,400 wide shows so much; it cuts off what is wider."""

EDGE: Final = 12
BLUE: Final = "#37d"
ORANGE: Final = "#d60"
GREY: Final = "#999"

_STYLE: Final = (
    "text{font:11px sans-serif;fill:#123}rect{fill:#f4f6fa}"
    "@media(prefers-color-scheme:dark){text{fill:#eee}rect{fill:#1c202c}}"
)
# What XML 1.0 cannot hold, not even escaped.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
)
# What Markdown or an address would read as its own; a percent sign first, as it begins them.
_ENCODED: Final = {"%": "%25", "#": "%23", "&": "%26", "\\": "%5C", "<": "\\<", ">": "\\>"}
_TABLE: Final = str.maketrans(_ENCODED)


class Chart:
    """A chart while it is drawn. Lengths are in units of about a pixel."""

    def __init__(self, title: str, height: float) -> None:
        self._title = title
        self._height = number(height)
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str) -> None:
        """A line of text from a point."""
        self._parts.append(f"<text x='{number(x)}' y='{number(y)}'>{_escaped(text)}</text>")

    def bars(self, bars: Sequence[tuple[float, float, float, float]], colour: str) -> None:
        """Rectangles of one colour: x, y, width, height of each; those without width are left."""
        path = "".join(
            f"M{number(x)} {number(y)}h{number(wide)}v{number(high)}H{number(x)}z"
            for x, y, wide, high in bars
            if wide > 0
        )
        if path:
            self.path(path, colour)

    def path(self, path: str, colour: str) -> None:
        """A filled shape."""
        self._parts.append(f"<path fill='{colour}' d='{path}'/>")

    def markdown(self) -> str:
        """The chart as an image in Markdown."""
        size = f"width='{WIDTH}' height='{self._height}'"
        svg = (
            f"<svg xmlns='http://www.w3.org/2000/svg' {size} viewBox='0 0 {WIDTH} {self._height}'>"
            f"<style>{_STYLE}</style><rect {size} rx='8'/>{''.join(self._parts)}</svg>"
        )
        return f"![{self._title}](<data:image/svg+xml,{svg.translate(_TABLE)}>)"


def fit(text: str, room: float) -> str:
    """The text, cut off with an ellipsis where it would be wider than ``room``."""
    flat = " ".join(text.split())
    left = room / 11
    if sum(map(_ems, flat)) <= left:
        return flat
    left -= _ems("…")
    kept = 0
    for letter in flat:
        left -= _ems(letter)
        if left < 0:
            break
        kept += 1
    return flat[:kept].rstrip() + "…"


def _ems(letter: str) -> float:
    """About how wide a letter is, in multiples of its height; rather too wide."""
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "FW":
        return 1.0
    return 0.75 if letter.isupper() or letter in "mw@%W" else 0.58


def _escaped(text: str) -> str:
    return _NOT_XML.sub("\ufffd", " ".join(text.split())).translate(_ESCAPES)


def number(value: float) -> str:
    """A coordinate with at most one decimal place."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def short(count: int) -> str:
    """A count in at most six characters or so."""
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= 100 * size:
            return f"{count / size:,.0f}{letter}"
        if count >= 10 * size and size > 1_000:
            return f"{count / size:.1f}{letter}"
    return f"{count:,}"


def share(part: float, whole: float) -> str:
    """A share in percent; an all but empty or all but full one does not look like none or all."""
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in {0, 100} else f"{percent:.1f} %"


def length(part: float, whole: float, room: float) -> float:
    """The length of a bar; something is never so short that it cannot be seen."""
    if part <= 0 or whole <= 0:
        return 0.0
    return max(1.5, min(1.0, part / whole) * room)
