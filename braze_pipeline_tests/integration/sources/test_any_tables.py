"""Tables of any name, and the audience as the brand wants it."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import dagster as dg
import duckdb
import pytest

from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.small_brand import SmallBrand, materialize, small_brand

READY = "SELECT * FROM customer_360"


def ready(folder: Path, *, audience: str = "all", sql: str = READY) -> SmallBrand:
    """A brand with one ready table, and none of the four that the package knows."""
    brand = small_brand(folder)
    for file in (brand.folder / "sources").iterdir():
        file.unlink()
    with duckdb.connect(str(brand.folder / "marts.duckdb")) as con:
        con.execute(
            "CREATE TABLE customer_360 AS SELECT 'c' || n AS customer_id, n AS lifetime_orders, "
            "n * 1.5 AS lifetime_value, 'ann' || n || '@example.com' AS email, n % 2 = 0 AS vip "
            "FROM range(30) t(n)"
        )
    (brand.folder / "customer_attributes.sql").write_text(sql)
    text = brand.config.read_text()
    sources = "sources:\n  customer_360: {database: marts.duckdb, relation: customer_360}"
    text = text.replace("  templates:", f"{indent(sources, '  ')}\n  templates:")
    brand.config.write_text(
        text.replace("audience: {high_value: {lifetime_value: 0}}", f"audience: {audience}")
    )
    return brand


@pytest.mark.parametrize(
    ("audience", "sent"),
    [
        ("all", 30),
        ("{rules: [], where: vip}", 15),
        ("{rules: [high_value], high_value: {lifetime_value: 30}}", 10),
        ("{rules: [high_value], high_value: {lifetime_value: 30}, where: 'NOT vip'}", 5),
    ],
)
def test_a_ready_table_is_enough_to_send_and_the_audience_is_the_brands_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audience: str, sent: int
) -> None:
    brand = ready(tmp_path / "brand", audience=audience)
    with Sandbox(assume_all=True) as sandbox:
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        assert materialize(brand, lambda _: True).success
        assert sum(sandbox.profile(user) is not None for user in brand.users()) == sent


def test_a_table_without_history_stands_for_the_newest_day_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = ready(tmp_path / "brand")
    brand.enter(monkeypatch)
    refused = rf"gives the rows of now: .* newest day, {brand.day(0)}, and not for {brand.day(1)}"
    with pytest.raises(dg.Failure, match=refused):
        materialize(brand, lambda name: name == "customer_attributes", day=brand.day(1))
    assert materialize(brand, lambda name: name == "customer_attributes").success


def test_a_table_with_a_day_in_each_row_gives_each_day_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = ready(tmp_path / "brand", sql=f"{READY} WHERE as_of = $as_of")
    with duckdb.connect(str(brand.folder / "marts.duckdb")) as con:
        con.execute("ALTER TABLE customer_360 ADD COLUMN as_of DATE")
        con.execute("UPDATE customer_360 SET as_of = ?::DATE", [brand.day(1)])
    brand.enter(monkeypatch)
    wanted = {"customer_attributes", "braze_audience"}
    assert materialize(brand, lambda name: name in wanted, day=brand.day(1)).success
    with pytest.raises(dg.Failure, match=f"no customers of {brand.day(0)}"):
        materialize(brand, lambda name: name in wanted)


def test_the_funnel_shows_each_rule_and_only_those_that_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audience = "{rules: [high_value], high_value: {lifetime_value: 30}, where: vip}"
    brand = ready(tmp_path / "brand", audience=audience)
    brand.enter(monkeypatch)
    result = materialize(brand, lambda name: name in {"customer_attributes", "braze_audience"})
    (event,) = result.asset_materializations_for_node("braze_audience")
    funnel = str(event.metadata["left out"].value)
    assert [line.strip("| ").split(" | ") for line in funnel.splitlines()[2:]] == [
        ["high_value", "20"],
        ["where", "5"],
    ]


def test_a_table_that_the_sql_does_not_read_need_not_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = ready(tmp_path / "brand")
    brand.enter(monkeypatch)
    assert materialize(brand, lambda name: name == "customer_attributes").success
    (brand.folder / "customer_attributes.sql").write_text(
        f"{READY} JOIN customers USING (customer_id)"
    )
    with pytest.raises(dg.Failure, match="source table customers is not there"):
        materialize(brand, lambda name: name == "customer_attributes")


def test_a_table_that_is_no_source_is_named_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = ready(tmp_path / "brand", sql=READY.replace("customer_360", "customers_360"))
    brand.enter(monkeypatch)
    with pytest.raises(dg.Failure, match="Did you mean 'customer_360'"):
        materialize(brand, lambda name: name == "customer_attributes")


def test_a_condition_that_cannot_be_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = ready(tmp_path / "brand", audience="{rules: [], where: 'vips'}")
    brand.enter(monkeypatch)
    with pytest.raises(dg.Failure, match="condition of the audience cannot be run"):
        materialize(brand, lambda name: name in {"customer_attributes", "braze_audience"})


def test_lineage_begins_at_the_brands_own_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from braze_pipeline_tests.integration.orchestration.test_definitions import built

    brand = ready(tmp_path / "brand")
    text = brand.config.read_text()
    brand.config.write_text(
        text.replace("relation: customer_360}", "relation: customer_360, asset_key: [dbt, c360]}")
    )
    brand.enter(monkeypatch)
    definitions, _ = built(brand)
    graph = definitions.resolve_asset_graph()
    import dagster as dg

    (attributes,) = (
        key for key in graph.get_all_asset_keys() if key.path[-1] == "customer_attributes"
    )
    assert graph.get(attributes).parent_keys == {dg.AssetKey(["dbt", "c360"])}
