"""The customer attributes table: one row per customer and as-of date, as the user's SQL defines it.

The SQL file is the user's; what is checked here is the contract with everything downstream: the
columns that the template sends are there, and there is one row per customer, with an id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from braze_pipeline.audience.build import check_columns
from braze_pipeline.errors import ConfigurationError, ContractBroken, SourceChanged
from braze_pipeline.profiles import identifier
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.sources import BUILT, SourceInfo, result_file, sealed, user_sql
from braze_pipeline.storage.partitions import SchemaChange, replace_partition
from braze_pipeline.storage.warehouse import OURS, Warehouse, columns, literal, name_key, quote
from braze_pipeline.user_input import did_you_mean

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE = "customer_attributes"

_LINES = """
SELECT
    count_if(o.ordered_at < $day + INTERVAL 1 DAY),
    count_if(o.ordered_at < $day + INTERVAL 1 DAY AND o.customer_id IS NULL),
    count_if(
        o.ordered_at < $day + INTERVAL 1 DAY
        AND o.customer_id IS NOT NULL AND c.customer_id IS NULL
    ),
    count_if(
        o.order_id IS NULL OR o.ordered_at IS NULL OR o.quantity IS NULL OR o.unit_price IS NULL
    ),
    count_if(o.ordered_at >= $day + INTERVAL 1 DAY),
    -- A date that has not come yet is a slip of the pen, and does not make the table new.
    (max(o.ordered_at) FILTER (o.ordered_at < $tomorrow))::DATE,
    (SELECT max(changed_at) FILTER (changed_at < $tomorrow) FROM consents)::DATE
FROM orders AS o
LEFT JOIN customers AS c ON c.customer_id = o.customer_id
"""


@dataclass(frozen=True, kw_only=True)
class AttributesSummary:
    """What a build of one day made.

    Attributes:
        columns: Name and DuckDB type of each column of the user's SQL.
        nulls: Rows without a value, by column.
        lines: Order lines up to the end of the day.
        lines_without_customer: Of these, those that belong to nobody.
        lines_of_unknown_customers: Of these, those whose customer is not in ``customers``.
        lines_incomplete: Order lines without an order, date, quantity or price.
        lines_after: Order lines after the day, which were not used.
        newest_order: The day of the newest order, of all that are there; None for no order.
        newest_consent: The day of the newest change of consent, likewise.
        schema_change: How the table's columns changed.
    """

    day: date
    rows: int
    columns: tuple[tuple[str, str], ...]
    nulls: Mapping[str, int]
    lines: int
    lines_without_customer: int
    lines_of_unknown_customers: int
    lines_incomplete: int
    lines_after: int
    newest_order: date | None
    newest_consent: date | None
    schema_change: SchemaChange


@dataclass(frozen=True)
class _Lines:
    """Counts of order lines; see ``AttributesSummary``."""

    used: int
    without_customer: int
    of_unknown: int
    incomplete: int
    after: int
    newest_order: date | None
    newest_consent: date | None


@dataclass(frozen=True)
class Computed:
    """One day of the customer attributes table, not yet in it; see ``AttributesSummary``.

    Attributes:
        relation: Where its rows are.
    """

    day: date
    relation: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    nulls: Mapping[str, int]
    lines: _Lines


def build_attributes(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    now: datetime | None = None,
) -> tuple[tuple[SourceInfo, ...], list[AttributesSummary]]:
    """Run the template's SQL for each day, and replace these days in the table.

    The SQL runs in a database of its own, which has the sources and nothing else; the warehouse is
    open only while the results are taken over.

    Args:
        warehouse: Where the table is.
        t: The template.
        days: The days whose end the attributes describe.
        now: When this is (the default), for dropping old days and telling how new the sources are.

    Raises:
        SourceError: see ``attach_sources``.
        ConfigurationError: the SQL cannot be run, reads more than the sources, or lacks a column
            that the template reads; names the file and the line.
        MissingRequiredField: the SQL, or the configuration, gives no user identifier.
        ContractBroken: a customer has two rows, or a row has no customer.
        SourceChanged: no order line belongs to any customer: the ids are written differently.
    """
    identifier.require_configured(t)
    with warehouse.scratch() as scratch:
        with sealed(t.sources, time_zone=t.time_zone, scratch=scratch) as (con, sources):
            computed = [
                compute(con, t, day, f"{BUILT}.{quote(day.isoformat())}", now=now) for day in days
            ]
        with warehouse.connect() as con:
            con.execute(f"ATTACH {literal(str(result_file(scratch)))} AS {BUILT} (READ_ONLY)")
            return sources, [keep(con, t, one, now=now) for one in computed]


def compute(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    day: date,
    relation: str,
    *,
    now: datetime | None = None,
) -> Computed:
    """Make a table of one day's result, on a connection that has the sources."""
    lines = _lines(con, day, now or datetime.now(UTC))
    tables = [source.name for source in t.sources]
    user_sql.create_table(con, t.attributes_sql, relation, day, tables=tables)
    found = columns(con, relation)
    names = [name for name, _ in found]
    _check_columns(t, names)
    check_columns(con, t, f"FROM {relation}")
    rows, nulls = _check_rows(con, t, names, relation)
    return Computed(day, relation, rows, found, nulls, lines)


def keep(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    computed: Computed,
    *,
    now: datetime | None = None,
) -> AttributesSummary:
    """Put a day's result into the customer attributes table, in the place of what was there."""
    schema_change = replace_partition(
        con,
        t,
        TABLE,
        computed.day,
        f"SELECT * REPLACE ({CUSTOMER}::VARCHAR AS {CUSTOMER}) FROM {computed.relation}",
        now=now,
    )
    lines = computed.lines
    return AttributesSummary(
        day=computed.day,
        rows=computed.rows,
        columns=computed.columns,
        nulls=computed.nulls,
        lines=lines.used,
        lines_without_customer=lines.without_customer,
        lines_of_unknown_customers=lines.of_unknown,
        lines_incomplete=lines.incomplete,
        lines_after=lines.after,
        newest_order=lines.newest_order,
        newest_consent=lines.newest_consent,
        schema_change=schema_change,
    )


def read_by(t: TemplateSettings) -> dict[str, str]:
    """The columns that a template reads beside those of its audience, each with what reads it."""
    found = {CUSTOMER: "the pipeline", t.identifier_column: "the user identifier"}
    for attribute in t.attributes:
        found[attribute.column] = f"the attribute {attribute.name!r}"
        if attribute.region_column:
            found[attribute.region_column] = f"the attribute {attribute.name!r}"
    return found


def _check_columns(t: TemplateSettings, names: Sequence[str]) -> None:
    there = {name_key(name): name for name in names}
    ours = sorted(name for name in there.values() if name.startswith(OURS))
    if ours:
        raise ConfigurationError(
            f"{t.attributes_sql} gives columns that begin with two underscores: {', '.join(ours)}. "
            "Such names are the pipeline's own.",
            fix="Give them another name (`AS`), or exclude them (`SELECT * EXCLUDE (name)`).",
        )
    identifier.require_column(t, names)
    for column, reader in read_by(t).items():
        if name_key(column) not in there:
            raise ConfigurationError(
                f"{t.attributes_sql} gives no column '{column}', which {reader} of the template "
                f"{t.name!r} reads.{did_you_mean(column, there.values())}",
                fix="Select it there, or take what reads it out of defs.yaml.",
            )


def _check_rows(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, names: list[str], relation: str
) -> tuple[int, dict[str, int]]:
    counts = ", ".join(f"count({quote(name)})" for name in names)
    row = con.execute(
        f"SELECT count(*), count({CUSTOMER}), count(DISTINCT {CUSTOMER}::VARCHAR), {counts} "
        f"FROM {relation}"
    ).fetchone()
    rows, with_id, distinct, *filled = row or (0, 0, 0)
    if rows and not with_id and name_key(t.identifier_column) == name_key(CUSTOMER):
        raise identifier.no_identifiers(t, rows)
    if with_id < rows:
        raise ContractBroken(
            f"{t.attributes_sql} gives {rows - with_id:,} rows without {CUSTOMER}.",
            fix="Leave them out with WHERE, or find out why the join made them.",
        )
    if distinct < rows:
        raise ContractBroken(
            f"{t.attributes_sql} gives {rows - distinct:,} rows too many: a customer has more than "
            "one.",
            fix="A join multiplies rows: group what you join by customer_id first.",
        )
    return int(rows), {name: rows - n for name, n in zip(names, filled, strict=True)}


def _lines(con: duckdb.DuckDBPyConnection, as_of: date, now: datetime) -> _Lines:
    """Where every order line went, in one pass."""
    import duckdb

    try:
        # Local midnight is anywhere up to fourteen hours off UTC's.
        tomorrow = now.date() + timedelta(days=2)
        row = con.execute(_LINES, {"day": as_of, "tomorrow": tomorrow}).fetchone()
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.IOException) as error:
        raise user_sql.damaged(error) from error
    lines = _Lines(*(row or (0, 0, 0, 0, 0, None, None)))
    if 0 < lines.of_unknown == lines.used - lines.without_customer:
        raise SourceChanged(
            f"None of the {lines.of_unknown:,} order lines with a customer belongs to a row of "
            "customers: their customer_id are written differently.",
            fix="Write customer_id alike in both tables (leading zeros, prefixes, spaces).",
        )
    return lines
