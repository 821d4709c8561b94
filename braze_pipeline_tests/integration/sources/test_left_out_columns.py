"""A column that cannot be kept as it is stops only who uses it, and is never sent changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from braze_pipeline.attributes.result import AttributesBuild
from braze_pipeline.errors import SourceChanged
from braze_pipeline.settings import AudienceRules, SourceSettings, ValueType, replace
from braze_pipeline.settings.places import Database
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests import shop
from braze_pipeline_tests.integration.sources.test_run_in import DAY, EVERYBODY, SHOP, build, rows
from braze_pipeline_tests.postgres import Postgres
from braze_pipeline_tests.profiles_world import custom

UNFIT = {
    "pw": "'\\x01'::bytea",
    "ip": "'192.0.2.1'::inet",
    "place": "point(1, 2)",
    "words": "to_tsvector('a b')",
    "opens": "'10:00+01'::timetz",
    "valid": "daterange('2020-01-01', '2021-01-01')",
    "x": "'5'::xid",
    "since": "interval '1 day'",
    "big": "12345678901234567::numeric",
    "nan": "'NaN'::numeric(8, 2)",
}
NOW = datetime.combine(DAY, datetime.min.time(), UTC) + timedelta(days=1)
DOUBLED = "SELECT customer_id, big * 2 AS v FROM members"


@pytest.fixture
def members(database: Postgres) -> Database:
    """Two customers; only the second has the value that a NUMERIC cannot keep."""
    listed = ", ".join(f"{value} AS {name}" for name, value in UNFIT.items())
    database.run(
        "DROP TABLE IF EXISTS members",
        f"CREATE TABLE members AS SELECT 'b' AS customer_id, 7 AS points, {listed}",
        "INSERT INTO members (customer_id, points, big, nan) VALUES ('a', 5, 1, 1)",
    )
    return Database(connection=SHOP, relation="members")


def computed(
    tmp_path: Path,
    database: Postgres,
    place: Database,
    sql: str,
    *,
    read: str = "points",
    name: str = "members",
    audience: AudienceRules = EVERYBODY,
) -> tuple[Warehouse, AttributesBuild]:
    """The table of customer attributes, of which one attribute reads the column ``read``."""
    file = tmp_path / "attributes.sql"
    file.write_text(f"-- Everybody;\n{sql}\n; -- the end;\n")
    t = replace(
        shop.template(
            file, audience=audience, attributes=(custom("Sent", ValueType.STRING, column=read),)
        ),
        sources=(SourceSettings(name=name, place=place),),
    )
    return build(tmp_path, t, database, environ={"SHOP_URI": database.uri()}, now=NOW)


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT customer_id, points FROM members", []),
        ("SELECT * FROM members", []),
        ("WITH m AS (SELECT * FROM members WHERE points > 0) SELECT * FROM m ORDER BY points", []),
        (f"SELECT * EXCLUDE ({', '.join(UNFIT)}) FROM members", []),
        ("SELECT *, 'x' AS pW FROM (SELECT customer_id, points FROM members)", ["pW"]),
    ],
)
def test_a_column_that_nobody_uses_stops_nothing_and_is_named_in_a_warning(
    tmp_path: Path, database: Postgres, members: Database, sql: str, columns: list[str]
) -> None:
    for _ in range(2):  # a rerun reads the extract
        warehouse, built = computed(tmp_path, database, members, sql)
        found = [name for name, _ in built.summaries[0].columns]
        assert found == ["customer_id", "points", *columns]
        warned = " ".join(built.sources[0].left_out)
        for name in UNFIT:
            assert f"The column {name} of the source table members (members in the conn" in warned
        assert "pw of the source table members (members in the connection shop) is left" in warned
        assert "it is of the type bytea" in warned
        assert "it is of a type that the driver does not know (oid 3912)" in warned
        assert "number above 2^53" in warned
        assert "12345678901234567" not in warned
    got = rows(warehouse, "SELECT customer_id, points FROM braze.customer_attributes ORDER BY ALL")
    assert got == [("a", 5), ("b", 7)]


@pytest.mark.parametrize(
    ("sql", "read", "column"),
    [
        ("SELECT customer_id, ip AS v FROM members", "v", "ip"),
        ("SELECT customer_id, pw FROM members", "pw", "pw"),
        ("SELECT * FROM members", "pw", "pw"),
        ("SELECT * FROM members", "big", "big"),
        (DOUBLED, "v", "big"),
        ("SELECT customer_id, upper(ip) AS v FROM members", "v", "ip"),
        ("SELECT customer_id, 1 AS v FROM members WHERE ip IS NOT NULL", "v", "ip"),
        ("SELECT customer_id, ip AS v FROM members UNION ALL BY NAME SELECT 'c' AS c", "v", "ip"),
        ("SELECT 'x' AS ip, customer_id, ip AS v FROM members", "v", "ip"),
        ("SELECT customer_id, (SELECT max(nan) FROM members) AS v FROM members", "v", "nan"),
    ],
)
def test_a_column_that_is_used_is_an_error_with_the_reason_and_the_fix(
    tmp_path: Path, database: Postgres, members: Database, sql: str, read: str, column: str
) -> None:
    with pytest.raises(SourceChanged, match=f"The column {column} of the source") as raised:
        computed(tmp_path, database, members, sql, read=read)
    assert str(tmp_path / "attributes.sql") in raised.value.what
    assert "in `query:`, in place of `relation:`." in raised.value.fix
    assert "12345678901234567" not in str(raised.value)


def test_a_condition_of_the_audience_uses_a_column_too(
    tmp_path: Path, database: Postgres, members: Database
) -> None:
    who = AudienceRules(rules=(), where="Big > 5")
    with pytest.raises(SourceChanged, match="The column big of the source table"):
        computed(tmp_path, database, members, "SELECT * FROM members", audience=who)


def test_a_converted_column_is_read(tmp_path: Path, database: Postgres, members: Database) -> None:
    query = "SELECT customer_id, points, big::text AS big, encode(pw, 'hex') AS pw FROM members"
    place = replace(members, relation=None, query=query)
    warehouse, built = computed(tmp_path, database, place, "SELECT * FROM members", read="big")
    assert built.sources[0].left_out == ()
    got = rows(warehouse, "SELECT big, pw FROM braze.customer_attributes ORDER BY customer_id")
    assert got == [("1", None), ("12345678901234567", "01")]


def test_a_column_that_the_pipeline_itself_reads_is_an_error_with_the_reason(
    tmp_path: Path, database: Postgres
) -> None:
    place = Database(connection=SHOP, query="SELECT '\\x01'::bytea AS Customer_ID, 1 AS points")
    with pytest.raises(SourceChanged, match=r"The column customer_id of .* type bytea") as raised:
        computed(
            tmp_path, database, place, "SELECT customer_id, 1 AS points FROM customers",
            name="customers",
        )  # fmt: skip
    assert (
        raised.value.fix == "If you need it, convert it: encode(customer_id, 'hex'), in `query:`."
    )
