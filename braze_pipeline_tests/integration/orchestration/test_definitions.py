"""What the built definitions show, load and stop, over a small brand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg
import pytest

from braze_pipeline.audience.build import Funnel
from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.errors import AudienceEmpty
from braze_pipeline.orchestration.checks import AUDIENCE, FRESH_SOURCES, audience_result
from braze_pipeline.orchestration.destination import build_definitions
from braze_pipeline.orchestration.failures import WHAT
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.runner import run_days
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.settings import TemplateSettings
from braze_pipeline_tests.small_brand import PROJECT, SmallBrand

HEAVY = ("babel", "duckdb", "numpy", "pandas", "pandera", "phonenumbers", "pyarrow", "requests")

_LOAD = f"""
import sys
from braze_pipeline.definitions import defs
assert list(defs().resolve_all_job_defs())
print(*(name for name in {HEAVY!r} if name in sys.modules))
"""


def built(
    brand: SmallBrand, endpoint: str = "http://127.0.0.1:1"
) -> tuple[dg.Definitions, TemplateSettings]:
    ((config, place),) = load_configs(brand.config)
    environ = brand.environ(endpoint, "key")
    (t,) = resolve(config, folder=brand.folder, place=place, environ=environ)
    return (
        build_definitions(config=config, folder=brand.folder, place=place, environ=environ),
        t,
    )


def test_loading_the_code_location_imports_no_heavy_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_each_asset_shows_description_owner_group_and_kinds(brand: SmallBrand) -> None:
    text = brand.config.read_text()
    brand.config.write_text(
        text.replace("    name: braze\n", "    name: braze\n    owners: [crm@example.com]\n")
    )
    definitions, t = built(brand)
    graph = definitions.resolve_asset_graph()
    for key in TemplateKeys.of(t).all:
        node = graph.get(key)
        assert node.description
        assert node.group_name == "braze"
        assert node.kinds
        assert list(node.owners) == ["crm@example.com"]


def test_the_daily_job_and_the_send_show_what_the_brand_says_of_them(brand: SmallBrand) -> None:
    text = brand.config.read_text()
    text = text.replace("    name: braze\n", "    name: braze\n    description: Ours\n")
    text = text.replace("    - name: loyal\n", "    - name: loyal\n      description: Values\n")
    brand.config.write_text(text)
    definitions, t = built(brand)
    keys = TemplateKeys.of(t)
    job = definitions.resolve_job_def(keys.job("braze_daily"))
    for shown in (job.description, definitions.resolve_asset_graph().get(keys.send).description):
        assert (shown or "").endswith("\n\nloyal: Values\n\nbraze: Ours")


def test_an_empty_audience_stops_the_run_before_a_plan(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = brand.config.read_text()
    brand.config.write_text(text.replace("lifetime_value: 0}", "lifetime_value: 1000000000}"))
    brand.enter(monkeypatch)
    definitions, t = built(brand)
    outcome = run_days(definitions, t, [brand.last], dry_run=True, tags={})
    assert outcome.failed is not None
    assert outcome.failed.action == AudienceEmpty.action
    assert "Saw 0 of 30 customers" in outcome.failed.what
    with dg.DagsterInstance.get() as instance:
        keys = TemplateKeys.of(t)
        assert instance.get_latest_materialization_event(keys.audience)
        assert not instance.get_latest_materialization_event(keys.plan)
        logged = [one.user_message for one in instance.all_logs(outcome.run_id)]
    [shown] = [text for text in logged if text.startswith("audience_is_not_empty")]
    assert "left out by high_value: 30" in shown
    assert "what to do: Look at the funnel" in shown


def test_a_plan_alone_fails_when_the_audience_is_empty_or_was_not_built(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand.enter(monkeypatch)
    definitions, t = built(brand)
    keys = TemplateKeys.of(t)
    output = [_plan_alone(definitions, t, brand.day(0))]
    text = brand.config.read_text()
    brand.config.write_text(text.replace("lifetime_value: 0}", "lifetime_value: 1000000000}"))
    definitions, t = built(brand)
    assert run_days(definitions, t, [brand.last], dry_run=True, tags={}).failed is not None
    output.append(_plan_alone(definitions, t, brand.day(0)))
    assert "There is no audience of" in output[0]
    assert "Nobody of 30 customers is in the audience" in output[1]
    with dg.DagsterInstance.get() as instance:
        assert not instance.get_latest_materialization_event(keys.plan)


def _plan_alone(definitions: dg.Definitions, t: TemplateSettings, day: str) -> str:
    """What the step of the plan failed with, run by itself."""
    keys = TemplateKeys.of(t)
    with dg.DagsterInstance.get() as instance:
        result = definitions.resolve_job_def(keys.job("braze_daily")).execute_in_process(
            instance=instance,
            partition_key=day,
            asset_selection=[keys.plan],
            raise_on_error=False,
        )
    (failed,) = result.get_step_failure_events()
    shown = failed.step_failure_data.user_failure_data
    assert shown is not None
    return str(shown.metadata[WHAT].value)


def test_late_sources_are_a_warning_and_each_source_shows_its_rows(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand.enter(monkeypatch)
    definitions, t = built(brand)
    assert run_days(definitions, t, [brand.last], dry_run=True, tags={}).failed is None
    assert _source_check(t) == (True, True)
    orders = brand.folder / "sources" / "orders.csv"
    kept = [line for line in orders.read_text().splitlines() if brand.day(0) not in line]
    kept = [line for line in kept if not any(brand.day(ago) in line for ago in (1, 2, 3))]
    orders.write_text("\n".join(kept) + "\n")
    assert run_days(definitions, t, [brand.last], dry_run=True, tags={}).failed is None
    assert _source_check(t) == (True, False)
    with dg.DagsterInstance.get() as instance:
        (seen,) = instance.fetch_observations(TemplateKeys.of(t).source("orders"), limit=1).records
    assert seen.asset_observation is not None
    assert seen.asset_observation.metadata["dagster/row_count"].value == len(kept) - 1


def _source_check(t: TemplateSettings) -> tuple[bool, bool]:
    """Whether the newest check of the sources ran, and whether it passed."""
    key = dg.AssetCheckKey(TemplateKeys.of(t).attributes, FRESH_SOURCES)
    with dg.DagsterInstance.get() as instance:
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    assert record.event.dagster_event is not None
    found = record.event.dagster_event.asset_check_evaluation_data
    return found.severity is dg.AssetCheckSeverity.WARN, found.passed


def test_profiles_show_which_column_each_braze_name_comes_from(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand.enter(monkeypatch)
    definitions, t = built(brand)
    assert run_days(definitions, t, [brand.last], dry_run=True, tags={}).failed is None
    keys = TemplateKeys.of(t)
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(keys.profiles)
    assert event is not None
    assert event.asset_materialization is not None
    lineage = event.asset_materialization.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert {
        name: [d.column_name for d in deps] for name, deps in lineage.deps_by_column.items()
    } == {
        "email": ["email"],
        "Lifetime Orders": ["lifetime_orders"],
        "Lifetime Value": ["lifetime_value"],
    }
    assert {d.asset_key for deps in lineage.deps_by_column.values() for d in deps} == {
        keys.attributes
    }


def test_every_asset_shows_its_columns_and_lineage_reaches_from_the_sources_to_braze(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(assume_all=True) as sandbox:
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        definitions, t = built(brand, sandbox.endpoint)
        assert run_days(definitions, t, [brand.last], dry_run=False, tags={}).failed is None
    keys = TemplateKeys.of(t)
    shown = {key: _shown(key) for key in (*keys.all, keys.ledger, keys.rejections)}
    for key, metadata in shown.items():
        schema = metadata["dagster/column_schema"].value
        assert isinstance(schema, dg.TableSchema)
        assert schema.columns, key
        assert set(_lineage(metadata)) <= {column.name for column in schema.columns}

    def before(key: dg.AssetKey, column: str) -> set[tuple[str, str]]:
        deps = _lineage(shown[key]).get(column, ())
        return {(dep.asset_key.path[-1], dep.column_name) for dep in deps}

    assert before(keys.ledger, "Lifetime Value") == {("braze_plan", "new")}
    assert ("braze_profiles", "Lifetime Value") in before(keys.plan, "new")
    assert before(keys.profiles, "Lifetime Value") == {("customer_attributes", "lifetime_value")}
    assert before(keys.attributes, "lifetime_value") == {
        ("orders", "quantity"),
        ("orders", "unit_price"),
    }
    assert ("customer_attributes", "email_opted_in") in before(keys.audience, "left_out_by")


def _lineage(metadata: Mapping[str, dg.MetadataValue]) -> Mapping[str, Sequence[dg.TableColumnDep]]:
    if "dagster/column_lineage" not in metadata:
        return {}
    found = metadata["dagster/column_lineage"].value
    assert isinstance(found, dg.TableColumnLineage)
    return found.deps_by_column


def _shown(key: dg.AssetKey) -> Mapping[str, dg.MetadataValue]:
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.metadata


def test_of_a_range_only_the_newest_day_must_have_an_audience() -> None:
    def funnel(day: int, audience: int) -> Funnel:
        return Funnel(
            day=date(2026, 1, day),
            customers=9,
            excluded={"active": 9 - audience},
            audience=audience,
            groups={},
        )

    assert audience_result([funnel(1, 0), funnel(2, 3)]).passed
    refused = audience_result([funnel(1, 3), funnel(2, 0)])
    assert not refused.passed
    assert refused.check_name == AUDIENCE
    assert refused.severity is dg.AssetCheckSeverity.ERROR
