"""Makes the sample data: ``python -m scripts.sample_data --help``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random

import click
import duckdb

from braze_pipeline.storage.sql_text import literal
from scripts.sample_data.people import HEADER, Names, person

SEED = 20111209
LAST_DAY = date(2011, 12, 9)
PROSPECTS = 58
"""Customers who registered but never ordered; their numbers are above the real ones."""

_FILE = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--lines", type=_FILE, required=True, help="The invoice lines (Parquet).")
@click.option("--names", type=_FILE, required=True, help="Folder of the lists of names (CSV).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write.")
def make(lines: Path, names: Path, out: Path) -> None:
    """Make orders, customers and consents."""
    out.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        _orders(con, lines, out / "orders.parquet")
        buyers = _buyers(con, lines)
    random = Random(SEED)
    listed = Names(names)
    addresses: list[str] = []
    everyone = [(customer, country) for customer, country, _ in buyers]
    everyone += [(str(20000 + n), "United Kingdom") for n in range(1, PROSPECTS + 1)]
    _write(
        out / "customers.csv",
        HEADER,
        (person(random, customer, country, listed, addresses) for customer, country in everyone),
    )
    _write(
        out / "consents.csv",
        ("customer_id", "channel", "opted_in", "changed_at"),
        sorted(_consents(random, buyers), key=lambda row: row[3]),
    )


def _orders(con: duckdb.DuckDBPyConnection, lines: Path, out: Path) -> None:
    """Every real line, in our columns, sorted by time: a query up to a day skips row groups."""
    con.execute(
        "COPY (SELECT invoice AS order_id, customer_id::VARCHAR AS customer_id, "
        "invoiced_at AS ordered_at, stock_code AS product_id, description AS product_name, "
        f"quantity, unit_price_gbp AS unit_price FROM read_parquet({literal(str(lines))}) "
        "ORDER BY ordered_at, order_id, product_id, quantity, unit_price, product_name) "
        f"TO {literal(str(out))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19, "
        "ROW_GROUP_SIZE 262144)"
    )


Buyer = tuple[str, str, date]


def _buyers(con: duckdb.DuckDBPyConnection, lines: Path) -> list[Buyer]:
    """The real customers: number, country of their last invoice, first day."""
    return con.execute(
        "SELECT customer_id::VARCHAR, arg_max(country, (invoiced_at, invoice, country)), "
        f"min(invoiced_at)::DATE FROM read_parquet({literal(str(lines))}) "
        "WHERE customer_id IS NOT NULL GROUP BY customer_id ORDER BY customer_id"
    ).fetchall()


def _consents(random: Random, buyers: Iterable[Buyer]) -> Iterator[tuple[str, str, str, str]]:
    """Opt-ins around the first order; some are withdrawn, and some of those given again."""
    for customer, _, first in buyers:
        for channel, share in (("email", 0.72), ("sms", 0.35)):
            if random.random() > share:
                continue
            moment = datetime.combine(first, time(9)) + timedelta(
                days=random.randrange(30), seconds=random.randrange(36000)
            )
            opted_in = True
            while moment.date() <= LAST_DAY:
                yield customer, channel, str(opted_in).lower(), moment.isoformat(sep=" ")
                if random.random() > (0.15 if opted_in else 0.3):
                    break
                opted_in = not opted_in
                moment += timedelta(days=20 + random.randrange(300), seconds=random.randrange(9999))


def _write(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    make()
