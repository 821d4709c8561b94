"""The documentation as a site: it builds, leaves out no page, and can be read on a phone."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import pytest

from braze_pipeline_tests.e2e.browser import browser, chromium_or_skip
from scripts import site

pytestmark = pytest.mark.e2e

WIDE, NARROW = (1400, 900), (390, 844)
READ = (
    "index.html",
    "docs/tutorial.html",
    "docs/reference/defs-yaml.html",
    "docs/moving-over.html",
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "build"
    assert site.main(folder) == 0
    return folder / "site"


def linked(entry: object) -> set[str]:
    if isinstance(entry, dict):
        return set().union(*map(linked, entry.values()))
    if isinstance(entry, list):
        return set().union(*map(linked, entry))
    return {str(entry)}


def test_every_page_is_in_the_navigation() -> None:
    pages = {str(page) for page in site.pages() if page.suffix == ".md"}
    assert pages - linked(site.navigation()) == set()


def test_a_broken_link_or_anchor_fails_the_build(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "repository"
    (root / "docs").mkdir(parents=True)
    (root / "README.md").write_text("# A\n\n[b](docs/b.md#there)\n", encoding="utf-8")
    (root / "docs" / "b.md").write_text("# B\n\n## There\n", encoding="utf-8")
    assert site.main(tmp_path / "build", root) == 0
    for broken in ("docs/b.md#nowhere", "docs/c.md"):
        (root / "README.md").write_text(f"# A\n\n[b]({broken})\n", encoding="utf-8")
        assert site.main(tmp_path / "build", root) != 0, broken
    assert "does not exist" in capfd.readouterr().err


def test_the_pages_can_be_read_at_the_width_of_a_desk_and_of_a_phone(built: Path) -> None:
    chromium = chromium_or_skip()
    handler = functools.partial(Quiet, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with browser(chromium, f"http://127.0.0.1:{server.server_port}") as ui:
                for width, height in (WIDE, NARROW):
                    ui.page.set_viewport_size({"width": width, "height": height})
                    for name in READ:
                        ui.page.goto(f"{ui.url}/{name}")
                        ui.page.locator("article h1").first.wait_for()
                        # A wide table scrolls by itself; the page does not.
                        assert ui.page.evaluate("document.documentElement.scrollWidth") <= width, (
                            name
                        )
        finally:
            server.shutdown()
