"""What the documentation names exists: paths, modules, and the targets of links."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT)
    for page in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("data/*.md"),
        *ROOT.glob("examples/*/*.md"),
    )
)

FOLDERS = (
    "braze_pipeline|braze_pipeline_tests|benchmarks|deploy|docs|examples|scripts|data"
    "|[.]dagster_home|[.]ci"
)
PATHS = re.compile(rf"`((?:{FOLDERS})/[\w./-]*|[\w.-]+/[\w./-]+[.](?:py|sql|yaml|md))`")
FILES = re.compile(r"`([\w-]+[.](?:py|sql|md))`")
RUN_TAGS = {"braze_pipeline/let_through", "braze_pipeline/reason"}
WRITTEN_BY_RUNS = re.compile(r"data/warehouse")
MODULES = re.compile(r"`(braze_pipeline(?:\.\w+)+)`")
LINKS = re.compile(r"\]\(([^)\s]+)\)")
HEADINGS = re.compile(r"^#+ +(.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
ROOMS = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def missing_paths(text: str, folder: Path = ROOT) -> list[str]:
    """Paths that neither the repository nor the page's own folder has."""
    named = {path for path in PATHS.findall(text) if not WRITTEN_BY_RUNS.match(path)}
    missing = [
        path
        for path in named - RUN_TAGS
        if not (ROOT / path).exists() and not (folder / path).exists()
    ]
    return sorted(missing + [name for name in FILES.findall(text) if name not in file_names()])


@cache
def file_names() -> set[str]:
    """The names of the project's own files."""
    folders = [
        ROOT / folder
        for folder in ("braze_pipeline", "braze_pipeline_tests", "examples", "scripts", "docs")
    ]
    return {path.name for folder in (*folders, ROOT / "data") for path in folder.rglob("*.*")} | {
        path.name for path in ROOT.glob("*.*")
    }


def missing_modules(text: str) -> list[str]:
    return [name for name in MODULES.findall(text) if not exists(name)]


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or a name that a module has."""
    parent, _, last = name.rpartition(".")
    try:
        if find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        return False
    spec = find_spec(parent)
    module = Path(spec.origin or "") if spec else Path()
    return (
        module.is_file()
        and re.search(rf"\b{last}\b", module.read_text(encoding="utf-8")) is not None
    )


def broken_links(page: Path, text: str) -> list[str]:
    found = []
    for link in LINKS.findall(FENCED.sub("", text)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page.parent / path).resolve() if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that a rendered page has: its headings, the way GitHub writes them."""
    headings = HEADINGS.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_path_and_module_that_a_page_names_exists(page: Path) -> None:
    text = text_of(page)
    assert missing_paths(text, (ROOT / page).parent) + missing_modules(text) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken_links(page, text_of(page)) == []


def test_contributing_names_every_room_and_no_other() -> None:
    rooms = {
        folder.name
        for folder in (ROOT / "braze_pipeline").iterdir()
        if folder.is_dir() and any(folder.rglob("*.*")) and folder.name != "__pycache__"
    }
    assert sorted(ROOMS.findall(text_of(Path("CONTRIBUTING.md")))) == sorted(rooms)


def test_contributing_shows_the_layers_that_the_linter_enforces() -> None:
    contracts = tomllib.loads(text_of(Path("pyproject.toml")))["tool"]["importlinter"]["contracts"]
    layers = [layer.replace("braze_pipeline.", "") for layer in contracts[0]["layers"]]
    assert "\n".join(layers[1:]) in text_of(Path("CONTRIBUTING.md"))


def test_a_wrong_path_a_wrong_module_and_a_wrong_link_are_found() -> None:
    assert missing_paths(
        "`braze_pipeline/core/ledger`, `core/ledger/columns.py`, `written.py` and `docs/ledger.md`"
    ) == ["braze_pipeline/core/ledger", "core/ledger/columns.py", "written.py"]
    assert missing_modules(
        "`braze_pipeline.core.ledger`, `braze_pipeline.ledger.nothing`, `braze_pipeline.settings`, "
        "`braze_pipeline.orchestration.BrazeDestination`"
    ) == ["braze_pipeline.core.ledger", "braze_pipeline.ledger.nothing"]
    assert broken_links(
        Path("README.md"),
        "[a](docs/ledger.md) [b](docs/nothing.md) [c](docs/ledger.md#nowhere) [d](#settings)",
    ) == ["docs/nothing.md", "docs/ledger.md#nowhere"]


CONSOLE = re.compile(r"^```console$(.*?)^```", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"^ *make +(.+)$", re.MULTILINE)
BENCHMARK = re.compile(r"^.*?\bpython (benchmarks/\S+\.py)(.*)$", re.MULTILINE)


def unknown_commands(text: str) -> list[str]:
    """Targets and variables that the Makefile lacks, and options that a benchmark lacks."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = []
    for line in MAKE.findall(text):
        target, *variables = re.findall(r"\S+?=\"[^\"]*\"|\S+", line.partition("#")[0])
        if not re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE):
            found.append(f"make {target}")
        names = [one.partition("=")[0] for one in variables]
        found += [f"{target} {name}" for name in names if f"$({name})" not in makefile]
    for file, options in BENCHMARK.findall(text):
        path = ROOT / file
        source = path.read_text(encoding="utf-8") if path.exists() else ""
        found += [
            f"{file} {option}"
            for option in re.findall(r"--[\w-]+", options.partition("#")[0])
            if f'"{option}"' not in source
        ]
        found += [] if source else [file]
    return found


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_make_target_and_benchmark_that_a_page_shows_exists(page: Path) -> None:
    assert unknown_commands("\n".join(CONSOLE.findall(text_of(page)))) == []


def test_a_command_that_does_not_exist_is_found() -> None:
    assert unknown_commands("make bench-scale N=1 SIZE=2\nmake bench-skale") == [
        "bench-scale SIZE",
        "make bench-skale",
    ]
    assert unknown_commands("python benchmarks/scale.py --peers 1 --users 2") == [
        "benchmarks/scale.py --users"
    ]


def test_the_benchmark_of_scale_can_fill_its_page() -> None:
    report = (ROOT / "benchmarks/_report.py").read_text(encoding="utf-8")
    page = text_of(Path("docs/performance.md"))
    marks = re.findall(r'"(<!-- measured: \w+ -->)"', report)
    assert [page.count(mark) for mark in marks] == [1, 1]
