"""An SVG as an image in Markdown: the one form of picture that Dagster's UI shows inline."""

from __future__ import annotations

import base64
import re

import dagster as dg

_NOT_IN_TITLE = re.compile(r"[\[\]()\\`<>\r\n]")


def picture(title: str, svg: str) -> dg.MarkdownMetadataValue:
    """The picture, with a title for those who do not see it.

    Metadata is kept in the event log for ever, so pictures stay small (below 20 KB).
    """
    data = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(
        f"![{_NOT_IN_TITLE.sub(' ', title)}](data:image/svg+xml;base64,{data})"
    )
