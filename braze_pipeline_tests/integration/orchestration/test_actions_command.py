"""``braze-pipeline actions`` over the real pipeline, a persistent instance and the sandbox."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from datetime import UTC, datetime
from logging import ERROR
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.impl import core_execute_run

from braze_pipeline.alerts import DeliveryStatus, Incident
from braze_pipeline.cli.main import cli
from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.errors import CannotRetry, ConfigurationError, UsageError
from braze_pipeline.orchestration.destination import build_definitions
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.sandbox import FaultKind, Sandbox
from braze_pipeline_tests.commands import command, store_of, tick
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand

pytestmark = pytest.mark.usefixtures("sandbox")

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)

_VIP = """    - name: vip
      audience: {high_value: {lifetime_value: 0}}
      attributes: [{column: lifetime_orders, as: VIP Orders, type: integer}]
"""


def test_a_failed_run_is_retried_from_where_it_stopped_until_it_goes_through(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    sandbox.stop()
    assert command(brand, "run", "--as-of", brand.day(0)).startswith("4\n")
    output = tick(brand)
    assert output == "action 1 opened"

    shown = command(brand, "actions")
    assert "Action 1: Braze unavailable  [braze / loyal]" in shown
    assert "actions resolve 1" in shown

    # Braze is still away: the same action, seen twice, and its class's exit code.
    assert command(brand, "actions", "resolve", "1").startswith("4\n")
    assert store_of(brand).open_actions()[0].count == 2
    assert tick(brand) == "", "the command has noted it, and nobody counts it again"

    sandbox.start()
    assert "action 1 is resolved" in command(brand, "actions", "resolve", "1")
    assert sandbox.profile("c3") is not None
    assert [one.status for one in sandbox.requests if one.path == "/users/track"] == [201]
    assert "No open workflow actions." in command(brand, "actions")
    closed = command(brand, "actions", "--all")
    assert "went through." in closed
    assert len(brand.users()) == CUSTOMERS


def test_a_retry_resumes_although_the_other_template_of_the_destination_was_sent_meanwhile(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    brand.send_slowly()
    with brand.config.open("a", encoding="utf-8") as file:
        file.write(_VIP)
    sandbox.script([None] * 7 + [FaultKind.UNAUTHORIZED] * 10)
    run = ("run", "--as-of", brand.day(0))
    assert command(brand, "--template", "vip", *run).startswith("3\n")
    sandbox.faults.clear()
    assert command(brand, "--template", "loyal", *run).startswith("0\n")
    assert tick(brand) == "action 1 opened"
    (action,) = store_of(brand).open_actions()
    assert action.sent is not None
    done = action.sent.accepted
    assert done >= 7

    before = len(sandbox.requests)
    assert "action 1 is resolved" in command(brand, "actions", "resolve", "1")
    tracked = [one for one in sandbox.requests[before:] if one.path == "/users/track"]
    assert len(tracked) == CUSTOMERS - done
    both = {"VIP Orders", "Lifetime Orders"}
    assert all(both <= one.keys() for one in sandbox.profiles().values())
    assert store_of(brand).open_actions() == []


def test_of_two_templates_in_one_run_each_action_counts_what_its_own_plan_sent(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    brand.send_slowly()
    with brand.config.open("a", encoding="utf-8") as file:
        file.write(_VIP)
    ((config, place),) = load_configs(brand.config)
    templates = resolve(config, folder=brand.folder, place=place, environ=os.environ)
    definitions = build_definitions(
        config=config, folder=brand.folder, place=place, environ=os.environ
    )
    sandbox.script([None] * 7 + [FaultKind.UNAUTHORIZED] * 20)
    with dg.DagsterInstance.get() as instance:
        definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            partition_key=brand.day(0),
            asset_selection=[key for t in templates for key in TemplateKeys.of(t).all],
            raise_on_error=False,
        )
    tick(brand)
    reported = {one.template: one.sent for one in store_of(brand).open_actions()}
    sent = {
        "loyal": sum("Lifetime Orders" in one for one in sandbox.profiles().values()),
        "vip": sum("VIP Orders" in one for one in sandbox.profiles().values()),
    }
    assert sum(sent.values()) == 7
    assert reported == {
        name: DeliveryStatus(planned=CUSTOMERS, accepted=accepted, rejected=0)
        for name, accepted in sent.items()
    }


def test_a_retry_that_sends_nothing_because_of_a_pause_leaves_the_action_open(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    sandbox.stop()
    command(brand, "run", "--as-of", brand.day(0))
    tick(brand)
    sandbox.start()
    command(brand, "pause", "braze", "--reason", "the campaign team asked")

    output = command(brand, "actions", "resolve", "1")
    assert output.startswith("4\n")
    assert "succeeded, but does not resolve the action" in output
    assert "nothing is sent: the campaign team asked" in output
    assert "`braze-pipeline resume braze`" in output
    assert sandbox.profiles() == {}
    assert [one.number for one in store_of(brand).open_actions()] == [1]

    command(brand, "resume", "braze")
    assert "action 1 is resolved" in command(brand, "actions", "resolve", "1")
    assert len(sandbox.profiles()) == CUSTOMERS


def test_a_retry_that_does_not_do_all_that_the_action_is_about_leaves_it_open(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    sandbox.stop()
    command(brand, "run", "--as-of", brand.day(0))
    tick(brand)
    # A run for a newer day met the same cause, in another Dagster instance.
    with sqlite3.connect(store_of(brand).path) as con:
        con.execute("UPDATE actions SET last_day = '2999-01-01'")
    con.close()
    sandbox.start()
    output = command(brand, "actions", "resolve", "1")
    assert "reached braze_send as of 2999-01-01" in output
    assert [one.number for one in store_of(brand).open_actions()] == [1]


def test_the_action_of_a_run_that_was_deleted_names_the_way_that_closes_it(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    sandbox.stop()
    command(brand, "run", "--as-of", brand.day(0))
    tick(brand)
    with dg.DagsterInstance.get() as instance:
        [run] = instance.get_runs()
        instance.delete_run(run.run_id)
    sandbox.start()
    with pytest.raises(CannotRetry, match="If the run was deleted, run its day again"):
        command(brand, "actions", "resolve", "1")
    command(brand, "run", "--as-of", brand.day(0))
    tick(brand)
    assert store_of(brand).open_actions() == []


def test_a_run_stopped_by_its_data_is_repeated_in_full_when_the_data_is_fixed(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    assert command(brand, "run", "--as-of", brand.day(1)).startswith("0\n")
    brand.buy_again(hour=20)
    text = brand.config.read_text()
    guarded = text.replace(
        "      attributes:\n",
        "      guards: {max_changed_share: null, min_users: 1}\n      attributes:\n",
    )
    brand.config.write_text(guarded)
    customers = brand.folder / "sources" / "customers.csv"
    good = customers.read_text()
    customers.write_text(good.replace("@example.com", ""))
    assert command(brand, "run", "--as-of", brand.day(0)).startswith("5\n")
    assert tick(brand).endswith("action 1 opened")
    assert "Stopped by a guard" in command(brand, "actions")
    [shown] = [one for one in _errors_of_the_last_run() if one.startswith("guard_")]
    assert "guard_null_share" in shown
    assert "fix the source" in shown
    assert "@" not in shown

    # The same data is stopped by the same guard again; once fixed, it is read again and sent.
    assert command(brand, "actions", "resolve", "1").startswith("5\n")
    customers.write_text(good)
    assert "action 1 is resolved" in command(brand, "actions", "resolve", "1")
    assert (sandbox.profile("c3") or {})["email"] == "ann3@example.com"
    assert (sandbox.profile("c3") or {})["Lifetime Orders"] == brand.orders_by(brand.day(0)) + 1


def _errors_of_the_last_run() -> list[str]:
    """What its page shows besides Dagster's own events."""
    with dg.DagsterInstance.get() as instance:
        [run] = instance.get_runs(limit=1)
        return [one.user_message for one in instance.all_logs(run.run_id) if one.level == ERROR]


def test_a_run_whose_definitions_no_longer_load_names_the_line_that_is_wrong(
    brand: SmallBrand,
) -> None:
    again = brand.folder / "location_again.py"  # one process loads a file once
    shutil.copy(brand.folder / "location.py", again)
    loaded, not_yet = (
        ReconstructableRepository.for_file(str(file), "defs").get_reconstructable_job("braze_daily")
        for file in (brand.folder / "location.py", again)
    )
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(
            loaded.get_definition(), tags={"dagster/partition": brand.day(0)}
        )
        brand.config.write_text(brand.config.read_text().replace("time_zone: UTC", "time_zone: Up"))
        with pytest.raises(ConfigurationError):
            list(core_execute_run(not_yet, run, instance, inject_env_vars=False))
    brand.config.write_text(brand.config.read_text().replace("time_zone: Up", "time_zone: UTC"))
    tick(brand)
    (action,) = store_of(brand).open_actions()
    assert action.action == "invalid_configuration"
    assert "time_zone: 'Up'" in action.what


def test_what_the_contract_and_braze_refuse_in_a_real_run_is_a_partial_success(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    config = brand.config.read_text()
    alerts = "  alerts: {min_users: 1, max_rejected_share: 0.06}\n  templates:\n"
    config = config.replace("  templates:\n", alerts)
    brand.config.write_text(config.replace("{column: email}", "{column: email, required: true}"))
    customers = brand.folder / "sources" / "customers.csv"
    customers.write_text(customers.read_text().replace("ann5@example.com", "ann5 at example"))
    sandbox.refuse("c3", "not this one")
    assert command(brand, "run", "--as-of", brand.day(0)).startswith("0\n")
    assert tick(brand) == "action 1 opened"
    (action,) = store_of(brand).open_actions()
    assert action.action == "partial_success"
    assert action.what.endswith(
        "1 rows were rejected by the contract and 1 users by Braze. The allowed share is 6%."
    )


def test_late_sources_give_a_warning_in_the_check_and_in_the_run(brand: SmallBrand) -> None:
    orders = brand.folder / "sources" / "orders.csv"
    late = [brand.day(ago) for ago in range(4)]
    lines = [one for one in orders.read_text().splitlines() if not any(d in one for d in late)]
    orders.write_text("\n".join([*lines, ""]))
    shown = f"orders: saw the newest row of {brand.day(4)}, 4 days before {brand.day(0)}"
    assert shown in command(brand, "template", "check", "--as-of", brand.day(0))
    ran = command(brand, "run", "--as-of", brand.day(0), "--json").splitlines()
    assert ran[0] == "0"
    (warning,) = json.loads(ran[-1])["warnings"]
    assert warning.startswith(f"sources_are_fresh_and_complete: {shown}")
    assert f"Warning: {warning}" in ran


def test_an_action_is_closed_by_hand_with_a_reason(brand: SmallBrand) -> None:
    store_of(brand).record(_found())
    assert "Action 1 is closed." in command(brand, "actions", "close", "1", "--reason", "planned")
    (closed,) = store_of(brand).closed_actions(limit=1)
    assert closed.how == "Closed by hand: planned"


def test_actions_as_json_are_one_object_per_line(brand: SmallBrand) -> None:
    store_of(brand).record(_found())
    store_of(brand).record(_found(action="disk_full"))
    output = CliRunner().invoke(cli, ["--config", str(brand.config), "actions", "--json"])
    lines = output.stdout.splitlines()
    assert [json.loads(line)["class"] for line in lines] == ["send_interrupted", "disk_full"]
    assert str(brand.config) in json.loads(lines[1])["steps"][0]


@pytest.mark.parametrize(
    ("found", "words", "output"),
    [
        (None, ("resolve", "7"), "Action 7 does not exist"),
        (None, ("close", "7", "--reason", "x"), "Action 7 does not exist"),
        ({}, ("resolve", "1"), "does not have the run"),
        ({"action": "partial_success"}, ("resolve", "1"), "has no run to retry"),
        ({"template": "vip"}, ("resolve", "1"), "which is not in .* removed, .* actions close 1"),
    ],
)
def test_an_action_that_cannot_be_resolved_gives_the_reason(
    brand: SmallBrand, found: dict[str, str] | None, words: tuple[str, ...], output: str
) -> None:
    if found is not None:
        store_of(brand).record(_found(**found))
    with pytest.raises(UsageError, match=output):
        command(brand, "actions", *words)


def _found(**more: Any) -> Incident:
    values: dict[str, Any] = {"action": "send_interrupted", "template": "loyal", **more}
    return Incident(
        what="The run was terminated.",
        fix="",
        destination="braze",
        at=NOW,
        run_id="run-1",
        **values,
    )
