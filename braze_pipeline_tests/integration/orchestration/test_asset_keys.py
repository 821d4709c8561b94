"""`asset_key:` on a source: lineage joins the brand's own asset, wherever that is defined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from braze_pipeline_tests.integration.orchestration.test_definitions import built
from braze_pipeline_tests.small_brand import SmallBrand, small_brand

ORDERS = dg.AssetKey(["dbt", "orders"])


def fed(folder: Path, *, destination: str = "braze") -> SmallBrand:
    brand = small_brand(folder)
    text = brand.config.read_text()
    sources = "  sources: {orders: {path: sources/orders.csv, asset_key: [dbt, orders]}}\n"
    text = text.replace("name: braze", f"name: {destination}").replace(
        "  templates:", f"{sources}  templates:"
    )
    brand.config.write_text(text)
    return brand


@dg.asset(key=ORDERS)
def orders() -> None:
    """The brand's own."""


def graph_of(*definitions: dg.Definitions) -> Any:
    merged = dg.Definitions.merge(*definitions)
    dg.Definitions.validate_loadable(merged)
    return merged.resolve_asset_graph()


def test_the_brands_own_asset_in_the_same_code_location_is_the_parent(tmp_path: Path) -> None:
    definitions, _ = built(fed(tmp_path / "brand"))
    graph = graph_of(definitions, dg.Definitions(assets=[orders]))
    assert graph.get(ORDERS).is_materializable
    assert dg.AssetKey("customer_attributes") in graph.get(ORDERS).child_keys
    assert dg.AssetKey("orders") not in graph.get_all_asset_keys()


def test_without_the_asset_here_its_key_is_an_external_parent(tmp_path: Path) -> None:
    definitions, _ = built(fed(tmp_path / "brand"))
    graph = graph_of(definitions)
    assert graph.get(ORDERS).is_external
    assert dg.AssetKey("customer_attributes") in graph.get(ORDERS).child_keys


@pytest.mark.parametrize("here", [True, False])
def test_two_destinations_share_one_upstream_asset(tmp_path: Path, here: bool) -> None:
    first, _ = built(fed(tmp_path / "first"))
    second, _ = built(fed(tmp_path / "second", destination="braze_us"))
    graph = graph_of(first, second, *([dg.Definitions(assets=[orders])] if here else []))
    assert graph.get(ORDERS).child_keys == {
        dg.AssetKey("customer_attributes"),
        dg.AssetKey(["braze_us", "customer_attributes"]),
    }
