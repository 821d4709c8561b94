"""A made-up brand whose customers have ties, awkward decimals and times around midnight."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

DAY = date(2024, 3, 31)
"""Summer time begins in London: the day ends at 23:00 UTC."""

_TABLES = {
    "customers": """
        SELECT 'c' || i AS customer_id, 'Ann' AS given_name, 'Lee' AS surname,
            'ann' || i || '@example.com' AS email, NULL::VARCHAR AS phone, 'Leeds' AS city,
            'GB' AS country, '1980-01-02' AS birthdate, 'F' AS gender,
            CASE WHEN i % 3 = 0 THEN 'gold' END AS loyalty_status, NULL::VARCHAR AS language
        FROM range({n}) AS t(i)
    """,
    # The last customers have no order. Many values are equal, and some prices have half a penny.
    "orders": """
        SELECT
            CASE WHEN h % 29 = 0 THEN 'C' ELSE 'o' END || c || '-' || h % 7 AS order_id,
            'c' || c AS customer_id,
            TIMESTAMPTZ '2022-02-27 22:00:00+00' + to_days((h % 764)::INT)
                + to_minutes(h % 241) AS ordered_at,
            CASE WHEN h % 17 = 0 THEN 'POST' ELSE (h % 9)::VARCHAR END AS product_id,
            ['Mug', 'mug', 'Ärmel', 'Zebra', ' Mug\u00a0', '', 'Tee ☕'][1 + h % 7] AS product_name,
            (CASE WHEN h % 11 = 0 THEN -1 ELSE 1 END * (1 + h % 3))::INT AS quantity,
            [1.005, 0.125, 10.0, 10.0, 99.99, 0.0][1 + h % 6] AS unit_price
        FROM (
            SELECT i % greatest({n} - {n} // 10, 1) AS c, (hash(i) % 1000003)::BIGINT AS h
            FROM range({n} * 6) AS t(i)
        )
    """,
    "consents": """
        SELECT 'c' || (i // 4) AS customer_id, ['email', 'sms'][1 + i % 2] AS channel,
            [true, false, NULL][1 + (hash(i) % 3)::INT] AS opted_in,
            CASE WHEN hash(i) % 7 > 0 THEN
                TIMESTAMPTZ '2024-03-31 21:00:00+00' + to_hours((hash(i) % 4)::INT)
            END AS changed_at
        FROM range({n} * 4) AS t(i)
    """,
    "predictions": """
        SELECT 'c' || (i // 2) AS customer_id,
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
        for name, query in _TABLES.items():
            text = query.format(n=customers)
            con.execute(f"COPY ({text}) TO '{folder / name}.parquet'")
    return DAY
