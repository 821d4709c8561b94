"""The customer attributes table: one row per customer and day, as the brand's SQL defines it.

What belongs here: running that SQL for a day, and checking that its result is what later steps rely
on (the columns that the template reads, one row per customer, an id in each row). How the SQL is
kept to the source tables is in `sources`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from braze_pipeline.attributes import current_state
from braze_pipeline.attributes.result import (
    AttributesBuild,
    AttributesSummary,
    require_ids,
    require_names,
)
from braze_pipeline.attributes.run_in import TABLE, build_in_warehouse
from braze_pipeline.audience.build import check_columns
from braze_pipeline.audience.build import columns_read as audience_columns
from braze_pipeline.audience.elsewhere import replace_counts
from braze_pipeline.audience.rules import conditions_of
from braze_pipeline.errors import SourceChanged
from braze_pipeline.predicted_value.step import show_predictions, with_predictions
from braze_pipeline.predicted_value.stored_fits import computed, drop_unused
from braze_pipeline.profiles import identifier
from braze_pipeline.profiles.staging import columns_read
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.sources import BUILT, attach_built, sealed, user_sql
from braze_pipeline.sources.remote.extract import extracted
from braze_pipeline.storage import machine
from braze_pipeline.storage.partitions import replace_partition
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import name_key, quote
from braze_pipeline.storage.warehouse import Warehouse, columns, named_rows, single_row

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings, TemplateSettings


def build_attributes(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    now: datetime | None = None,
    run_id: str = "manual",
    environ: Mapping[str, str] = os.environ,
    log: Callable[[str], None] = lambda _: None,
) -> AttributesBuild:
    """Run the template's SQL for each day, and replace these days in the table.

    The SQL runs in a database of its own, which has the sources that it reads and nothing else; the
    warehouse is open only while the results are copied into it.

    Args:
        warehouse: Where the table is.
        t: The template.
        days: The days whose end the attributes describe.
        now: The current time (default: the clock), for dropping old days and for the age of the
            sources.
        run_id: The first run of a chain of reruns: they all read the same extracts.
        environ: The environment, with the addresses of the connections.
        log: Called with what DuckDB may use, and with lines about the progress of reading.

    Raises:
        SourceError: see ``attach_sources`` and ``remote.extract``.
        ConfigurationError: the SQL cannot be run, reads more than the sources, lacks a column that
            the template reads, or gives no other day than the newest; names the file and the line.
        MissingRequiredField: the SQL, or the configuration, gives no user identifier.
        ContractBroken: a customer has two rows, or a row has no customer.
        SourceChanged: no order line belongs to any customer: the ids are written differently.
        NotBuilt: the predictions of a day are computed, and were not made yet.
    """
    identifier.require_configured(t)
    log(machine.limits(environ).sentence())
    if t.run_in is not None:
        return build_in_warehouse(
            warehouse, t, days, now=now, run_id=run_id, environ=environ, log=log
        )
    extract = warehouse.extracts / t.db_schema / run_id
    with warehouse.scratch() as scratch:
        read, fit_days = with_predictions(warehouse, t, days, sources_read(t), scratch)
        with (
            extracted(read, extract, environ=environ, log=log) as (local, extracts),
            sealed(local, time_zone=t.time_zone, scratch=scratch) as (con, sources),
        ):
            summaries = []
            for day in days:
                if fit_days:
                    show_predictions(con, scratch, fit_days[day])
                summaries.append(compute(con, t, day, result_of(day), now=now))
        with warehouse.connect() as con:
            attach_built(con, scratch)
            for day in days:
                store(con, t, day, result_of(day), now=now)
            drop_unused(con, t)
    return AttributesBuild(sources, summaries, extracts)


def sources_read(t: TemplateSettings) -> tuple[SourceSettings, ...]:
    """The sources that the template's SQL reads: all of them, where it cannot be parsed.

    Where its predictions are computed, also ``orders``: they are checked each night, because the
    next fit relies on them.
    """
    import duckdb

    with duckdb.connect() as con:
        read = user_sql.tables_read(con, t.attributes_sql)
    return tuple(
        s
        for s in t.sources
        if read is None or name_key(s.name) in read or (s.name == "orders" and computed(t))
    )


def result_of(day: date) -> str:
    """The table in the database ``BUILT`` that holds the result of a day."""
    return f"{BUILT}.{quote(day.isoformat())}"


def compute(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    day: date,
    relation: str,
    *,
    now: datetime | None = None,
) -> AttributesSummary:
    """Make the table ``relation`` of one day's result, on a connection that has the sources."""
    now = now or datetime.now(UTC)
    counts = _count_lines(con, day, now)
    tables = [source.name for source in t.sources]
    needed = [*columns_read(t), *audience_columns(t.audience)]
    for where in conditions_of(t).values():
        needed += re.findall(r"\w+", where)
    if not user_sql.create_table(
        con, t.attributes_sql, relation, day, tables=tables, needed=needed
    ):
        current_state.require_newest(t, day, now)
    described = columns(con, relation)
    names = [name for name, _ in described]
    require_names(t, names)
    identifier.require_exact(t, dict(described))
    check_columns(con, t, f"FROM {relation}")
    rows, nulls = _check_rows(con, t, names, relation)
    return AttributesSummary(day=day, rows=rows, columns=described, nulls=nulls, **counts)


def store(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    day: date,
    relation: str,
    *,
    now: datetime | None = None,
) -> None:
    """Replace a day of the customer attributes table with the rows of ``relation``."""
    query = f"SELECT * REPLACE ({CUSTOMER}::VARCHAR AS {CUSTOMER}) FROM {relation}"
    replace_partition(
        con, t, TABLE, day, query, now=now, then=lambda _: replace_counts(con, t, day, None)
    )


def _check_rows(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, names: list[str], relation: str
) -> tuple[int, dict[str, int]]:
    counts = ", ".join(f"count({quote(name)})" for name in names)
    rows, with_id, distinct, *filled = single_row(
        con,
        f"SELECT count(*), count({CUSTOMER}), count(DISTINCT {CUSTOMER}::VARCHAR), {counts} "
        f"FROM {relation}",
    )
    require_ids(t, rows=rows, with_id=with_id, distinct=distinct)
    return rows, {name: rows - count for name, count in zip(names, filled, strict=True)}


def _count_lines(con: duckdb.DuckDBPyConnection, as_of: date, now: datetime) -> dict[str, Any]:
    """Where every order line went, in one pass: the fields of ``AttributesSummary``."""
    import duckdb

    # Local midnight is at most fourteen hours away from midnight in UTC.
    values = {"day": as_of, "tomorrow": now.date() + timedelta(days=2)}
    listed = con.execute("SELECT table_name FROM information_schema.tables").fetchall()
    attached = {name for (name,) in listed}
    found: dict[str, Any] = {}
    try:
        for name, tables in (("order_lines", {"orders", "customers"}), ("consents", {"consents"})):
            if tables <= attached:
                query = read_sql("attributes", name)
                used = {name: value for name, value in values.items() if f"${name}" in query}
                found |= named_rows(con, query, used)[0]
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.IOException) as error:
        raise user_sql.damaged(error) from error
    unknown = found.get("lines_of_unknown_customers", 0)
    if 0 < unknown == found["lines"] - found["lines_without_customer"]:
        raise SourceChanged(
            f"None of the {unknown:,} order lines with a customer matches a row of customers: the "
            "two tables write customer_id differently.",
            fix="Write customer_id the same way in both tables (leading zeros, prefixes, spaces).",
        )
    return found
