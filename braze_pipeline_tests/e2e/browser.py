"""A real, headless Chromium that can reach the machine's own loopback and nothing else."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from braze_pipeline_tests.e2e.daemon import PATIENCE_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome")

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium_or_skip() -> str:
    """The file of Chromium: ``BRAZE_PIPELINE_CHROMIUM``, or the one on the path.

    Without one the test is skipped, or fails if ``BRAZE_PIPELINE_BROWSER_REQUIRED`` is set.
    """
    named = os.environ.get("BRAZE_PIPELINE_CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    if found:
        return found
    reason = (
        f"no Chromium: {named or ', '.join(NAMES)} not found. Install Debian's chromium, or set "
        "BRAZE_PIPELINE_CHROMIUM to the path of the browser."
    )
    if os.environ.get("BRAZE_PIPELINE_BROWSER_REQUIRED"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Ui:
    """Dagster's UI, as the person on call sees it.

    Attributes:
        url: Its address.
        page: The browser's only tab.
        pictures: The folder for screenshots; None to take none.
    """

    url: str
    page: Page
    pictures: Path | None

    def materialize(self, day: str) -> str:
        """Start a run of one day from the list of jobs, by mouse and keyboard; return its id."""
        self.page.goto(f"{self.url}/jobs")
        self.page.get_by_role("link", name="braze_daily").first.click()
        self.page.get_by_role("button", name="Materialize all").click()
        dialog = self.page.get_by_role("dialog").filter(has_text="Launch runs to materialize")
        days = dialog.get_by_placeholder("ex: 2009-12-01")
        days.fill(day)
        days.press("Enter")
        dialog.get_by_role("button", name="Launch 1 run").click()
        self.page.get_by_text("Launched run").wait_for()
        self.page.get_by_text("View", exact=True).click()
        return self.run_shown()

    def rerun_from_failure(self, run_id: str) -> str:
        """On the open page of a failed run, choose "Re-execute from failure"."""
        again = self.page.get_by_role("button", name="Re-execute")
        again.wait_for()
        again.locator("xpath=following-sibling::*[1]").click()
        self.page.get_by_text("From failure").click()
        return self.run_shown(other_than=run_id)

    def show_graph(self) -> None:
        """Show the lineage of all assets, in a window wide enough for their status."""
        usual = self.page.viewport_size
        self.page.set_viewport_size({"width": 2260, "height": 700})
        self.page.goto(f"{self.url}/locations/braze_pipeline/asset-groups/braze/lineage")
        self.see("braze_send", "Latest event", "Passed")
        self.keep("asset-graph.png", left=300, top=190, width=1900, height=440)
        assert usual is not None
        self.page.set_viewport_size(usual)

    def run_shown(self, *, other_than: str = "") -> str:
        """Wait for the page of a run, other than ``other_than``; returns the run's id."""
        this = re.compile(rf"/runs/(?!{other_than or 'none'})[0-9a-f-]{{36}}")
        self.page.wait_for_url(this)
        return urlsplit(self.page.url).path.rsplit("/", 1)[-1]

    def see_run_end(self, word: str) -> None:
        """Wait until the open page of a run shows how it ended."""
        self.page.get_by_text(word, exact=True).first.wait_for(timeout=PATIENCE_SECONDS * 1000)

    def see(self, *texts: str, within: Locator | None = None) -> None:
        """Wait until all of these texts are shown."""
        for text in texts:
            try:
                (within or self.page).get_by_text(text).first.wait_for()
            except PlaywrightTimeout:
                shown = self.page.inner_text("body")
                raise AssertionError(f"{text!r} is not on {self.page.url}:\n{shown}") from None

    def show(self, part: Locator) -> None:
        """Scroll until a part of the page is at the top of the window."""
        part.wait_for()
        part.evaluate("part => part.scrollIntoView()")

    def keep(self, name: str, *, top: int = 0, left: int = 0, height: int, width: int) -> None:
        """Save this part of the window as a picture for the README, if asked to."""
        if self.pictures:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.mouse.move(0, 0)
            self.page.wait_for_load_state("networkidle")  # icons load late
            self.page.screenshot(
                path=self.pictures / name,
                clip={"x": left, "y": top, "width": width, "height": height},
                animations="disabled",
            )


@contextmanager
def browser(chromium: str, url: str) -> Iterator[Ui]:
    """Chromium with an empty profile, until the end of the block; it reaches loopback only."""
    asked = os.environ.get("BRAZE_PIPELINE_SCREENSHOTS")
    with sync_playwright() as playwright:
        process = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        try:
            page = process.new_page(
                viewport={"width": 1400, "height": 900}, locale="en-GB", timezone_id="UTC"
            )
            page.set_default_timeout(60_000)
            page.route("**/*", _loopback_only)
            yield Ui(url, page, Path(asked) if asked else None)
        finally:
            process.close()


def _loopback_only(route: Route) -> None:
    if urlsplit(route.request.url).hostname == "127.0.0.1":
        route.continue_()
    else:
        route.abort()
