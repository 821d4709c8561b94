"""Small source tables to load, as text and as SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.settings import SourceSettings
from braze_pipeline.sources import attach_sources

CSV = {
    "customers": (
        "customer_id,given_name,surname,email,phone,city,country,birthdate,gender,loyalty_status\n"
        "1,Ada,Lovelace,ada@example.com,,London,UK,1815-12-10,f,Gold\n"
        '2,"Ní Bhriain, Áine",,,020 7946 0000,,IE,31/02/1980,,\n'
    ),
    "orders": (
        "order_id,customer_id,ordered_at,product_id,product_name,quantity,unit_price\n"
        "A,1,2011-01-01 10:00:00,10001,BAG,2,1.25\n"
        "B,,2011-01-02 23:59:59,10002,CUP,1,3\n"
        "C1,2,2011-01-03,10001,BAG,-1,1.25\n"
    ),
    "consents": (
        "customer_id,channel,opted_in,changed_at\n"
        "1,email,true,2011-01-01 10:00:00\n"
        "1,SMS ,no,2011-01-01 10:00:00\n"
    ),
    "predictions": "customer_id,predicted_on,predicted_clv\n1,2011-01-01,12.5\n",
}
"""One CSV file a table."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of CSV sources."""
    for name, text in CSV.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def load(
    con: duckdb.DuckDBPyConnection, name: str, file: Path, **columns: str
) -> list[tuple[Any, ...]]:
    source = SourceSettings(name=name, path=file, columns=columns)
    attach_sources(con, [source], time_zone="Europe/London")
    rows = con.execute(f"SELECT * FROM {name}").fetchall()
    # Without the columns that only computed predictions have.
    return [row[:3] for row in rows] if name == "predictions" else rows
