"""The surface that pictures are drawn on.

An image cannot take its colours from the page around it, and a user may set a theme in Dagster
that differs from the system's. So a card brings its own background, light or dark as the system
has it, and is readable on either page. Red and green carry no meaning: blue is done, orange is
not, grey is open.

Dagster keeps metadata for ever, and its UI shows Markdown of this length behind a click; what is to
be seen at once is a ``sketch``. The same input always gives the same text, so that equal runs have
equal metadata.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal

Ink = Literal["strong", "text", "muted", "blue", "pale", "orange", "grey", "line"]
Anchor = Literal["start", "middle", "end"]

WIDTH: Final = 480
"""All cards are that wide: the metadata column of a usual window shows it unscaled or nearly so."""

EDGE: Final = 16
"""Room between the card's border and what is drawn."""

_STYLE: Final = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    ".card{fill:#fff;stroke:#d3d8e0}.strong,.text{fill:#1d2330}.strong{font-weight:600}"
    ".muted{fill:#596273}.blue{fill:#2f6fd6}.pale{fill:#d5e2f7}.orange{fill:#b8550d}"
    ".grey{fill:#9aa3b2}.line{fill:#d3d8e0}"
    "@media(prefers-color-scheme:dark){"
    ".card{fill:#181c26;stroke:#3a4152}.strong,.text{fill:#e9ecf2}.muted{fill:#a9b1c1}"
    ".blue{fill:#6fa2ff}.pale{fill:#2b3f66}.orange{fill:#f0954a}.grey{fill:#78818f}"
    ".line{fill:#3a4152}}"
)

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
)


class Card:
    """A picture while it is drawn. Lengths are in units of about a pixel."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        ink: Ink = "text",
        size: float = 12,
        anchor: Anchor = "start",
        room: float | None = None,
    ) -> None:
        """A line of text whose baseline begins, centres or ends at a point.

        Args:
            x: See ``anchor``.
            y: The baseline.
            text: Any text; it is escaped.
            ink: Its colour and weight.
            size: Height of the letters.
            anchor: Which end of the text ``x`` is.
            room: Cut the text off with an ellipsis where it would be wider than this.
        """
        shown = text if room is None else fit(text, room, size)
        at = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(
            f'<text class="{ink}" x="{number(x)}" y="{number(y)}" '
            f'font-size="{number(size)}"{at}>{escape(shown)}</text>'
        )

    def bar(self, x: float, y: float, width: float, height: float, ink: Ink) -> None:
        """A rectangle with slightly round corners; nothing where it has no width."""
        if width <= 0 or height <= 0:
            return
        round_by = number(min(2.0, width / 2, height / 2))
        self._parts.append(
            f'<rect class="{ink}" x="{number(x)}" y="{number(y)}" width="{number(width)}" '
            f'height="{number(height)}" rx="{round_by}"/>'
        )

    def shape(self, points: Sequence[tuple[float, float]], ink: Ink) -> None:
        """A filled polygon."""
        listed = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self._parts.append(f'<polygon class="{ink}" points="{listed}"/>')

    def svg(self, height: float) -> str:
        """The whole picture."""
        size = f'width="{WIDTH}" height="{number(height)}" viewBox="0 0 {WIDTH} {number(height)}"'
        border = (
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" '
            f'height="{number(height - 1)}" rx="8"/>'
        )
        title = escape(self._title)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">'
            f"<title>{title}</title><style>{_STYLE}</style>{border}{''.join(self._parts)}</svg>"
        )

    def markdown(self, height: float) -> str:
        """The picture as an image in Markdown."""
        data = base64.b64encode(self.svg(height).encode()).decode()
        return f"![{self._title}](data:image/svg+xml;base64,{data})"


def escape(text: str) -> str:
    """A text as XML holds it, in an element or an attribute."""
    return _NOT_XML.sub("\ufffd", " ".join(text.split())).translate(_ESCAPES)


def fit(text: str, room: float, size: float) -> str:
    """The text, cut off with an ellipsis where it would be wider than ``room``."""
    flat = " ".join(text.split())
    left = room / size
    if sum(map(_ems, flat)) <= left:
        return flat
    left -= _ems("…")
    kept = 0
    for sign in flat:
        left -= _ems(sign)
        if left < 0:
            break
        kept += 1
    return flat[:kept].rstrip() + "…"


def _ems(sign: str) -> float:
    """About how wide a sign is, in multiples of the letters' height; rather too wide."""
    if unicodedata.combining(sign):
        return 0.0
    if unicodedata.east_asian_width(sign) in "FW":
        return 1.0
    return 0.75 if sign.isupper() or sign in "mw@%W" else 0.58


def number(value: float) -> str:
    """A coordinate with at most one decimal place."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


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
