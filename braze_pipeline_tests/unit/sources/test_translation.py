"""DuckDB's SQL in Spark's words: what each rule writes, and what is refused with file and line.

That the values are the same is tested on a real Spark, in ``integration/sources/test_spark.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings.places import Connection
from braze_pipeline.sources.dialects import dialect_of, query_for
from braze_pipeline.sources.translation.tables import TableRead
from braze_pipeline.sources.translation.translate import translate
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline_tests import shop

FILE = Path("attributes.sql")
SPARK = dialect_of(Connection(name="lake", type="spark", remote="sc://x", location="/lake"))
THINGS = TableRead(
    name="things",
    relation="shop.things",
    columns={
        "i": "INTEGER", "n": "BIGINT", "x": "DOUBLE", "d": "DECIMAL(18,2)", "big": "DECIMAL(38,10)",
        "s": "VARCHAR", "u": "VARCHAR", "day": "DATE", "at_time": "TIMESTAMP", "b": "BOOLEAN",
        "instant": "TIMESTAMP WITH TIME ZONE", "f": "FLOAT", "parts": "STRUCT(a INTEGER)",
        "two words": "INTEGER",
    },
)  # fmt: skip
SAMPLE = [
    TableRead(
        name=name,
        relation=name,
        columns={column.name: column.type for column in table.columns if not column.optional},
    )
    for name, table in TABLES.items()
]


def spark(sql: str, tables: Sequence[TableRead] = (THINGS,)) -> str:
    return translate(FILE, sql, tables)


def body(sql: str) -> str:
    """The translated query alone, on one line."""
    return " ".join(spark(sql).rpartition("\n)\n\n")[2].split())


def refused(sql: str, tables: Sequence[TableRead] = (THINGS,)) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        spark(sql, tables)
    first, *lines = raised.value.what.strip().splitlines()
    assert first == "attributes.sql cannot be translated as it is; nothing was written."
    return lines


@pytest.mark.parametrize(
    ("duckdb", "expected"),
    [
        ("i / n", "CAST(i AS DOUBLE) / CAST(n AS DOUBLE)"),
        ("d / i", "CAST(d AS DOUBLE) / CAST(i AS DOUBLE)"),
        ("i // n", "i DIV nullif(n, 0)"),
        ("i % n", "i % nullif(n, 0)"),
        ("d + 1", "CAST(d + 1 AS DECIMAL(18,2))"),
        ("- -i", "- -i"),
        ("day - $as_of", "datediff(day, $as_of)"),
        ("day + 3", "date_add(day, CAST(3 AS INT))"),
        ("day - INTERVAL 12 MONTH", "CAST(day AS TIMESTAMP_NTZ) - INTERVAL '12' MONTH"),
        ("day < at_time", "CAST(day AS TIMESTAMP_NTZ) < at_time"),
        ("s::DATE", "to_date(s, 'yyyy-MM-dd')"),
        ("DATE '2024-02-29'", "DATE '2024-02-29'"),
        ("(x + 1)::DECIMAL(9, 2)",
         "CAST(CAST(round((x + 1) * 1E2) AS BIGINT) * 0.01BD AS DECIMAL(9,2))"),
        ("round(d, 1)", "CAST(round(d, 1) AS DECIMAL(18,1))"),
        ("coalesce(d, 0)", "coalesce(d, CAST(0 AS DECIMAL(18,2)))"),
        ("CASE WHEN b THEN d ELSE 1 END",
         "CASE WHEN b THEN d ELSE CAST(1 AS DECIMAL(18,2)) END"),
        ("len(s)", "length(s)"),
        ("len([i])", "array_size(array(i))"),
        ("[i, n][2]", "get(array(i, n), 1)"),
        ("list_filter([i], lambda one: one > n)", "filter(array(i), one -> one > n)"),
        ("list_sort([i])", "array_sort(array(i))"),
        ("starts_with(s, 'C')", "startswith(s, 'C')"),
        ("b IS NOT TRUE", "b IS NOT true"),
        ("'it''s \\ $as_of'", "'it\\'s \\\\ $as_of'"),
        ('"two words"', "`two words`"),
        ("sum(d)", "CAST(sum(d) AS DECIMAL(38,2))"),
        ("count(*) FILTER (b)", "count(*) FILTER (WHERE b)"),
        ("count(*) FILTER (WHERE b)", "count(*) FILTER (WHERE b)"),
        ("min(day, 2)", "nullif(slice(sort_array(collect_list(day), true), 1, 2), array())"),
        ("max(s, 3) FILTER (b)",
         "nullif(slice(sort_array(collect_list(s) FILTER (WHERE b), false), 1, 3), array())"),
        ("max_by(s, (day, s))",
         "max_by(s, struct(day IS NULL, day, s IS NULL, s)) FILTER (WHERE s IS NOT NULL)"),
        ("max_by(coalesce(b, false), (day, b IS NOT TRUE)) FILTER (i > 0 OR b)",
         ("max_by(coalesce(b, false), struct(day IS NULL, day, b IS NOT true)) "
          "FILTER (WHERE (i > 0 OR b) AND coalesce(b, false) IS NOT NULL)")),
        ("rank() OVER (PARTITION BY s ORDER BY i, x DESC, n NULLS FIRST)",
         "rank() OVER (PARTITION BY s ORDER BY i NULLS LAST, x DESC NULLS LAST, n NULLS FIRST)"),
    ],
)  # fmt: skip
def test_what_differs_is_written_as_spark_needs_it(duckdb: str, expected: str) -> None:
    assert body(f"SELECT {duckdb} AS a FROM things") == f"SELECT {expected} AS a FROM things"


def test_quantiles_are_counted_with_integers_and_not_approximated() -> None:
    text = body("SELECT quantile_disc(day, [0.25, 1.0]) AS a FROM things")
    assert "percentile" not in text
    assert "sort_array(collect_list(day))" in text
    assert "(CAST(array_size(s) AS BIGINT) * 25 + 99) DIV 100" in text


def test_a_sum_of_doubles_is_one_of_whole_numbers_or_stops() -> None:
    text = body("SELECT sum(x) AS a FROM things")
    assert "CASE WHEN x <> CAST(x AS BIGINT) THEN raise_error(" in text


def test_rows_are_numbered_where_a_group_makes_them_differ() -> None:
    group = "SELECT s, day AS on_day, sum(d) AS v FROM things GROUP BY s, 2"
    by = "OVER (PARTITION BY s ORDER BY v{}) AS place FROM a"
    assert "row_number() OVER" in spark(
        f"WITH a AS MATERIALIZED ({group}) SELECT row_number() {by.format(', on_day')}"
    )
    (line,) = refused(f"WITH a AS ({group})\nSELECT row_number() {by.format('')}")
    assert line.startswith("attributes.sql:2: row_number() where rows may be equal.")


def test_materialized_is_dropped_and_comments_are_kept() -> None:
    text = spark(
        "-- about $as_of\nWITH\n-- about a\na AS NOT MATERIALIZED (\n  SELECT i FROM things\n)\n"
        "SELECT\n  -- about i\n  i,\n  i + 1 AS j\nFROM a\n-- only some\nWHERE i > 0"
    )
    assert "MATERIALIZED" not in text
    for line in ("-- about $as_of", "-- about a\na AS (", "    -- about i\n    i,"):
        assert line in text
    assert "-- only some" in text


def test_the_samples_comments_are_all_kept() -> None:
    sql = shop.SQL_FILE.read_text()
    said = [line.strip() for line in sql.splitlines() if line.strip().startswith("-- ")]
    assert len(said) > 30
    text = [line.strip() for line in spark(sql, SAMPLE).splitlines()]
    # sqlglot drops the comment before a $as_of; it is kept at the top.
    lost = "-- days since the last purchase, even if that was more than 12 months ago"
    assert [line for line in said if line not in text] == [lost]
    assert lost.replace("-- ", "--   ") in text


def test_as_of_is_still_as_of_and_only_there() -> None:
    text = spark(
        "-- until $as_of\nSELECT '$as_of' AS a, i AS \"$as_of\", $as_of AS day FROM things"
    )
    query, dated = query_for(FILE, text, SPARK, date(2024, 1, 31))
    assert dated
    assert query.count("DATE '2024-01-31'") == 1
    assert "DATE '2024-01-31' AS day" in query
    assert "-- until $as_of" in query
    assert "'$as_of' AS a" in query
    assert "`$as_of`" in query


def test_the_file_says_what_it_was_made_from_and_how_to_compare() -> None:
    first, second, *_ = spark("SELECT i FROM things").splitlines()
    assert first.startswith("-- A first version in Spark's SQL, made from attributes.sql")
    assert second.endswith("template check --as-of DAY --compare attributes.sql")


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ("upper(s)", "`upper(…)`"),
        ("string_agg(s, ',')", "`LISTAGG"),
        ("list(s)", "`list(…)`"),
        ("avg(d)", "`avg(…)`. Write sum(x)::DOUBLE / count(x)."),
        ("median(x)", "`median(…)`"),
        ("quantile_cont(x, 0.5)", "`QUANTILE_CONT"),
        ("quantile_disc(x, -0.5)", "this quantile_disc"),
        ("first(s)", "`first(…)`"),
        ("sum(DISTINCT i)", "`DISTINCT i`"),
        ("count_if(b)", "`count_if(…)`"),
        ("max_by(s, day)", "max_by where two rows may be equal"),
        ("max_by(coalesce(b, i > 0, false), (day, b IS TRUE))", "max_by where two rows"),
        ("row_number() OVER (ORDER BY day)", "row_number() where rows may be equal"),
        ("lag(i) OVER (ORDER BY day)", "this window function"),
        ("sum(i) OVER (ORDER BY day ROWS 2 PRECEDING)", "`SUM(i) OVER"),
        ("now()", "`now(…)`"),
        ("TRY_CAST(s AS INTEGER)", "`TRY_CAST(s AS INT)`"),
        ("s::INTEGER", "CAST of VARCHAR to INTEGER"),
        ("x::INTEGER", "CAST of DOUBLE to INTEGER"),
        ("d::INTEGER", "CAST of DECIMAL(18,2) to INTEGER"),
        ("x::VARCHAR", "CAST of DOUBLE to VARCHAR"),
        ("x::FLOAT", "CAST of DOUBLE to FLOAT"),
        ("round(x, 2)", "round of other than a DECIMAL"),
        ("big * big", "DECIMAL(38,10) * DECIMAL(38,10), which Spark would round"),
        ("big > 0.12345678901", "DECIMAL(38,10) with DECIMAL(12,11), which Spark would"),
        ("s = i", "comparing VARCHAR with INTEGER"),
        ("day > '2024-01-01'", "comparing DATE with VARCHAR"),
        ("instant < at_time", "comparing TIMESTAMP WITH TIME ZONE with TIMESTAMP"),
        ("instant::DATE", "DuckDB takes the day and hour of UTC, Spark those of `time_zone`"),
        ("max(instant::TIMESTAMP)", "CAST of TIMESTAMP WITH TIME ZONE to TIMESTAMP. DuckDB takes"),
        ("instant + INTERVAL 1 DAY", "TIMESTAMP WITH TIME ZONE + INTERVAL"),
        ("at_time - at_time", "TIMESTAMP - TIMESTAMP"),
        ("day + INTERVAL (i) DAY", "this INTERVAL"),
        ("s LIKE u", "this LIKE"),
        ("s LIKE 'a\\%'", "this LIKE"),
        ("s ILIKE 'a%'", "ILIKE"),
        ("left(s, -1)", "this left()"),
        ("[i, n][-1]", "this [ ]"),
        ("'${x}'", "a text with ${"),
        ("s || i + 1", "`i + 1` beside another operator"),
        ("ltrim(s)", "ltrim"),
        ("s || x", "|| of other than text and integers"),
        ("f", "`f`, which no table here has"),
        ("parts.a", "`parts.a`, which no table here has"),
        ("i AS k, k + 1", "`k`, which no table here has"),
        ("(SELECT max(i) FROM things)", "SELECT MAX(i) FROM things"),
        ("* EXCLUDE (i), 1", "`* EXCLUDE (i)`. Name the columns."),
    ],
)
def test_what_is_not_known_to_be_the_same_is_refused(part: str, shown: str) -> None:
    lines = refused(f"SELECT\n{part} AS a\nFROM things")
    assert any(shown in line for line in lines), lines
    assert lines[0].startswith("attributes.sql:2: ")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT i FROM things\nORDER BY i LIMIT 3", "LIMIT of a query"),
        ("SELECT i FROM things\nQUALIFY rank() OVER (ORDER BY i) = 1", "QUALIFY of a query"),
        ("SELECT i FROM things\nUNION ALL SELECT n FROM things", "UNION of queries"),
        ("SELECT DISTINCT ON (i) i, n\nFROM things", "DISTINCT ON"),
        ("SELECT i, count(*) AS n FROM things\nGROUP BY ALL", "GROUP BY ALL"),
        ("SELECT a.i FROM things AS a\nFULL JOIN things AS b USING (i)", "this JOIN"),
        ("SELECT i FROM range(3)\nAS t(i)", "reading"),
        ("SELECT i FROM things\nUSING SAMPLE 10%", "of a query"),
        ("WITH things AS (SELECT 1 AS i)\nSELECT i FROM things", "the name of a source table"),
        ("SELECT i FROM (WITH a AS (SELECT i FROM things)\nSELECT i FROM a)", "WITH in a query"),
        ("SELECT i, sum(n) AS n FROM things GROUP BY i\nHAVING max(n) > 1", "`n` in HAVING"),
        ("SELECT i AS k FROM things\nWHERE k > 1", "`k`, which no table here has"),
        ("SELECT i,\nsum(sum(d)) OVER () AS a FROM things GROUP BY i", ":2: `SUM(SUM(d))`, whose"),
    ],
)
def test_clauses_that_are_not_known_to_be_the_same_are_refused(query: str, shown: str) -> None:
    assert any(shown in line for line in refused(query))


def test_all_problems_are_named_at_once_each_with_its_line() -> None:
    lines = refused(
        "WITH a AS (\n  SELECT upper(s) AS s, -- one\n    i\n  FROM things\n"
        "  WHERE x::INTEGER = 1\n)\nSELECT s, i + 1 AS j,\n  max_by(i, s) OVER () AS k\n"
        "FROM a\nLIMIT 3"
    )
    assert [line.split(": ")[0] for line in lines] == [f"attributes.sql:{n}" for n in (2, 5, 8, 10)]
    assert all(line.endswith(".") for line in lines)


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT gone FROM things", '"gone" not found'),
        ("SELECT i FROM nothing", "nothing does not exist"),
        ("SELECT i FROM things WHERE i > $other", "cannot be translated"),
        ("DROP TABLE things", "not one SELECT statement"),
    ],
)
def test_sql_that_duckdb_refuses_is_not_translated(sql: str, shown: str) -> None:
    with pytest.raises(ConfigurationError, match=shown):
        spark(sql)


def test_tables_are_read_as_the_contract_says() -> None:
    orders = TableRead(
        name="orders",
        relation="lake.lines",
        columns={"kunde": "BIGINT", "quantity": "INTEGER", "note": "VARCHAR", "f": "FLOAT"},
        mapped={"customer_id": "kunde"},
    )
    text = spark("SELECT customer_id, quantity, note FROM orders WHERE quantity > 0", [orders])
    assert "CAST(kunde AS STRING)" in text
    assert "THEN CAST(quantity AS DOUBLE) END AS quantity" in text
    assert "CAST(note AS STRING) AS note" in text
    assert "    FROM lake.lines\n)" in text
    assert "unit_price" not in text
    (line,) = refused("SELECT note,\n  f FROM orders", [orders])
    assert line.startswith("attributes.sql:2: `f`, which no table here has")


def test_dates_in_text_are_refused_unless_the_source_has_text_alone() -> None:
    sql = "SELECT customer_id, ordered_at FROM orders"
    columns = {"customer_id": "VARCHAR", "ordered_at": "VARCHAR"}
    (line,) = refused(sql, [TableRead(name="orders", relation="orders", columns=columns)])
    assert "`ordered_at`, which no table here has" in line
    csv = TableRead(name="orders", relation="orders", columns=columns, text=True)
    assert "CAST(ordered_at AS TIMESTAMP_NTZ) AS ordered_at" in spark(sql, [csv])


def test_a_text_with_any_line_break_stays_one_text() -> None:
    text = spark("SELECT a FROM (SELECT 'x\n\u2028y' AS a FROM things)")
    assert "'x\\n\u2028y' AS a" in text


def test_an_optional_column_is_null_only_where_the_source_is_known_to_lack_it() -> None:
    sql = "SELECT braze_id FROM customers"
    known = TableRead(name="customers", relation="customers", columns={"customer_id": "VARCHAR"})
    assert "CAST(NULL AS STRING) AS braze_id" in spark(sql, [known])
    (line,) = refused(sql, [TableRead(name="customers", relation="customers")])
    assert "`braze_id`, which no table here has" in line
