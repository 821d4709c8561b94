"""Without an identifier nobody can be updated: one workflow action, however it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from braze_pipeline.config.load import load_configs
from braze_pipeline.errors import ContractBroken, MissingRequiredField
from braze_pipeline.orchestration.destination import build_definitions
from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.commands import command, one_action, store_of, tick
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand, small_brand

CAMPAIGN = """    - name: loyal
      kind: campaign
      recipient_groups:
        - {name: everyone, where: "true", attributes: [email, Lifetime Orders]}
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(assume_all=True) as found:
        yield found


@pytest.fixture
def brand(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> SmallBrand:
    made = small_brand(tmp_path / "brand", schedule='{at: "03:30"}')
    made.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
    return made


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def query_without_identifier(brand: SmallBrand) -> None:
    edit(brand.config, "user_identifier: external_id", "user_identifier: braze_id")
    edit(brand.folder / "customer_attributes.sql", "    c.braze_id,\n", "")


def group_without_identifier(brand: SmallBrand) -> None:
    edit(brand.config, "    - name: loyal\n", CAMPAIGN)


def template_without_identifier(brand: SmallBrand) -> None:
    edit(brand.config, "    user_identifier: external_id\n", "")


def nobody_with_identifier(brand: SmallBrand) -> None:
    edit(brand.config, "user_identifier: external_id", "user_identifier: braze_id")


def identify(brand: SmallBrand, *, all_but: int = 0) -> None:
    """Give the customers a braze_id, but for the first few."""
    customers = brand.folder / "sources" / "customers.csv"
    header, *lines = [",".join(line.split(",")[:10]) for line in customers.read_text().split()]
    rows = [f"{line},{f'b{n}' if n >= all_but else ''}" for n, line in enumerate(lines)]
    customers.write_text("\n".join([f"{header},braze_id", *rows, ""]))


@pytest.mark.parametrize(
    ("spoil", "kind", "output"),
    [
        (query_without_identifier, "orchestration", "gives no column 'braze_id'"),
        (group_without_identifier, "campaign", "'everyone' does not include 'external_id'"),
        (template_without_identifier, "orchestration", "`user_identifier` is missing"),
        (nobody_with_identifier, "orchestration", "None of the 30 customers in the audience"),
    ],
)
def test_without_an_identifier_every_way_to_run_leads_to_the_same_action(
    brand: SmallBrand,
    sandbox: Sandbox,
    spoil: Callable[[SmallBrand], None],
    kind: str,
    output: str,
) -> None:
    spoil(brand)
    with pytest.raises(MissingRequiredField, match=output):
        command(brand, "template", "check", "--as-of", brand.day(0))

    code, *shown = command(brand, "run", "--as-of", brand.day(0), "--json").splitlines()
    assert code == "2"
    assert "Missing required field" in shown
    assert json.loads(shown[0])["status"] == "missing_required_field"
    assert tick(brand) == "action 1 opened"
    action = one_action(brand)
    assert action.action == f"missing_required_field_{kind}"
    assert output in action.what

    # The schedule and the UI work on the same definitions, which load all the same.
    assert scheduled(brand).run_id != action.run_id
    tick(brand)
    assert one_action(brand).count == 2
    assert [one.path for one in sandbox.requests if one.path == "/users/track"] == []


def scheduled(brand: SmallBrand) -> dg.DagsterRun:
    """What the schedule starts, run to its end."""
    ((config, place),) = load_configs(brand.config)
    definitions = build_definitions(
        config=config, folder=brand.folder, place=place, environ=os.environ
    )
    schedule = definitions.resolve_schedule_def("braze_schedule")
    at = datetime.combine(brand.last + timedelta(days=1), datetime.min.time(), UTC)
    with dg.DagsterInstance.get() as instance:
        ticked = schedule.evaluate_tick(
            dg.build_schedule_context(
                instance,
                scheduled_execution_time=at,
                repository_def=definitions.get_repository_def(),
            )
        )
        (request,) = ticked.run_requests or ()
        result = definitions.resolve_job_def("braze_daily").execute_in_process(
            instance=instance, partition_key=request.partition_key, raise_on_error=False
        )
        run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE
    return run


def test_users_without_an_identifier_are_rejected_and_reported_until_everybody_has_one(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    nobody_with_identifier(brand)
    identify(brand, all_but=3)
    output = "3 of 30 customers in the audience have no braze_id"
    code, *shown = command(brand, "run", "--as-of", brand.day(0), "--json").splitlines()
    figures = json.loads(shown[-1])
    assert (code, figures["accepted_users"], figures["rejected_rows"]) == ("0", CUSTOMERS - 3, 3)
    assert any(output in one for one in figures["warnings"])
    assert tick(brand) == "action 1 opened"
    assert one_action(brand).action == "missing_required_field_orchestration"
    assert output in one_action(brand).what

    # A retry that finds the same customers resolves nothing.
    assert command(brand, "actions", "resolve", "1").startswith("2\n")
    assert one_action(brand).count == 2
    identify(brand)
    assert "action 1 is resolved" in command(brand, "actions", "resolve", "1")
    assert sandbox.profiles()["b0"]
    tick(brand)
    assert store_of(brand).open_actions() == []


def test_a_run_whose_rows_were_all_rejected_fails_and_so_does_a_plan_of_them(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    edit(brand.config, "{column: email}", "{column: email, required: true}")
    edit(brand.folder / "sources" / "customers.csv", "@example.com", " at example")
    assert command(brand, "run", "--as-of", brand.day(0)).startswith("2\n")
    tick(brand)
    assert one_action(brand).action == ContractBroken.action
    assert "All 30 customers in the audience" in one_action(brand).what
    assert "email_unreadable: 30" in one_action(brand).what
    with duckdb.connect(brand.folder / "warehouse.duckdb") as con:
        assert con.execute("SELECT count(*) FROM records.rejections").fetchall() == [(30,)]

    assert run_alone(brand, "braze_plan") is dg.DagsterRunStatus.FAILURE
    assert [one.path for one in sandbox.requests if one.path == "/users/track"] == []


def run_alone(brand: SmallBrand, asset: str) -> dg.DagsterRunStatus:
    ((config, place),) = load_configs(brand.config)
    definitions = build_definitions(
        config=config, folder=brand.folder, place=place, environ=os.environ
    )
    with dg.DagsterInstance.get() as instance:
        result = definitions.resolve_job_def("braze_daily").execute_in_process(
            instance=instance,
            partition_key=brand.day(0),
            asset_selection=[dg.AssetKey(asset)],
            raise_on_error=False,
        )
        run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run.status


def test_a_run_in_which_braze_refused_everybody_fails(brand: SmallBrand, sandbox: Sandbox) -> None:
    for user in brand.users():
        sandbox.refuse(user, "not today")
    first = command(brand, "run", "--as-of", brand.day(0), "--json").splitlines()
    assert first[0] == "2"
    assert json.loads(first[1])["rejected_users"] == CUSTOMERS
    tick(brand)
    assert one_action(brand).action == ContractBroken.action
    assert "rejected all 30 users" in one_action(brand).what
    # Neither the send again, nor the day again, which holds the same objects back.
    assert run_alone(brand, "braze_send") is dg.DagsterRunStatus.FAILURE
    assert command(brand, "run", "--as-of", brand.day(0)).startswith("2\n")

    sandbox.workspace.refusals.clear()
    assert command(brand, "retry-rejected").startswith("0\n")
    assert len(sandbox.profiles()) == CUSTOMERS
    tick(brand)
    assert store_of(brand).open_actions() == []
