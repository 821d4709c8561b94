"""docs/tutorial.md as a reader follows it: each command, each edit, and what is printed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from braze_pipeline.sandbox import Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.e2e


def steps() -> list[tuple[str, str]]:
    """The blocks after the installation, in order: language and text."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition("\n## 2. ")
    assert text
    return [
        (language, re.sub(rf"^{indent}", "", body, flags=re.MULTILINE))
        for indent, language, body in BLOCK.findall(text)
    ]


def edit(file: Path, block: str) -> None:
    """What the reader does with a YAML block: it is in the file, or its lines replace those there.

    A key that the file has in a comment alone is written in place of the comment.
    """
    text = file.read_text(encoding="utf-8")
    if block in text:
        return
    for line in block.splitlines():
        key = re.escape(line.partition(":")[0])
        active = re.compile(rf"^( +){key}:.*$", re.MULTILINE)
        pattern = active if active.search(text) else re.compile(rf"^( +)# {key}:.*$", re.MULTILINE)
        found = pattern.search(text)
        assert found, f"defs.yaml has no place for {line!r}"
        text = text[: found.start()] + found[1] + line + text[found.end() :]
    file.write_text(text, encoding="utf-8")


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_tutorial_works_as_it_stands_there(tmp_path: Path) -> None:
    folder = tmp_path / "my-brand"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        k: v for k, v in os.environ.items() if not k.startswith(("BRAZE_", "DAGSTER_", "PYTEST_"))
    }
    environ |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # Nothing may leave this machine; no proxy listens on this port.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    with (
        Sandbox(assume_all=True, api_key=None) as real,
        subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as shell,
    ):
        assert shell.stdin
        assert shell.stdout

        def call(commands: str, exits: tuple[int, ...] = (0,)) -> str:
            """Run commands in the reader's shell; the text that they print."""
            assert shell.stdin
            assert shell.stdout
            commands = commands.replace("8421", str(port))
            shell.stdin.write(f'{commands}\necho "[exit $?]"\n')
            shell.stdin.flush()
            lines: list[str] = []
            for line in shell.stdout:
                if line.startswith("[exit "):
                    assert line.strip() in {f"[exit {n}]" for n in exits}, commands + "".join(lines)
                    break
                lines.append(line)
            return "".join(lines)

        try:
            printed, moved = "", False
            for language, block in steps():
                if language == "csv":
                    (folder / "customers.csv").write_text(block, encoding="utf-8")
                elif language == "yaml":
                    (defs,) = folder.glob("*/defs/braze/defs.yaml")
                    edit(defs, block)
                elif language == "text":
                    for line in block.replace("8421", str(port)).splitlines():
                        assert words(line) in words(printed), printed
                else:
                    assert language == "console"
                    # Where the reader has a workspace, the test has none: Braze is not asked.
                    printed = call(block, exits=(4,) if moved and "doctor" in block else (0,))
                    if "braze-pipeline init" in block:
                        example = folder / ".env.example"
                        text = example.read_text(encoding="utf-8")
                        example.write_text(text.replace("8421", str(port)), encoding="utf-8")
                    if "unset BRAZE_REST_ENDPOINT" in block:
                        moved = True
                    elif moved and "doctor" in block:
                        # The reader's instance from here on: another sandbox.
                        call(f"export BRAZE_REST_ENDPOINT={real.endpoint}")
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
        assert real.profile("1001")
        assert real.profile("1002") is None
