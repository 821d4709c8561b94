"""A shop of any size: the sample's real baskets with other customers, the same rows every time.

Every order has the moment of a real order, in the order of time, so weekdays and seasons are real.
Its lines are those of a real basket of at most eight lines, mostly one of three that the customer buys
again and again. A few customers order a lot, most order little or nothing: the orders of the n-th
customer fall with the square root of n. A quarter of the lines have no customer, as in the sample.
Names, cities, countries and birth dates are the sample's, messy as they are; e-mails and telephone
numbers are each customer's own.

Everything is drawn with ``hash`` from the number of the row, so that the same version of DuckDB makes
the same rows, and streams to Parquet in bounded memory.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"
LAST = date(2011, 12, 9)
"""The sample's last day, a Friday. The two days after it have no orders of their own, and twelve
months before them there is a Saturday without orders: on the last, nothing changes."""

LINES = 10
"""Order lines for each customer."""

CHANGED = 100
"""On the second day, one customer in this many has a new order."""

_BASKETS = f"""
CREATE TEMP TABLE lines AS
SELECT dense_rank() OVER (ORDER BY begun, order_id) - 1 AS basket, *
FROM (
    SELECT order_id, min(ordered_at) OVER one AS begun, customer_id IS NULL AS anonymous, product_id,
        product_name, quantity, unit_price, count(*) OVER one AS size
    FROM '{DATA}/orders.parquet' WINDOW one AS (PARTITION BY order_id)
) WHERE size <= 8;
CREATE TEMP TABLE baskets AS
SELECT basket, any_value(begun) AS begun, any_value(anonymous) AS anonymous,
    regexp_extract(any_value(order_id), '^[A-Z]') AS letter
FROM lines GROUP BY basket;
CREATE TEMP TABLE people AS SELECT *, row_number() OVER () - 1 AS n
FROM read_csv('{DATA}/customers.csv', all_varchar = true);
CREATE TEMP TABLE consents AS SELECT n, channel, opted_in, changed_at
FROM '{DATA}/consents.csv' JOIN people USING (customer_id);
CREATE TEMP TABLE predictions AS
SELECT n, predicted_on, round(greatest(0, sum(quantity * unit_price)), 2) AS predicted_clv
FROM '{DATA}/orders.parquet' JOIN people USING (customer_id), unnest(
    [DATE '2011-09-01', DATE '2011-10-01', DATE '2011-11-01', DATE '2011-12-01']
) AS days(predicted_on)
WHERE ordered_at < predicted_on AND ordered_at >= predicted_on - INTERVAL 1 YEAR AND hash(n) % 10 > 0
GROUP BY ALL;
"""

# 7919 is prime, so that those who order a lot are anywhere in the list of customers.
_CUSTOMER = "(100000 + ({n} * 7919 + 13) % {customers})::VARCHAR"

_CUSTOMERS = """
SELECT {id} AS customer_id, given_name, surname,
    regexp_replace(email, '[0-9]*( *@|$)', r.i::VARCHAR || '\\1') AS email,
    CASE WHEN len(phone) > 9 THEN phone[:-7] || lpad((hash(r.i, 1) % 1000000)::VARCHAR, 6, '0')
        ELSE phone END AS phone,
    city, country, birthdate, gender, loyalty_status, language
FROM range({customers}) AS r(i) JOIN people ON n = hash(r.i) % {people}
"""
_ORDERS = """
SELECT t.letter || (500000 + o.n) AS order_id, IF(t.anonymous, NULL, {id}) AS customer_id,
    t.begun AS ordered_at, l.product_id, l.product_name, l.quantity, l.unit_price
FROM (
    SELECT n, n * {baskets} // {orders} AS moment,
        least((pow((hash(n, 3) % 1000000007) / 1000000007, 2) * {customers})::BIGINT, {customers} - 1)
            AS c,
        IF(hash(n, 4) % 4 > 0, hash(c, hash(n, 5) % 3), hash(n, 6)) % {baskets} AS content
    FROM range({orders}) AS r(n)
) AS o
JOIN baskets AS t ON t.basket = o.moment
JOIN lines AS l ON l.basket = o.content
"""
# On the second day: one order each of every hundredth customer.
_NEW_ORDERS = """
SELECT (500000 + {orders} + o.n)::VARCHAR AS order_id, {id} AS customer_id,
    TIMESTAMP '{day} 08:00:00' + INTERVAL (o.n % 36000) SECOND AS ordered_at,
    l.product_id, l.product_name, l.quantity, l.unit_price
FROM (
    SELECT n, n * {changed} AS c, hash(n, 7) % {baskets} AS content
    FROM range({customers} // {changed}) AS r(n)
) AS o
JOIN lines AS l ON l.basket = o.content
"""
_CONSENTS = """
SELECT {id} AS customer_id, channel, opted_in, changed_at
FROM range({customers}) AS r(i) JOIN consents ON n = hash(r.i) % {people}
"""
# The sample's customers have 136 lines each, and these have 10.
_PREDICTIONS = """
SELECT {id} AS customer_id, predicted_on, round(predicted_clv * (hash(r.i, 2) % 1000) / 1500, 2)
    AS predicted_clv
FROM range({customers}) AS r(i) JOIN predictions ON n = hash(r.i) % {people}
"""


def make(folder: Path, customers: int) -> dict[str, Any]:
    """The tables of the first day, in ``folder``."""
    with _connect(folder) as con:
        numbers = _numbers(con, customers)
        return {
            "lines": _write(con, folder / "orders" / "1.parquet", _ORDERS, numbers, "o.c"),
            "customers": _write(con, folder / "customers.parquet", _CUSTOMERS, numbers, "r.i"),
            "consents": _write(con, folder / "consents.parquet", _CONSENTS, numbers, "r.i"),
            "predictions": _write(con, folder / "predictions.parquet", _PREDICTIONS, numbers, "r.i"),
        }  # fmt: skip


def add_orders(folder: Path, customers: int, day: date) -> dict[str, Any]:
    """The orders of the second day, as one more file."""
    with _connect(folder) as con:
        numbers = _numbers(con, customers) | {"day": day, "changed": CHANGED}
        file = folder / "orders" / "2.parquet"
        return {"lines": _write(con, file, _NEW_ORDERS, numbers, "o.c")}


def _connect(folder: Path) -> Any:
    import duckdb

    (folder / "orders").mkdir(parents=True, exist_ok=True)
    con = duckdb.connect()
    con.execute(f"SET temp_directory = '{folder}/spilt'; SET memory_limit = '2GB'")
    con.execute(_BASKETS)
    return con


def _numbers(con: Any, customers: int) -> dict[str, Any]:
    baskets, lines = con.execute("SELECT max(basket) + 1, count(*) FROM lines").fetchone()
    (people,) = con.execute("SELECT count(*) FROM people").fetchone()
    return {
        "customers": customers,
        "orders": round(LINES * customers * baskets / lines),
        "baskets": baskets,
        "people": people,
    }


def _write(con: Any, file: Path, query: str, numbers: dict[str, Any], number: str) -> int:
    id_ = _CUSTOMER.format(n=number, **numbers)
    sql = query.format(id=id_, **numbers)
    (rows,) = con.execute(f"COPY ({sql}) TO '{file}' (COMPRESSION zstd)").fetchone()
    return int(rows)
