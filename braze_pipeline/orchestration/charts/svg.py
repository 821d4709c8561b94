"""A chart that is short enough for Dagster's UI to show it in the metadata table, without a click.

The UI shows Markdown of up to 999 characters in place, and anything longer behind a link. So all
texts of a chart share one style, all bars of a colour are one path, and the SVG is in the Markdown
as it is: base64 would make it a third longer.

An image cannot take its colours from the page around it, and Dagster's theme may differ from the
system's. So a chart has its own background, light or dark like the system. Blue is done, orange is
refused, grey is open; red and green are not used. The same input always gives the same text, so
that equal runs have equal metadata.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from html import escape
from itertools import accumulate
from typing import Final

SHOWN_IN_PLACE: Final = 999
"""Characters of Markdown that the UI shows without a click (seen in Dagster 1.13.27)."""

WIDTH: Final = 360
"""What the metadata column of a window 1,400 wide shows; it cuts off anything wider."""

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
# What Markdown or an address would take for its own syntax.
_ENCODED: Final = str.maketrans(
    {"%": "%25", "#": "%23", "&": "%26", "\\": "%5C", "<": "\\<", ">": "\\>"}
)


class Chart:
    """A chart while it is drawn. Lengths are in units of about a pixel."""

    def __init__(self, title: str, height: float) -> None:
        self._title = title
        self._height = number(height)
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str) -> None:
        """Add a line of text that starts at a point."""
        self._parts.append(f"<text x='{number(x)}' y='{number(y)}'>{_escaped(text)}</text>")

    def bars(self, bars: Sequence[tuple[float, float, float, float]], colour: str) -> None:
        """Add rectangles of one colour: x, y, width and height of each; none for no width."""
        path = "".join(
            f"M{number(x)} {number(y)}h{number(wide)}v{number(high)}H{number(x)}z"
            for x, y, wide, high in bars
            if wide > 0
        )
        if path:
            self.path(path, colour)

    def path(self, path: str, colour: str) -> None:
        """Add a filled shape."""
        self._parts.append(f"<path fill='{colour}' d='{path}'/>")

    def markdown(self) -> str:
        """The chart, as an image in Markdown."""
        size = f"width='{WIDTH}' height='{self._height}'"
        svg = (
            f"<svg xmlns='http://www.w3.org/2000/svg' {size} viewBox='0 0 {WIDTH} {self._height}'>"
            f"<style>{_STYLE}</style><rect {size} rx='8'/>{''.join(self._parts)}</svg>"
        )
        return f"![{self._title}](<data:image/svg+xml,{svg.translate(_ENCODED)}>)"


def first_that_fits(charts: Iterable[str]) -> str:
    """The first chart that the UI shows without a click; the last one where none is that short."""
    for chart in charts:
        if len(chart) <= SHOWN_IN_PLACE:
            break
    return chart


def fit(text: str, room: float) -> str:
    """The text, cut off with an ellipsis where it would be wider than ``room``."""
    flat = " ".join(text.split())
    widths = list(accumulate(map(_ems, flat)))
    ems = room / 11
    if not widths or widths[-1] <= ems:
        return flat
    return flat[: bisect_right(widths, ems - _ems("…"))].rstrip() + "…"


def _ems(letter: str) -> float:
    """The approximate width of a letter, in multiples of its height; too wide rather than not."""
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "FW":
        return 1.0
    return 0.75 if letter.isupper() or letter in "mw@%W" else 0.58


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", " ".join(text.split())))


def number(value: float) -> str:
    """A coordinate with at most one decimal place."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def short(count: int) -> str:
    """A count in about six characters at most."""
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= 100 * size:
            return f"{count / size:,.0f}{letter}"
        if count >= 10 * size and size > 1_000:
            return f"{count / size:.1f}{letter}"
    return f"{count:,}"


def share(part: float, whole: float) -> str:
    """A share in percent; one that is almost nothing or almost all never reads as 0 % or 100 %."""
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in {0, 100} else f"{percent:.1f} %"


def length(part: float, whole: float, room: float) -> float:
    """The length of a bar; anything above zero is long enough to be seen."""
    if part <= 0 or whole <= 0:
        return 0.0
    return max(1.5, min(1.0, part / whole) * room)
