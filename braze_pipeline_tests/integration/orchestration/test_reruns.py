"""Steps that are repeated: nothing is sent twice, no rejection is lost, nothing goes backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from braze_pipeline.orchestration.rerun import rerun_here
from braze_pipeline.sandbox import Fault, FaultKind, Sandbox
from braze_pipeline_tests.integration.orchestration.test_definitions import built
from braze_pipeline_tests.small_brand import SmallBrand, materialize, small_brand

STEPS = ("customer_attributes", "braze_audience", "braze_profiles", "braze_plan", "braze_send")


@dataclass
class Place:
    """A brand whose customer 5 has a bad address, and whose customer 3 Braze refuses."""

    brand: SmallBrand
    sandbox: Sandbox

    def run(self, *steps: str, day: str | None = None) -> dict[str, str]:
        """Materialize some assets of a day, as the UI does; what the checks say."""
        result = materialize(self.brand, lambda name: name in steps, day=day)
        assert result.success
        return {
            one.check_name: one.description or "" for one in result.get_asset_check_evaluations()
        }

    def sent(self) -> list[str]:
        """Whom requests were about, in order, as often as they were."""
        return [user for one in self.sandbox.requests for user in one.users]

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.brand.folder / "warehouse.duckdb", read_only=True) as con:
            return con.execute(query).fetchall()

    def rejections(self) -> list[tuple[Any, ...]]:
        return self.ask(
            "SELECT as_of, stage, user_id, attribute, reason FROM records.rejections ORDER BY ALL"
        )

    def ledger(self) -> list[tuple[Any, ...]]:
        return self.ask("SELECT * FROM ledger.braze_users ORDER BY ALL")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    brand = small_brand(tmp_path / "brand")
    customers = brand.folder / "sources" / "customers.csv"
    customers.write_text(customers.read_text().replace("ann5@example.com", "ann5 at example"))
    with Sandbox(assume_all=True) as sandbox:
        sandbox.refuse("c3", "not this one")
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        yield Place(brand, sandbox)


@pytest.mark.parametrize("step", STEPS)
def test_repeating_one_step_and_then_the_whole_day_changes_nothing(place: Place, step: str) -> None:
    place.run(*STEPS)
    sent, rejections, ledger = place.sent(), place.rejections(), place.ledger()
    assert sorted(sent) == sorted(place.brand.users())
    assert [(stage, user) for _, stage, user, *_ in rejections] == [
        ("profiles", "c5"),
        ("send", "c3"),
    ]
    place.run(step)
    assert (place.sent(), place.rejections(), place.ledger()) == (sent, rejections, ledger)
    place.run(*STEPS)
    assert place.sent() == sent
    assert place.ledger() == ledger
    assert set(rejections) <= set(place.rejections())


def test_steps_run_one_by_one_do_what_one_run_does(place: Place) -> None:
    for step in STEPS:
        place.run(step)
    assert sorted(place.sent()) == sorted(place.brand.users())
    assert len(place.rejections()) == 2


def test_repeating_an_older_day_keeps_what_a_newer_day_sent(place: Place) -> None:
    # Of whom Braze refused the newer day it has nothing, and the older day may still go out.
    place.sandbox.workspace.refusals.clear()
    older = place.brand.day(1)
    place.run(*STEPS, day=older)
    place.run(*STEPS)
    sent, ledger = place.sent(), place.ledger()
    for step in STEPS:
        place.run(step, day=older)
    assert (place.sent(), place.ledger()) == (sent, ledger)
    profile = place.sandbox.profile("c7")
    assert profile is not None
    assert profile["Lifetime Orders"] == place.brand.orders_by(place.brand.day(0))


@pytest.mark.parametrize(
    ("lapse", "output"),
    [
        ([], "users read back"),
        ([Fault(kind=FaultKind.THROTTLED, seconds=0.1), FaultKind.RESET_BEFORE], "users read back"),
        ([FaultKind.FORBIDDEN] * 9, "Nothing was read back"),
        ([Fault(kind=FaultKind.THROTTLED, seconds=60)] * 9, "Nothing was read back"),
    ],
)
def test_a_read_back_waits_out_a_short_failure_and_never_fails_a_send(
    place: Place, lapse: list[Fault | FaultKind], output: str
) -> None:
    config = place.brand.config
    asked = "    retry_budget_seconds: 5\n    read_back_users: 5\n"
    config.write_text(config.read_text().replace("    retry_budget_seconds: 1\n", asked))
    place.sandbox.faults.script(lapse, "/users/export/ids")
    assert output in place.run(*STEPS)["braze_has_what_was_sent"]
    assert sorted(place.sent()) == sorted(place.brand.users())


def test_a_plan_from_before_its_day_was_built_again_is_not_sent(place: Place) -> None:
    place.sandbox.stop()
    assert not materialize(place.brand, lambda name: name in STEPS, strict=False).success
    place.sandbox.start()
    consents = place.brand.folder / "sources" / "consents.csv"
    withdrawn = [f"c{n}" for n in range(10, 20)]
    late = "".join(f"{user},email,false,{place.brand.day(0)} 20:00:00\n" for user in withdrawn)
    consents.write_text(consents.read_text() + late)
    # As the job that rebuilds without sending does.
    place.run(*STEPS[:3])

    # What a rerun from failure would send is what the day no longer says.
    with pytest.raises(dg.Failure, match="After it was made: its days were built again"):
        materialize(place.brand, lambda name: name == "braze_send")
    assert place.sent() == []
    assert place.run(*STEPS)["every_user_is_accounted_for"].startswith("30 customers = 20 in the")
    assert set(place.sent()) == set(place.brand.users()) - set(withdrawn)


def test_a_resumed_run_of_an_older_day_plans_again_and_ends_well_once_a_newer_day_was_sent(
    place: Place,
) -> None:
    place.sandbox.workspace.refusals.clear()
    place.brand.send_slowly()
    place.sandbox.script([None] * 7 + [FaultKind.UNAUTHORIZED] * 10)
    older = place.brand.day(1)
    failed = materialize(place.brand, lambda _: True, day=older, strict=False)
    assert not failed.success
    place.sandbox.faults.clear()
    place.run(*STEPS)
    sent, ledger = place.sent(), place.ledger()

    definitions, t = built(place.brand, place.sandbox.endpoint)
    with dg.DagsterInstance.get() as instance:
        again = rerun_here(definitions, t, failed.dagster_run, instance=instance)
    assert again.is_success
    assert (again.tags["braze/planned_users"], again.tags["braze/not_attempted_users"]) == (
        "0",
        "0",
    )
    assert (place.sent(), place.ledger()) == (sent, ledger)
