"""What the person on call does and sees in Dagster's UI, with a real browser and daemon.

One ``dagster dev`` and one browser serve the whole module; the tests build on each other in order.
The data is the sample's, so that the README can show what this test sees: with
``BRAZE_PIPELINE_SCREENSHOTS=docs/images`` it saves its screenshots there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from braze_pipeline.orchestration.instance import of_folder
from braze_pipeline.sandbox import FaultKind, Sandbox
from braze_pipeline_tests.e2e.browser import Ui, browser, chromium_or_skip
from braze_pipeline_tests.e2e.daemon import Dagster, dagster_dev, wait_for
from braze_pipeline_tests.small_brand import LOCATION, PROJECT

pytestmark = pytest.mark.e2e

DAY = "2011-12-09"
WEEK_LATER = "2011-12-16"
EARLIER = ("2011-12-07", "2011-12-08")
"""Days that were run before, so that the plots have a course to show."""

_RUNS = """
import sys
from braze_pipeline.cli.main import cli
for day in sys.argv[1:]:
    cli(["run", "--as-of", day], standalone_mode=False)
"""


@dataclass(frozen=True)
class Place:
    """Everything that runs."""

    folder: Path
    sandbox: Sandbox
    dagster: Dagster
    ui: Ui

    @property
    def consents(self) -> Path:
        return self.folder / "sources" / "consents.csv"

    def objects(self) -> Mapping[str, int]:
        """How many objects Braze applied, by user."""
        return {user: self.sandbox.objects_sent(user) for user in self.sandbox.profiles()}

    def planned(self) -> object:
        """How many users the newest plan contains."""
        event = self.dagster.instance.get_latest_materialization_event(dg.AssetKey("braze_plan"))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata["dagster/row_count"].value


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    chromium = chromium_or_skip()
    folder = tmp_path_factory.mktemp("browser") / "brand"
    _write(folder)
    with of_folder(folder / "home"):
        pass  # its tables exist before the commands and `dagster dev` start, which share no lock
    with Sandbox(assume_all=True) as sandbox:
        environ = {
            "BRAZE_API_KEY": sandbox.api_key,
            "BRAZE_REST_ENDPOINT": sandbox.endpoint,
            "BRAZE_PIPELINE_SOURCES": str(folder / "sources"),
            "BRAZE_PIPELINE_DATABASE": str(folder / "warehouse.duckdb"),
            "DAGSTER_HOME": str(folder / "home"),
        }
        with (
            _earlier_runs(folder, environ) as done,
            dagster_dev(folder, environ) as dagster,
            browser(chromium, dagster.url) as ui,
        ):
            done()
            yield Place(folder, sandbox, dagster, ui)


@contextmanager
def _earlier_runs(folder: Path, environ: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """Run the earlier days by command, while the UI starts; yields what waits for their end."""
    with (folder / "earlier.log").open("w+") as log:
        child = subprocess.Popen(
            [sys.executable, "-c", _RUNS, *EARLIER],
            cwd=folder,
            env={**os.environ, **environ},
            stdout=log,
            stderr=subprocess.STDOUT,
        )

        def done() -> None:
            assert child.wait() == 0, (folder / "earlier.log").read_text(encoding="utf-8")

        try:
            yield done
        finally:
            child.kill()
            child.wait()


def _write(folder: Path) -> None:
    """Write the sample's configuration and data, without anything that starts automatically."""
    (folder / "home").mkdir(parents=True)
    shutil.copy(PROJECT / ".dagster_home" / "dagster.yaml", folder / "home")
    (folder / "sources").mkdir()
    for name in ("customers.csv", "consents.csv"):
        shutil.copy(PROJECT / "data" / name, folder / "sources")
    (folder / "sources" / "orders.parquet").symlink_to(PROJECT / "data" / "orders.parquet")
    declared = PROJECT / "braze_pipeline" / "defs" / "braze"
    shutil.copy(declared / "customer_attributes.sql", folder)
    text = (declared / "defs.yaml").read_text(encoding="utf-8")
    for theirs, ours in (
        ('  schedule: {at: "03:30", lag_days: 0}\n', "  schedule: null\n"),
        (f'  end_date: "{DAY}"', f'  end_date: "{WEEK_LATER}"'),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    (folder / "defs.yaml").write_text(text)
    (folder / "location.py").write_text(LOCATION)
    (folder / "workspace.yaml").write_text(
        "load_from:\n  - python_file: {relative_path: location.py, location_name: braze_pipeline}\n"
    )


def test_a_day_is_materialized_with_a_few_clicks(place: Place) -> None:
    before = place.objects()
    place.ui.materialize(DAY)
    place.ui.see_run_end("Success")

    sent = _more(place.objects(), before)
    assert len(sent) == place.planned()
    assert set(sent.values()) == {1}
    place.ui.show_graph()


def test_the_list_of_runs_shows_what_each_planned_and_can_be_filtered_by_it(place: Place) -> None:
    page = place.ui.page
    page.goto(f"{place.ui.url}/runs?q[0]=tag%3Abraze%2Fplanned_users%3D{place.planned()}")
    page.get_by_role("link", name="braze_daily").first.wait_for()
    place.ui.keep("runs-list.png", left=240, width=1160, height=420)


def test_the_plan_shows_a_masked_sample_of_its_changes(place: Place) -> None:
    place.ui.page.goto(f"{place.ui.url}/assets/braze_plan")
    place.ui.see("audience", "rejected share")
    place.ui.show(place.ui.page.get_by_text("sample of the changes (masked)").first)
    place.ui.keep("plan-sample.png", left=240, top=100, width=820, height=520)


def test_plots_show_audience_and_cost_from_run_to_run(place: Place) -> None:
    page = place.ui.page
    page.goto(f"{place.ui.url}/assets/braze_plan")
    page.get_by_role("button", name="Plots").click()
    # By partition, Dagster plots the days before today alone, even where the last day is long past.
    page.get_by_role("button", name="Events").click()
    place.ui.see("changed share", "data points")
    page.locator("canvas").nth(3).wait_for()
    place.ui.show(page.get_by_text("Metadata", exact=True).first)
    place.ui.keep("trends.png", left=240, top=104, width=800, height=600)


def test_the_audience_shows_its_funnel_as_a_chart(place: Place) -> None:
    place.ui.page.goto(f"{place.ui.url}/assets/braze_audience")
    picture = place.ui.page.get_by_alt_text("Audience funnel")
    picture.wait_for()

    assert picture.evaluate("picture => picture.complete && picture.naturalWidth") > 0
    place.ui.show(place.ui.page.get_by_text("Metadata", exact=True).first)
    place.ui.keep("audience-funnel.png", left=240, top=104, width=800, height=480)


def test_predicted_value_shows_how_good_it_was_on_held_out_time(place: Place) -> None:
    place.ui.page.goto(f"{place.ui.url}/assets/predicted_value")
    for name in ("Lift by tenth", "Calibration by tenth"):
        picture = place.ui.page.get_by_alt_text(name)
        picture.wait_for()
        assert picture.evaluate("picture => picture.complete && picture.naturalWidth") > 0
    place.ui.see("rank correlation", "past_value_by_tenure")
    place.ui.show(place.ui.page.get_by_text("Metadata", exact=True).first)
    place.ui.keep("predicted-value.png", left=240, top=104, width=820, height=760)


def test_a_guard_that_stops_a_run_shows_what_it_found_what_is_allowed_and_how_to_override_it(
    place: Place,
) -> None:
    before = place.objects()
    whole = place.consents.read_text(encoding="utf-8")
    place.consents.write_text("".join(whole.splitlines(keepends=True)[:2000]))  # cut off

    place.ui.materialize(WEEK_LATER)
    place.ui.see_run_end("Failure")
    place.ui.see("guard_audience_size", "let it through once: braze-pipeline run")
    place.consents.write_text(whole)

    place.ui.page.goto(f"{place.ui.url}/assets/braze_plan")
    place.ui.page.get_by_role("tab", name="Checks").click()
    place.ui.page.get_by_text("guard_audience_size").first.click()
    place.ui.see("blocking", "customers; the last run had 1,707", "50% to 200% of the last")
    place.ui.see("if the data is wrong", "fix the source")
    place.ui.see("let it through once", f"--as-of {WEEK_LATER} --let-through audience_size")
    place.ui.see("or with the run tags", "braze_pipeline/let_through = audience_size")
    place.ui.keep("failed-check.png", left=240, width=1160, height=660)
    assert place.objects() == before


def test_a_rerun_from_failure_completes_a_failed_send_and_sends_nothing_twice(
    place: Place,
) -> None:
    before = place.objects()
    place.sandbox.script([None, *[FaultKind.UNAUTHORIZED] * 50])
    failed = place.ui.materialize(WEEK_LATER)
    place.ui.see_run_end("Failure")
    place.ui.see("Invalid credentials (status 401)", "Check that BRAZE_API_KEY holds a current key")
    partly = _more(place.objects(), before)
    assert partly

    newest = place.dagster.instance.get_latest_materialization_event
    wait_for(lambda: newest(dg.AssetKey("workflow_actions")), "the sensor's report")
    place.ui.page.goto(f"{place.ui.url}/assets/workflow_actions")
    place.ui.see("open actions", "Stopped by a guard")
    place.ui.show(place.ui.page.get_by_text("Metadata", exact=True).first)
    place.ui.keep("workflow-actions.png", left=240, top=104, width=820, height=760)
    place.ui.page.goto(f"{place.ui.url}/runs/{failed}")

    place.sandbox.faults.clear()
    again = place.ui.rerun_from_failure(failed)
    place.ui.see_run_end("Success")
    place.ui.see("Re-executions (1)", "Succeeded (1)")
    place.ui.keep("rerun-from-failure.png", left=240, width=1160, height=365)

    finished = _more(place.objects(), before)
    assert set(partly) < set(finished)
    assert set(finished.values()) == {1}
    assert len(finished) == place.planned()
    assert place.dagster.ended(again).parent_run_id == failed
    steps = place.dagster.instance.get_run_step_stats(again)
    assert [step.step_key for step in steps] == ["braze_send"]


def _more(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """How many objects arrived since, by user, if any."""
    more = {user: count - before.get(user, 0) for user, count in after.items()}
    return {user: count for user, count in more.items() if count}
