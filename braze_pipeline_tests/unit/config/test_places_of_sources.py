"""`connections:` and `sources:`: every form of a source loads, and each mistake names its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline_tests.unit.config.test_configuration_errors import document, load

EVERYTHING = """\
connections:
  shop: {type: postgres, uri_env: SHOP_URI}
sources:
  customers: {connection: shop, relation: crm.customers, columns: {customer_id: id}}
  orders: {connection: shop, query: "SELECT * FROM orders", asset_key: [shop, orders]}
  consents: {path: "s3://brand/consents/*.parquet", optional: true}
  events: {delta: "s3://brand/events"}
  scores: {iceberg: lake.ml.scores}
  ready: {database: marts.duckdb, relation: customer_360}
automation: on_source_update
"""
FIRST_LINE = 13


def test_every_form_loads(tmp_path: Path) -> None:
    (t,) = load(tmp_path, document(more=EVERYTHING))
    assert {s.name for s in t.sources} >= {"customers", "orders", "consents", "events", "scores"}


def test_a_path_is_shown_as_people_write_it_and_follows_links_as_the_system_does(
    tmp_path: Path,
) -> None:
    (tmp_path / "far" / "defs").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "defs")
    more = "sources:\n  customers: {path: ../../customers.csv}\n  ready: {path: a/../b.csv}\n"
    (t,) = load(tmp_path / "link", document(more=more))
    paths = {source.name: source.path for source in t.sources}
    assert paths["customers"] == tmp_path / "customers.csv"
    assert paths["ready"] == tmp_path / "link" / "a" / ".." / "b.csv"


@pytest.mark.parametrize(
    ("right", "wrong", "line", "says"),
    [
        ("type: postgres", "type: postgress", 1, "Did you mean 'postgres'"),
        ("uri_env: SHOP_URI", "uri: SHOP_URI", 1, "Unknown key 'uri'"),
        ("connection: shop, relation: crm", "connection: shopp, relation: crm", 3, "'shop'"),
        ("relation: crm.customers, ", "", 3, "needs either `relation` or `query`"),
        ('query: "SELECT * FROM orders"', 'query: " ;"', 4, "The query is empty"),
        (
            'query: "SELECT * FROM orders"',
            'query: "/* of\\n all */ ; -- SELECT 1\\n--"',
            4,
            "sources.orders.query: The query is empty, or has nothing but comments",
        ),
        ("delta: ", "path: data/, delta: ", 6, "Give one place, not several"),
        ("relation: customer_360", "optional: true", 8, "needs `relation`"),
        ("asset_key: [shop, orders]", "asset_key: []", 4, "asset_key"),
        ("relation: crm.customers, ", "relation: c, optional: true, ", 3, "cannot be optional"),
        ("s3://brand", "s3://user:pw@brand", 5, "credentials come from the environment"),
        ("  scores:", "  my-scores:", 7, "SQL needs no quotes"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, right: str, wrong: str, line: int, says: str
) -> None:
    assert right in EVERYTHING
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, document(more=EVERYTHING.replace(right, wrong, 1)))
    assert f"defs.yaml:{FIRST_LINE + line}:" in raised.value.what
    assert says in raised.value.what
    assert "user:pw" not in raised.value.what


LAKE = """\
connections:
  lake: {type: spark, remote: "sc://lake:15002", location: "s3://brand/braze"}
sources:
  orders: {connection: lake, relation: shop.orders}
"""


def test_a_cluster_loads(tmp_path: Path) -> None:
    for way in (
        "uri_env: LAKE_URI",
        'master: "local[*]", conf: {spark.executor.memory: 4g}',
        "master: yarn",
    ):
        (t,) = load(tmp_path, document(more=LAKE.replace('remote: "sc://lake:15002"', way)))
        assert [s.name for s in t.sources if s.place is not None] == ["orders"]


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("sc://lake:15002", "sc://lake:15002/;token=s3cret", "belongs in the environment"),
        ("sc://lake:15002", "lake:15002", "remote"),
        ("type: spark, ", "type: spark, master: yarn, ", "Spark needs one of `remote`"),
        (', location: "s3://brand/braze"', "", "Spark needs `location`"),
        ("s3://brand/braze", "braze", "location"),
        ("location:", "conf: {spark.hadoop.fs.s3a.secret.key: s3cret}, location:", "credential"),
        ("type: spark", "type: postgres, uri_env: X", "is for the type spark alone"),
    ],
)
def test_a_mistake_in_a_cluster_is_named(tmp_path: Path, right: str, wrong: str, says: str) -> None:
    assert right in LAKE
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, document(more=LAKE.replace(right, wrong, 1)))
    assert "defs.yaml:14:" in raised.value.what
    assert says in raised.value.what
    assert "s3cret" not in raised.value.what
