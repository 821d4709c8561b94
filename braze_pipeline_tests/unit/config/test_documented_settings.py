"""What the pages show as YAML can be pasted into `defs.yaml`."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from braze_pipeline_tests.unit.config.test_configuration_errors import document, load
from braze_pipeline_tests.unit.test_documentation import PAGES, text_of

SHOWN = re.compile(r"^( *)```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def snippets() -> list[tuple[str, str]]:
    return [
        (f"{page}, line {text.count(chr(10), 0, found.start()) + 1}", dedent(found[2]))
        for page in PAGES
        for text in [text_of(page)]
        for found in SHOWN.finditer(text)
        if re.match(r"(connections|sources):", dedent(found[2]))
    ]


@pytest.mark.parametrize(("where", "shown"), snippets())
def test_sources_that_a_page_shows_are_accepted(tmp_path: Path, where: str, shown: str) -> None:
    (t,) = load(tmp_path, document(more=shown))
    assert [source.name for source in t.sources if f"{source.name}:" in shown], where
