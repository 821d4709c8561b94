from __future__ import annotations

from pathlib import Path

import pytest

from scripts.code_lines import main

MODULE = '''"""What the module is for,
in two lines."""

from json import (
    dumps,
    loads,
)

# A comment.
TEXT = """one

two"""


class Room:
    """What it is."""

    def open(self) -> str:
        """What it does."""
        import os  # counted: only imports at the top are left aside

        return dumps(loads(TEXT))  # a comment behind code
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "module.py").write_text(MODULE)
    (tmp_path / "room" / "query.sql").write_text("-- why\nSELECT 1\n\n")
    return tmp_path


def test_only_code_is_counted_and_each_room_shows_its_share(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(package, 6) == 0
    assert capsys.readouterr().out.splitlines() == [
        "      6 100.0%  room",
        "      6 of at most 6 lines of Python, and 1 of .sql",
    ]


def test_one_line_above_the_ceiling_fails(package: Path) -> None:
    assert main(package, 5) == 1
