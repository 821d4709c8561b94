"""With `run_in`, the brand's warehouse computes the attributes and applies the audience's rules."""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.attributes.freshness import evaluate_sources, not_known
from braze_pipeline.attributes.result import AttributesBuild
from braze_pipeline.audience.build import Funnel, build_audience, require_members
from braze_pipeline.errors import (
    AudienceEmpty,
    ConfigurationError,
    ContractBroken,
    NotBuilt,
    PipelineError,
    SourceChanged,
    SourceMissing,
)
from braze_pipeline.settings import (
    Active,
    AudienceRules,
    Contactable,
    HighValue,
    RecipientGroup,
    SourceSettings,
    TemplateSettings,
    replace,
)
from braze_pipeline.settings.places import Connection, Database
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests import shop
from braze_pipeline_tests.postgres import Postgres
from braze_pipeline_tests.sample import tables as sample_tables

POSTGRES_SQL = shop.SQL_FILE.with_suffix(".postgres.sql")
SHOP = Connection(name="shop", type="postgres", uri_env="SHOP_URI")
DAYS = (date(2010, 12, 31), date(2011, 12, 9))
DAY = DAYS[-1]
EVERYBODY = AudienceRules(rules=())


@cache
def tables() -> dict[str, pa.Table]:
    """The sample's tables, with the types that a database would have."""
    with duckdb.connect() as con:
        return {
            name: con.sql(f"FROM '{file}'").to_arrow_table()
            for name, file in sample_files().items()
        }


@cache
def sample_files() -> dict[str, Path]:
    """Its files, in a folder that is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sample-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return sample_tables(folder)


@pytest.fixture(scope="session")
def sample(database: Postgres) -> Postgres:
    """The sample's tables in a schema of their own, which is the user's default."""
    database.run("CREATE SCHEMA IF NOT EXISTS sample")
    for name, rows in tables().items():
        database.load(f"sample_{name}", rows)
        database.run(
            f"DROP TABLE IF EXISTS sample.{name}",
            f"ALTER TABLE sample_{name} SET SCHEMA sample",
            f"ALTER TABLE sample.sample_{name} RENAME TO {name}",
        )
    return database


def in_postgres(sql: Path = POSTGRES_SQL, **more: Any) -> TemplateSettings:
    t = shop.template(sql, **more)
    return replace(t, run_in=SHOP, sources=more.get("sources", ()), time_zone="Europe/London")


def in_duckdb(**more: Any) -> TemplateSettings:
    t = shop.template(**more)
    sources = tuple(SourceSettings(name=s.name, path=sample_files()[s.name]) for s in t.sources)
    return replace(t, sources=sources, time_zone="Europe/London")


def environ(server: Postgres, schema: str = "sample", **more: str) -> dict[str, str]:
    return {"SHOP_URI": f"{server.uri(**more)}?options=-csearch_path%3D{schema}"}


def build(
    folder: Path, t: TemplateSettings, server: Postgres, *, run: str = "run", **more: Any
) -> tuple[Warehouse, AttributesBuild]:
    warehouse = Warehouse(folder / "warehouse.duckdb")
    days = more.pop("days", [DAY])
    more.setdefault("environ", environ(server))
    return warehouse, build_attributes(warehouse, t, days, run_id=run, **more)


def rows(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.connect(read_only=True) as con:
        return con.execute(query).fetchall()


def test_the_samples_sql_for_postgres_gives_the_same_rows_as_duckdb(
    tmp_path: Path, sample: Postgres
) -> None:
    found = {}
    for name, t in (
        ("duckdb", in_duckdb(audience=EVERYBODY)),
        ("postgres", in_postgres(audience=EVERYBODY)),
    ):
        warehouse, built = build(tmp_path / name, t, sample, days=DAYS)
        assert [s.rows for s in built.summaries] == [len(tables()["customers"])] * 2
        found[name] = rows(
            warehouse, "SELECT * FROM braze.customer_attributes ORDER BY __as_of, customer_id"
        )
    different = [
        (one, other)
        for one, other in zip(found["duckdb"], found["postgres"], strict=True)
        if one != other
    ]
    assert not different, (len(different), different[:2])


COLUMNS = {
    "customer_id": pa.string(),
    "lifetime_value": pa.float64(),
    "predicted_clv": pa.decimal128(12, 2),
    "l12m_recency": pa.int64(),
    "email": pa.string(),
    "phone": pa.string(),
    "email_opted_in": pa.bool_(),
    "sms_opted_in": pa.bool_(),
}
GIVEN = "SELECT * FROM given WHERE $as_of > DATE '2000-01-01' -- no more )"


def customers(chance: random.Random, count: int = 400) -> pa.Table:
    """Customers with ties, NULLs, negative values and addresses of nothing but spaces."""

    def some(*values: object) -> list[Any]:
        return [chance.choice(values) for _ in range(count)]

    columns = [
        [f"c{n}" for n in range(count)],
        some(None, -5.0, 0.0, 1.0, 50.0, 99.99, 100.0, 100.0, 250.0, 1e9),
        some(None, 0, 499, 500),
        some(None, -1, 0, 364, 365, 366),
        some(None, "", "  ", "\u00a0\u3000", "\t", "ada@example.com"),
        some(None, "", "020 7946 0000"),
        some(None, True, False),
        some(None, True, False),
    ]
    arrays = [pa.array(c, type=t) for c, t in zip(columns, COLUMNS.values(), strict=True)]
    return pa.table(dict(zip(COLUMNS, arrays, strict=True)))


def given(
    folder: Path, database: Postgres, rows: pa.Table, sql: str = GIVEN, **more: Any
) -> tuple[TemplateSettings, TemplateSettings]:
    """A template over one ready table, for DuckDB and for Postgres."""
    folder.mkdir(exist_ok=True)
    file = folder / "attributes.sql"
    file.write_text(sql)
    pq.write_table(rows, folder / "given.parquet")
    database.load("given", rows)
    there = in_postgres(file, **more)
    source = SourceSettings(name="given", path=folder / "given.parquet")
    return replace(there, run_in=None, sources=(source,)), there


def judged(
    folder: Path, t: TemplateSettings, server: Postgres, **more: Any
) -> tuple[Funnel, list[tuple[Any, ...]]]:
    """The funnel, and everybody in the audience with their groups."""
    warehouse, _ = build(folder, t, server, environ=environ(server, "public"), **more)
    with warehouse.connect() as con:
        funnel = build_audience(con, t, DAY)
        members = con.execute(
            "SELECT customer_id, groups FROM braze.audience WHERE left_out_by IS NULL ORDER BY 1"
        ).fetchall()
    return funnel, members


@pytest.mark.parametrize("seed", range(16))
def test_every_combination_of_rules_gives_the_same_audience_and_funnel(
    tmp_path: Path, database: Postgres, seed: int
) -> None:
    chance = random.Random(seed)
    groups = [
        RecipientGroup(
            name="it's us", where="country = 'GB' OR lifetime_value > 50", attributes=()
        ),
        RecipientGroup(name="far", where="lifetime_value <= 50", attributes=()),
    ]
    sql = GIVEN.replace("*", "*, CASE WHEN email IS NULL THEN 'GB' END AS country")
    campaign = {"kind": "campaign", "groups": tuple(groups)} if seed % 2 else {}
    here, there = given(
        tmp_path / "sql",
        database,
        customers(chance),
        sql,
        audience=AudienceRules(
            rules=tuple(rule for rule in AudienceRules().rules if chance.random() < 0.7),
            high_value=HighValue(
                lifetime_value=chance.choice([None, 0, 99.99, 100]),
                top_percent=chance.choice([None, 0.1, 10, 25, 33.3, 100]),
                predicted_value=chance.choice([None, 500]),
            ),
            active=Active(within_days=chance.choice([0, 364, 365])),
            contactable=Contactable(by=chance.choice([("email",), ("sms",), ("email", "sms")])),
            where=chance.choice([None, "predicted_clv IS NULL OR predicted_clv < 500"]),
        ),
        **campaign,
    )
    assert judged(tmp_path / "a", there, database) == judged(tmp_path / "b", here, database)


def test_only_the_audience_leaves_the_database(tmp_path: Path, database: Postgres) -> None:
    _, there = given(
        tmp_path / "sql",
        database,
        customers(random.Random(7)),
        audience=AudienceRules(rules=("contactable",)),
    )
    warehouse, built = build(tmp_path, there, database, environ=environ(database, "public"))
    (extract,) = built.extracts.values()
    file = warehouse.extracts / "braze" / "run" / extract.file
    with duckdb.connect() as con:
        (left,) = con.execute(
            f"SELECT count(*) FROM '{file}' WHERE NOT coalesce(email_opted_in, false) "
            "AND NOT coalesce(sms_opted_in, false)"
        ).fetchall()[0]
    assert left == 0
    assert 0 < (extract.rows or 0) == built.summaries[0].rows < 400


def test_a_rerun_of_the_run_needs_no_database_and_another_run_reads_again(
    tmp_path: Path, database: Postgres
) -> None:
    rows = customers(random.Random(1))
    _, there = given(tmp_path / "sql", database, rows, audience=EVERYBODY)
    first, _ = judged(tmp_path, there, database)
    database.run("DELETE FROM given WHERE customer_id = 'c1'")
    assert judged(tmp_path, there, database)[0] == first
    build(tmp_path, there, database, environ={})
    assert judged(tmp_path, there, database, run="later")[0].customers == first.customers - 1


def test_an_empty_audience_is_counted_and_refused(tmp_path: Path, database: Postgres) -> None:
    _, there = given(
        tmp_path / "sql",
        database,
        customers(random.Random(1)),
        audience=AudienceRules(where="false"),
    )
    funnel, members = judged(tmp_path, there, database)
    assert (funnel.customers, funnel.audience, members) == (400, 0, [])
    assert sum(funnel.excluded.values()) == 400
    with (
        Warehouse(tmp_path / "warehouse.duckdb").connect() as con,
        pytest.raises(AudienceEmpty, match="Nobody of 400 customers"),
    ):
        require_members(con, there, DAY)


def test_changed_rules_are_never_taken_for_those_that_the_warehouse_applied(
    tmp_path: Path, database: Postgres
) -> None:
    here, there = given(tmp_path / "sql", database, customers(random.Random(1)), audience=EVERYBODY)
    warehouse, _ = build(tmp_path, there, database, environ=environ(database, "public"))
    other = replace(there, audience=AudienceRules(rules=("contactable",)))
    # Also without `run_in`: the customers who were excluded are not here.
    for t in (other, replace(other, run_in=None)):
        with warehouse.connect() as con, pytest.raises(NotBuilt, match="not made with these rules"):
            build_audience(con, t, DAY)
    # Without `run_in`, the day is built again, and what the warehouse counted is forgotten.
    funnel, _ = judged(tmp_path, replace(here, audience=other.audience), database)
    assert funnel.customers == 400
    assert rows(warehouse, "FROM records.counted_elsewhere") == []
    with warehouse.connect() as con, pytest.raises(NotBuilt):
        build_audience(con, there, DAY)


@pytest.mark.parametrize(
    ("sql", "expected", "shown"),
    [
        ("DELETE FROM given", ConfigurationError, "attributes.sql:1: not one SELECT"),
        (f"{GIVEN}\n;\nSELECT 1", ConfigurationError, "attributes.sql:3: a second statement"),
        ("SELECT 1)\n, x AS (SELECT $as_of", ConfigurationError, "attributes.sql:1: a parenthesis"),
        ("SELECT ')' AS a, '$as_of", ConfigurationError, "has no end"),
        ("SELECT *\nFROM nothing\nWHERE $as_of > '2000-01-01'", SourceMissing, "(line 2)"),
        ("SELECT *,\n\n gone, $as_of FROM given", ConfigurationError, "(line 3)"),
        (f"{GIVEN[:-12]}\nAND", ConfigurationError, "attributes.sql cannot be run"),
        ("SELECT *, $as_of AS email FROM given", ConfigurationError, "email and email"),
        ("SELECT *, $as_of AS __mine FROM given", ConfigurationError, "__mine"),
        ("SELECT customer_id, $as_of AS d FROM given", ConfigurationError, "'l12m_recency'"),
        (
            GIVEN.replace("*", "customer_id, 'a' AS lifetime_value, 1 AS l12m_recency"),
            ConfigurationError,
            "needs a number",
        ),
        (
            f"SELECT * FROM ({GIVEN}\n) AS a UNION ALL SELECT * FROM given",
            ContractBroken,
            "400 rows too many",
        ),
        (GIVEN.replace("*", "*, email::INT AS n"), SourceChanged, "stopped the query"),
    ],
)
def test_sql_that_cannot_be_run_names_the_file_and_the_line(
    tmp_path: Path,
    database: Postgres,
    sql: str,
    expected: type[PipelineError],
    shown: str,
) -> None:
    rules = AudienceRules(rules=("high_value", "active"), high_value=HighValue(lifetime_value=0))
    table = customers(random.Random(1))
    _, there = given(tmp_path / "sql", database, table, sql, audience=rules)
    with pytest.raises(expected) as raised:
        build(tmp_path, there, database, environ=environ(database, "public"))
    assert shown in raised.value.what
    for not_said in ("ada@example.com", "QUALIFY"):  # which Postgres does not have
        assert not_said not in f"{raised.value.what} {raised.value.fix}"
    if expected is not ContractBroken:
        assert not list((tmp_path / "warehouse.extracts" / "braze").glob("run*"))


@pytest.mark.parametrize(
    "where",
    ["gone > 1", "lifetime_value > 'a'::INT", "lower(lifetime_value) = 'a'"],
)
def test_a_condition_that_the_database_refuses_is_named(
    tmp_path: Path, database: Postgres, where: str
) -> None:
    group = RecipientGroup(name="near", where=where, attributes=())
    for key, of in (("where", "audience"), ("groups", "recipient group 'near'")):
        more: dict[str, Any] = {"audience": EVERYBODY, "kind": "campaign", "groups": (group,)}
        if key == "where":
            more = {"audience": AudienceRules(rules=(), where=where)}
        _, there = given(tmp_path / "sql", database, customers(random.Random(1)), **more)
        with pytest.raises(PipelineError) as raised:
            build(tmp_path, there, database, environ=environ(database, "public"))
        assert f"The condition of the {of}" in raised.value.what


def test_declared_tables_are_counted_in_the_database_and_their_age_is_checked(
    tmp_path: Path, sample: Postgres
) -> None:
    sources = tuple(
        SourceSettings(name=name, place=Database(connection=SHOP, relation=f"sample.{name}"))
        for name in ("customers", "orders", "consents")
    )
    file = tmp_path / "attributes.sql"
    file.write_text("SELECT customer_id FROM customers WHERE $as_of IS NOT NULL")
    t = replace(in_postgres(file, audience=EVERYBODY), sources=sources)
    _, built = build(tmp_path, t, sample)
    found = {source.name: source for source in built.sources}
    assert found["orders"].rows == len(tables()["orders"])
    assert found["orders"].newest == "2011-12-09"
    assert dict(found["orders"].columns)["ordered_at"].startswith("TIMESTAMP")
    (summary,) = built.summaries
    assert summary.newest_order == DAY
    findings = evaluate_sources(t, built.sources, summary)
    assert {(one.source, one.what) for one in findings} >= {
        ("customers", "rows"),
        ("orders", "newest row"),
        ("consents", "newest row"),
    }
    assert "order lines are complete" in not_known(t, built.sources)
    assert "how new orders is" in not_known(t, ())


def test_midnight_in_the_database_is_midnight_in_the_templates_time_zone(
    tmp_path: Path, database: Postgres
) -> None:
    database.run(
        "DROP TABLE IF EXISTS moments",
        "CREATE TABLE moments AS SELECT 'c1' AS customer_id, "
        "timestamptz '2011-12-09 23:30+00' AS at",
    )
    file = tmp_path / "attributes.sql"
    file.write_text("SELECT customer_id FROM moments WHERE at < $as_of + INTERVAL '1 day'")
    for zone, expected in (("Europe/London", 1), ("Asia/Tokyo", 0)):
        t = replace(in_postgres(file, audience=EVERYBODY), time_zone=zone)
        _, built = build(tmp_path / zone, t, database, environ=environ(database, "public"))
        assert built.summaries[0].rows == expected
