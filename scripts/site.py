"""Builds the documentation as a site, in build/site: ``python -m scripts.site``, or ``make docs``.

The pages are the Markdown files of the repository where they are, so that their links hold here and
there. The build fails on a link to a page or heading that does not exist.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("*.md", "docs/**/*.md", "docs/**/*.png", "data/*.md", "examples/*/README.md")

Nav = Mapping[str, str | Sequence[Mapping[str, str]]]

NAV: Nav = {
    "Start": "README.md",
    "Tutorial": "docs/tutorial.md",
    "How to": [
        {"Find your question": "docs/how-to.md"},
        {"Read your own data": "docs/sources.md"},
        {"Run the SQL elsewhere": "docs/run-in.md"},
        {"Send a dbt model": "examples/dbt/README.md"},
        {"Predict customer value": "docs/predicted-value.md"},
        {"Set contract and rate limits": "docs/contracts.md"},
        {"Move over from another tool": "docs/moving-over.md"},
        {"Run it in production": "docs/running-it.md"},
        {"Try it on the sandbox": "docs/sandbox.md"},
    ],
    "Reference": [
        {"Keys of defs.yaml": "docs/reference/defs-yaml.md"},
        {"Commands": "docs/reference/commands.md"},
        {"Environment variables": "docs/reference/environment.md"},
        {"Tables": "docs/reference/tables.md"},
        {"Workflow actions": "docs/workflow-actions.md"},
        {"Glossary": "docs/glossary.md"},
        {"Changes": "CHANGELOG.md"},
    ],
    "Explanation": [
        {"Plan and ledger": "docs/ledger.md"},
        {"Performance": "docs/performance.md"},
        {"The sample data": "data/README.md"},
        {"Contributing": "CONTRIBUTING.md"},
    ],
}
"""The pages by what a reader wants. A page that does not exist is left out."""

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def pages(root: Path = ROOT) -> list[Path]:
    """The files of the site, relative to the repository."""
    return sorted({file.relative_to(root) for glob in FOLDERS for file in root.glob(glob)})


def navigation(root: Path = ROOT) -> list[dict[str, object]]:
    """The pages that exist, and each decision by its title."""

    def there(entries: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        return [
            dict(one) for one in entries if all((root / page).exists() for page in one.values())
        ]

    decisions = [
        {re.sub(r"[#`]", "", page.read_text("utf-8").partition("\n")[0]).strip(): str(relative)}
        for page in sorted((root / "docs/decisions").glob("*.md"))
        for relative in (page.relative_to(root),)
    ]
    found: list[dict[str, object]] = [
        {title: entry if isinstance(entry, str) else there(entry)}
        for title, entry in NAV.items()
        if not isinstance(entry, str) or (root / entry).exists()
    ]
    return [*found, {"Decisions": decisions}]


def stage(build: Path, root: Path = ROOT) -> Path:
    """Copy the pages into a folder of the generator's own; the file with its settings."""
    shutil.rmtree(build, ignore_errors=True)
    listed = pages(root)
    for page in listed:
        target = build / "pages" / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix != ".md":
            shutil.copyfile(root / page, target)
            continue
        text = (root / page).read_text(encoding="utf-8")
        target.write_text(_without_files(text, page, listed, root), encoding="utf-8")
    settings = {
        "site_name": "braze_pipeline",
        "docs_dir": "pages",
        "site_dir": "site",
        # Opened from the disk, a link has to name the file.
        "use_directory_urls": False,
        # No font from elsewhere: the site is read without a network too.
        "theme": {"name": "material", "font": False},
        "nav": navigation(root),
        "markdown_extensions": [
            "tables",
            "sane_lists",
            "pymdownx.superfences",
            {"toc": {"permalink": True}},
        ],
    }
    file = build / "mkdocs.yml"
    file.write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return file


def _without_files(text: str, page: Path, listed: Sequence[Path], root: Path) -> str:
    """The text without links to files of the repository that are no pages: a site has none."""

    def link(found: re.Match[str]) -> str:
        target = found[2]
        inside = (root / page.parent / target).resolve()
        # One that is not there at all stays, so that the build fails.
        is_file = inside.exists() and inside.is_relative_to(root)
        return found[1] if is_file and inside.relative_to(root) not in listed else found[0]

    return _LINK.sub(link, text)


def main(build: Path = ROOT / "build", root: Path = ROOT) -> int:
    """Build the site of a repository; the generator's exit code."""
    settings = stage(build, root)
    zensical = Path(sys.executable).with_name("zensical")
    command = [str(zensical), "build", "--strict", "--config-file", str(settings)]
    done = subprocess.run(command, check=False)  # noqa: S603 - our own command
    if done.returncode == 0:
        print(f"Open {build / 'site' / 'index.html'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
