"""A picture so short that Dagster's UI shows it in the table of metadata, without a click.

The UI shows Markdown in place up to 999 characters, and behind a link above that. So a sketch
shares one style among all its texts, draws all bars of a colour as one path, and stands in the
Markdown as it is: base64 would make it a third longer.

Like a card it brings its own background, light or dark as the system has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from braze_pipeline.orchestration.pictures.card import escape, number

SHOWN_IN_PLACE: Final = 999
"""Characters of Markdown that the UI shows without a click (seen in Dagster 1.13.27)."""

WIDTH: Final = 400
BLUE: Final = "#37d"
PALE: Final = "#37d5"
ORANGE: Final = "#d60"
GREY: Final = "#999"

_STYLE: Final = (
    "text{font:12px sans-serif;fill:#123}rect{fill:#f4f6fa}"
    "@media(prefers-color-scheme:dark){text{fill:#eee}rect{fill:#1c202c}}"
)
# What Markdown or an address would read as its own; a percent sign first, as it begins them.
_ENCODED: Final = {"%": "%25", "#": "%23", "&": "%26", "\\": "%5C", "<": "\\<", ">": "\\>"}
_TABLE: Final = str.maketrans(_ENCODED)


class Sketch:
    """A small picture while it is drawn."""

    def __init__(self, title: str, height: float) -> None:
        self._title = title
        self._height = number(height)
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str) -> None:
        """A line of text from a point."""
        self._parts.append(f"<text x='{number(x)}' y='{number(y)}'>{escape(text)}</text>")

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

    def svg(self) -> str:
        """The whole picture."""
        size = f"width='{WIDTH}' height='{self._height}'"
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' {size} viewBox='0 0 {WIDTH} {self._height}'>"
            f"<style>{_STYLE}</style><rect {size} rx='8'/>{''.join(self._parts)}</svg>"
        )

    def markdown(self) -> str:
        """The picture as an image in Markdown."""
        return f"![{self._title}](<data:image/svg+xml,{self.svg().translate(_TABLE)}>)"


def short(count: int) -> str:
    """A count in at most six signs or so."""
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= 100 * size:
            return f"{count / size:,.0f}{letter}"
        if count >= 10 * size and size > 1_000:
            return f"{count / size:.1f}{letter}"
    return f"{count:,}"
