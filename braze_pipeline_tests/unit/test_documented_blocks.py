"""Every block and command that a page shows can be used as it stands there.

YAML is loaded by the real configuration, commands are parsed by the real command line, Python is
run and SQL parsed. What none of this can check is listed here with the reason; anything else fails.
``integration/cli/test_documented_commands.py`` runs the commands; the tutorial and the example with
dbt are followed word by word (``e2e/test_tutorial.py``, ``e2e/test_dbt_example.py``).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import click
import duckdb
import pytest
import yaml

from braze_pipeline.cli.context import session
from braze_pipeline.cli.main import cli
from braze_pipeline.config.models import DestinationConfig, PipelineConfig, TemplateConfig
from braze_pipeline.errors import ConfigurationError, UsageError
from braze_pipeline_tests.unit.config.test_configuration_errors import document, load
from braze_pipeline_tests.unit.test_documentation import PAGES, ROOT, text_of

FENCED = re.compile(r"^( *)```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(braze-pipeline [^`]+)`")
GENERATED = "docs/reference/"

NOT_CHECKED = {
    ("text", ""): "output: the tests that follow the tutorial, the demo and the example compare it",
    ("csv", ""): "data: the test that follows the tutorial uses it",
    ("", "cli\n"): "the layers of the package, which another test compares with the linter's",
    ("yaml", "# added to /var/lib/braze-pipeline/dagster/dagster.yaml"): (
        "Dagster's file, not ours; Dagster reads it only with dagster-postgres installed"
    ),
}
"""Kinds of blocks that are not checked, by language and beginning, with the reason."""

OTHER_PROGRAMS = {
    **dict.fromkeys(
        (
            ".",
            "cd",
            "chmod",
            "cp",
            "echo",
            "export",
            "install",
            "kill",
            "mkdir",
            "rm",
            "sed",
            "set",
            "unset",
        ),
        "the shell, and tools that every system has",
    ),
    "make": "test_documentation.py looks for the target in the Makefile",
    "git": "the reader's own clone",
    "pip": "would reach the network",
    "systemctl": "systemd of the host",
    "useradd": "changes the host",
    "runuser": "changes the user; it runs Dagster's own command",
    "dg": "Dagster's own command: e2e/test_dbt_example.py runs it",
}
"""Programs of others that pages call, with the reason why their calls are not checked."""

PLACEHOLDERS = {
    **dict.fromkeys(("N", "{number}", "NUMBER"), "1"),
    **dict.fromkeys(("D", "DAY", "FIRST", "LAST", "YESTERDAY", "{day}"), "2026-03-01"),
}
"""What a reader writes in place of a word; any other word may stand for itself."""


@dataclass(frozen=True)
class Block:
    where: str
    language: str
    text: str


def blocks_of(page: str, text: str) -> list[Block]:
    return [
        Block(f"{page}:{text.count(chr(10), 0, found.start()) + 1}", found[2], dedent(found[3]))
        for found in FENCED.finditer(text)
    ]


SAMPLE = session(None, None)
PROSE = [page for page in PAGES if not str(page).startswith(GENERATED)]
BLOCKS = [block for page in PROSE for block in blocks_of(str(page), text_of(page))]


def why_not_checked(block: Block) -> str | None:
    found = [
        reason
        for (language, start), reason in NOT_CHECKED.items()
        if block.language == language and block.text.startswith(start)
    ]
    return found[0] if found else None


def load_shown(folder: Path, text: str) -> None:
    """Load YAML as the reader pastes it: a whole file, or a part of a minimal one.

    Raises:
        ConfigurationError: the configuration refuses it.
    """
    whole = yaml.safe_load(document())
    everything = whole["attributes"]
    shown = yaml.safe_load(text)
    if isinstance(shown, list):
        shown = {"attributes": shown}
    elif "attributes" in shown:
        shown = shown["attributes"]
    for key, value in shown.items():
        if key == "templates":
            everything[key] = [everything[key][0] | one for one in value]
        elif key in PipelineConfig.model_fields:
            given = everything.get(key)
            everything[key] = given | value if isinstance(given, dict) else value
        else:
            part = next(
                (
                    part
                    for model, part in (
                        (TemplateConfig, everything["templates"][0]),
                        (DestinationConfig, everything["destination"]),
                    )
                    if key in model.model_fields
                ),
                everything,  # where the configuration refuses it
            )
            part[key] = value
    for name in re.findall(r"[\w.]+\.sql", text):
        (folder / name).write_text("SELECT 1", encoding="utf-8")
    templates = load(folder, yaml.safe_dump(whole), SHOP_URI="postgresql://127.0.0.1/shop")
    assert {s.name for t in templates for s in t.sources} >= set(everything.get("sources", {}))


def calls_of(text: str) -> list[list[str]]:
    """The single commands of shell text, without redirections and variables before them."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        call: list[str] = []
        redirected = False
        for word in [*lexer, ";"]:
            if redirected:
                redirected = False
            elif word in {">", ">>", "<"}:
                redirected = True
            elif set(word) <= set(";&|"):
                if call:
                    found.append(call)
                call = []
            elif call or not re.match(r"\w+=", word):
                call.append(word)
    return found


def parse(words: list[str]) -> None:
    """Parse a call of ``braze-pipeline`` down to the last subcommand, without running it.

    Raises:
        click.UsageError: the command line does not know it, or something is missing.
        UsageError: a value is not valid.
    """
    name, context = "braze-pipeline", None
    inner: click.Command | None = cli
    while inner is not None:
        command, inner = inner, None
        context = command.make_context(name, list(words), parent=context, obj=SAMPLE)
        if isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
            found, inner, words = command.resolve_command(context, rest)
            name = found or name


def names_a_command(words: list[str]) -> bool:
    """Whether the words only name a command or a group, as prose does."""
    command: click.Command | None = cli
    for word in words:
        command = command.commands.get(word) if isinstance(command, click.Group) else None
    return command is not None


def problem_of(call: list[str]) -> str | None:
    """Why a reader could not use a call; None if it is right, or none of ours and listed."""
    program = call[0].rpartition("/")[2] or call[0]
    if program == "braze-pipeline":
        words = [PLACEHOLDERS.get(word, word) for word in call[1:]]
        try:
            parse(words)
        except click.exceptions.Exit:
            return None  # --help
        except (click.UsageError, UsageError) as error:
            why = error.format_message() if isinstance(error, click.UsageError) else error.what
            return f"{shlex.join(call)}: {why}"
        return None
    if program.startswith("python"):
        module = call[2] if call[1] == "-m" else None
        known = find_spec(module) if module else (ROOT / call[1]).is_file()
        return None if known else f"{shlex.join(call)}: no such module"
    return None if program in OTHER_PROGRAMS else f"{program}: not listed in OTHER_PROGRAMS"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_reader_can_use_every_block(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if why_not_checked(block):
        return
    if block.language == "yaml":
        load_shown(tmp_path, block.text)
    elif block.language == "console":
        for file in re.findall(r"(?<![\w./-])[\w.]+[.](?:csv|sql)\b", block.text):
            (tmp_path / file).touch()  # the reader's own
        assert [p for p in map(problem_of, calls_of(block.text)) if p] == []
    elif block.language == "python":
        exec(block.text, {})
    elif block.language == "sql":
        assert duckdb.extract_statements(block.text)
    else:
        pytest.fail(f"no check for {block.language!r}: list it in NOT_CHECKED with the reason")


@pytest.mark.parametrize("page", PROSE, ids=str)
def test_every_command_in_the_text_of_a_page_is_one(page: Path) -> None:
    problems = []
    for shown in INLINE.findall(FENCED.sub("", text_of(page))):
        ((_, *words),) = calls_of(re.sub(r"[\[\]]", "", shown.replace("\n", " ")))
        if not names_a_command(words):
            problems.append(problem_of(["braze-pipeline", *words]))
    assert [problem for problem in problems if problem] == []


def test_nothing_is_listed_that_no_page_shows() -> None:
    kinds = {reason for block in BLOCKS if (reason := why_not_checked(block))}
    assert kinds == set(NOT_CHECKED.values())
    programs = {
        call[0].rpartition("/")[2] or call[0]
        for block in BLOCKS
        if block.language == "console"
        for call in calls_of(block.text)
    }
    assert set(OTHER_PROGRAMS) <= programs


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("braze-pipeline run --as-off 2026-03-01", "No such option"),
        ("braze-pipeline run --as-of yesterday", "yesterday"),
        ("braze-pipeline rum", "No such command"),
        ("braze-pipeline ledger show", "Missing argument"),
        ("braze-pipeline actions close 3", "Missing option '--reason'"),
        ("python -m scripts.nothing", "no such module"),
        ("braze-pipeline doctor | telnet", "telnet: not listed"),
    ],
)
def test_a_wrong_command_is_found(call: str, problem: str) -> None:
    assert problem in str([problem_of(one) for one in calls_of(call)])


@pytest.mark.parametrize(
    "text",
    [
        "destination: {contract: mua}",
        "alerts: {sucess: daily}",
        "audiences: all",
        "- {column: email, typ: string}",
        "templates:\n- {run_in: nowhere}",
    ],
)
def test_wrong_yaml_is_found(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        load_shown(tmp_path, text)
