"""The numbers that a run's page and the list of runs show, against what Braze and the data have."""

from __future__ import annotations

import re
from collections.abc import Mapping

import dagster as dg

from braze_pipeline.orchestration.checks import AUDIENCE, CONTRACT, FRESH_SOURCES, guard_check
from braze_pipeline.orchestration.days import PARTITION_TAG
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.runner import RunOutcome, run_assets, run_days
from braze_pipeline.plan.sample import SAMPLE_ROWS
from braze_pipeline.sandbox import FaultKind, Sandbox
from braze_pipeline.settings import TemplateSettings
from braze_pipeline_tests.integration.orchestration.test_definitions import built
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand

WITHOUT_ORDER = "c7"


def run(brand: SmallBrand, sandbox: Sandbox, *, days_ago: int = 0) -> RunOutcome:
    definitions, t = built(brand, sandbox.endpoint)
    day = [brand.last.fromisoformat(brand.day(days_ago))]
    return run_days(definitions, t, day, dry_run=False, tags={})


def tags_of(run_id: str) -> dict[str, str]:
    with dg.DagsterInstance.get() as instance:
        found = instance.get_run_by_id(run_id)
    assert found is not None
    return {
        name.removeprefix("braze/"): value
        for name, value in found.tags.items()
        if name.startswith("braze/")
    }


def test_a_run_is_tagged_with_its_numbers_and_found_by_them(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    first = run(brand, sandbox, days_ago=1)
    assert first.failed is None
    assert tags_of(first.run_id) == {
        "planned_users": f"{CUSTOMERS}",
        "unchanged_users": "0",
        "planned_attributes": f"{3 * CUSTOMERS}",
        "data_points": f"{3 * CUSTOMERS}",
        "accepted_users": f"{CUSTOMERS}",
        "rejected_users": "0",
        "not_attempted_users": "0",
    }
    # On the next day two of the three attributes changed, for everybody but one without an order.
    orders = brand.folder / "sources" / "orders.csv"
    lines = orders.read_text().splitlines(keepends=True)
    orders.write_text(
        "".join(one for one in lines if not (f",{WITHOUT_ORDER}," in one and brand.day(0) in one))
    )
    second = run(brand, sandbox)
    assert second.failed is None
    sent = sum(sandbox.objects_sent(user) for user in brand.users()) - CUSTOMERS
    assert sent == CUSTOMERS - 1
    expected = {
        "planned_users": f"{sent}",
        "unchanged_users": "1",
        "planned_attributes": f"{2 * sent}",
        "accepted_users": f"{sent}",
    }
    assert tags_of(second.run_id).items() >= expected.items()
    with dg.DagsterInstance.get() as instance:
        (found,) = instance.get_runs(dg.RunsFilter(tags={"braze/planned_users": f"{sent}"}))
    assert found.run_id == second.run_id


def test_a_failed_send_is_tagged_with_what_braze_accepted_and_a_rerun_starts_without_it(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    brand.send_slowly()
    sandbox.script([None, None, *[FaultKind.UNAUTHORIZED] * 50])
    failed = run(brand, sandbox)
    assert failed.failed is not None
    tags = tags_of(failed.run_id)
    accepted = sum(sandbox.objects_sent(user) for user in brand.users())
    assert 0 < accepted < CUSTOMERS
    assert tags["accepted_users"] == f"{accepted}"
    assert tags["not_attempted_users"] == f"{CUSTOMERS - accepted}"

    # Dagster gives a rerun the tags of its parent: they are not its own numbers.
    definitions, t = built(brand, sandbox.endpoint)
    with dg.DagsterInstance.get() as instance:
        parent = instance.get_run_by_id(failed.run_id)
        assert parent is not None
        again = run_assets(
            definitions, t, TemplateKeys.of(t).built, instance=instance,
            tags={**parent.tags, PARTITION_TAG: brand.day(0)},
        )  # fmt: skip
    assert set(tags_of(again.run_id).values()) == {"–"}


def numbers(key: dg.AssetKey, check: str) -> dict[str, float]:
    """The metadata of the last result of a check that Dagster can plot."""
    wanted = dg.AssetCheckKey(key, check)
    with dg.DagsterInstance.get() as instance:
        found = instance.event_log_storage.get_latest_asset_check_execution_by_key([wanted])
    event = found[wanted].event
    assert event is not None
    assert event.dagster_event is not None
    metadata = event.dagster_event.asset_check_evaluation_data.metadata
    return {
        name: value.value
        for name, value in metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        and value.value is not None
    }


def shown(t: TemplateSettings, name: str) -> Mapping[str, dg.MetadataValue]:
    key = next(key for key in TemplateKeys.of(t).all if key.path[-1] == name)
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.metadata


def test_checks_and_assets_report_audience_cost_and_shares_as_numbers(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    assert run(brand, sandbox, days_ago=1).failed is None
    customers = brand.folder / "sources" / "customers.csv"
    # One address cannot be read, so a value is rejected; one customer is not there any more.
    lines = customers.read_text().splitlines(keepends=True)
    lines = [line.replace("ann3@example.com", "not an address") for line in lines]
    customers.write_text("".join(line for line in lines if not line.startswith("c4,")))
    assert run(brand, sandbox).failed is None
    _, t = built(brand, sandbox.endpoint)
    keys = TemplateKeys.of(t)
    audience = CUSTOMERS - 1

    found = numbers(keys.audience, AUDIENCE)
    assert (found["saw"], found["customers"], found["share of customers"]) == (
        audience,
        audience,
        1,
    )
    found = numbers(keys.profiles, CONTRACT)
    assert (found["rejected_values"], found["audience"], found["rejected share"]) == (
        1,
        audience,
        0,
    )
    found = numbers(keys.attributes, FRESH_SOURCES)
    assert found["customers: row count"] == audience
    assert found["orders: age in days"] == 0
    assert numbers(keys.plan, guard_check("audience_size")) == {
        "audience": audience, "audience before": CUSTOMERS,
    }  # fmt: skip
    found = numbers(keys.plan, guard_check("changed_share"))
    assert (found["changed users"], found["changed share"]) == (audience, 1.0)
    assert numbers(keys.plan, guard_check("rejected_share"))["rejected share"] == 0

    plan, send = shown(t, "braze_plan"), shown(t, "braze_send")
    points = 2 * audience
    assert plan["data points"].value == send["data points of the plan"].value == points
    assert (plan["audience"].value, plan["changed share"].value) == (audience, 1.0)
    assert send["planned users"].value == send["accepted users"].value == audience
    assert send["accepted attributes"].value == points


def test_the_plan_shows_masked_examples_of_its_changes(brand: SmallBrand, sandbox: Sandbox) -> None:
    email = "        - {column: email}\n"
    level = "        - {column: loyalty_status, as: Level, type: string}\n"
    config = brand.config.read_text()
    assert email in config
    brand.config.write_text(config.replace(email, email + level))
    customers = brand.folder / "sources" / "customers.csv"
    before = customers.read_text()
    customers.write_text(_without_level(before, "c4"))
    assert run(brand, sandbox, days_ago=1).failed is None
    customers.write_text(_without_level(before, "c5").replace("ann3@", "new.address@"))
    assert run(brand, sandbox).failed is None

    _, t = built(brand, sandbox.endpoint)
    plan = shown(t, "braze_plan")
    text = str(plan["sample of the changes (masked)"].value)
    assert '| x9 | Level | cleared | "gold" | – |' in text
    assert '| x9 | Level | added | – | "gold" |' in text
    assert '| x9 | email | changed | "xxx9@xxxxxxx.xxx" | "xxx.xxxxxxx@xxxxxxx.xxx" |' in text
    assert "| Lifetime Orders | changed | 44 | 45 |" in text
    assert text.count("\n") == 1 + SAMPLE_ROWS
    whole = "".join(str(value.value) for value in plan.values())
    for customer in ("c3", "c4", "c5", "ann3", "new.address"):
        # As a word: the plan's id has letters and digits of its own.
        assert not re.search(rf"\b{re.escape(customer)}\b", whole)
    costs = str(plan["cost by attribute"].value)
    assert f"| Level | string | 2 | 1 | 1 | 2 | {CUSTOMERS - 1} |" in costs
    everybody = f"{CUSTOMERS} | 0 | 0 | {CUSTOMERS} | {CUSTOMERS} |"
    assert f"| Lifetime Orders | integer | {everybody}" in costs


def _without_level(customers: str, customer: str) -> str:
    """The customers, one of them without a loyalty status."""
    lines = customers.splitlines()
    return "\n".join(
        line.removesuffix("gold") if line.startswith(f"{customer},") else line for line in lines
    )
