"""A made-up brand whose customers have ties, awkward decimals and times around midnight.

Some ids have spaces around them, which are a part of the id: the order lines of "c13" are not those
of "c13 ". Ids of spaces alone are none, and names that differ in the spaces around them are one.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

DAY = date(2024, 3, 31)
"""Summer time begins in London: the day ends at 23:00 UTC."""

_ID = """
    CREATE MACRO id(i) AS
        CASE i % 13 WHEN 0 THEN 'c' || i || ' ' WHEN 1 THEN '\u00a0c' || i ELSE 'c' || i END
"""
_TABLES = {
    "customers": """
        SELECT id(i) AS customer_id, 'Ann' AS given_name, 'Lee' AS surname,
            'ann' || i || '@example.com' AS email, NULL::VARCHAR AS phone, 'Leeds' AS city,
            'GB' AS country, '1980-01-02' AS birthdate, 'F' AS gender,
            CASE WHEN i % 3 = 0 THEN 'gold' END AS loyalty_status, NULL::VARCHAR AS language
        FROM range({n}) AS t(i)
    """,
    # The last customers have no order. Many values are equal, and some prices have half a penny.
    "orders": """
        SELECT
            CASE
                WHEN h % 31 = 0 THEN ['', ' ', '\u2003'][1 + h % 3]
                ELSE CASE WHEN h % 29 = 0 THEN 'C' ELSE 'o' END || c || '-' || h % 7
            END AS order_id,
            CASE h % 37
                WHEN 0 THEN ['', ' ', '\u00a0 '][1 + h % 3]
                WHEN 1 THEN 'c' || c
                ELSE id(c)
            END AS customer_id,
            TIMESTAMPTZ '2022-02-27 22:00:00+00' + to_days((h % 764)::INT)
                + to_minutes(h % 241) AS ordered_at,
            CASE WHEN h % 17 = 0 THEN 'POST' ELSE (h % 9)::VARCHAR END AS product_id,
            [
                'Mug', 'mug', 'Ärmel', 'Zebra', ' Mug\u00a0', '', 'Tee ☕', '\u3000Mug', 'Mug\t',
                'mug\n', 'Mug\u200b', '\u2003\u202fmug'
            ][1 + h % 12] AS product_name,
            (CASE WHEN h % 11 = 0 THEN -1 ELSE 1 END * (1 + h % 3))::INT AS quantity,
            [1.005, 0.125, 10.0, 10.0, 99.99, 0.0][1 + h % 6] AS unit_price
        FROM (
            SELECT i % greatest({n} - {n} // 10, 1) AS c, (hash(i) % 1000003)::BIGINT AS h
            FROM range({n} * 6) AS t(i)
        )
    """,
    "consents": """
        SELECT id(i // 4) AS customer_id,
            ['email', 'sms', ' Email\u00a0', 'SMS'][1 + i % 4] AS channel,
            [true, false, NULL][1 + (hash(i) % 3)::INT] AS opted_in,
            CASE WHEN hash(i) % 7 > 0 THEN
                TIMESTAMPTZ '2024-03-31 21:00:00+00' + to_hours((hash(i) % 4)::INT)
            END AS changed_at
        FROM range({n} * 4) AS t(i)
    """,
    "predictions": """
        SELECT id(i // 2) AS customer_id,
            DATE '2024-03-30' + (hash(i) % 3)::INT AS predicted_on,
            [10.5, 10.5, 0.1, NULL][1 + (hash(i) % 4)::INT] AS predicted_clv
        FROM range({n} * 2) AS t(i)
    """,
}


def brand_of_ties(folder: Path, customers: int) -> date:
    """Write its tables as Parquet files; the day to compute."""
    folder.mkdir()
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(_ID)
        for name, query in _TABLES.items():
            text = query.format(n=customers)
            con.execute(f"COPY ({text}) TO '{folder / name}.parquet'")
    return DAY
