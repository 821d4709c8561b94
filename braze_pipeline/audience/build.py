"""The audience: the customers that are high value, active and contactable.

What belongs here: the rules, and how many customers each of them excludes. A customer is counted
under the first rule that excludes them; a campaign has a last rule, that the customer belongs to a
recipient group. Changes of the audience from day to day are found by the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from braze_pipeline.audience.elsewhere import (
    ATTRIBUTES,
    GROUPS,
    CountedElsewhere,
    counted_elsewhere,
    excluded_elsewhere,
    rules_of,
)
from braze_pipeline.audience.rules import (
    CHANNELS,
    EXCLUDED_BY,
    PREDICTED,
    RECENCY,
    VALUE,
    groups_of_row,
    judged,
    rule_names,
)
from braze_pipeline.errors import AccountingError, AudienceEmpty, ConfigurationError, NotBuilt
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.sources.dialects import DUCKDB
from braze_pipeline.sources.reach import condition
from braze_pipeline.sources.user_sql import reason, require_columns
from braze_pipeline.storage.partitions import columns_of, replace_partition
from braze_pipeline.storage.sql_text import day_sql, family, name_key, quote
from braze_pipeline.storage.warehouse import columns, single_row

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import AudienceRules, TemplateSettings

TABLE = "audience"
EMPTY_AUDIENCE_FIX: Final = (
    "Look at the funnel of braze_audience: the first rule that excludes everybody shows which "
    "threshold or source table is wrong; fix it and run the day again in full."
)
"""What to do about an empty audience."""


class RequiredType(NamedTuple):
    """The type that a column must have for a rule to compare it.

    Attributes:
        words: The type in words, for messages.
        families: The families of DuckDB types that fit.
        conversion: How to convert another column to it, in SQL.
    """

    words: str
    families: frozenset[str]
    conversion: str


_NUMBER: Final = RequiredType(
    "a number", frozenset({"integer", "decimal", "double"}), "TRY_CAST({} AS DOUBLE)"
)
_FLAG: Final = RequiredType(
    "true or false", frozenset({"boolean"}), "lower({}) IN ('true', 'yes', '1')"
)


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """How many customers each rule excluded.

    Attributes:
        excluded: Customers by the first rule that excluded them, in the order of the rules.
        audience: Customers that no rule excluded.
        groups: The recipient groups of a campaign, with their number of customers in the audience.
    """

    day: date
    customers: int
    excluded: dict[str, int]
    audience: int
    groups: dict[str, int]


def columns_read(rules: AudienceRules) -> dict[str, RequiredType | None]:
    """The columns that the rules read, with their types; None where any text will do."""
    read: dict[str, RequiredType | None] = {}
    value = rules.high_value
    if "active" in rules.names:
        read[RECENCY] = _NUMBER
    if "high_value" in rules.names:
        if value.lifetime_value is not None or value.top_percent is not None:
            read[VALUE] = _NUMBER
        if value.predicted_value is not None:
            read[PREDICTED] = _NUMBER
    if "contactable" in rules.names:
        for channel in rules.contactable.by:
            opted_in, address = CHANNELS[channel]
            read |= {address: None, opted_in: _FLAG}
    return read


def check_columns(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, rows: str, *, empty: bool = False
) -> None:
    """Make sure that the rules can read what the brand's SQL gives: the query ``rows``.

    Args:
        con: Where the query can run.
        t: The template.
        rows: The query.
        empty: It has the columns alone: its rows are in a warehouse, which compares types itself.

    Raises:
        ConfigurationError: a column is missing, or of a type that its rule cannot compare.
    """
    given = {name_key(name): (name, type_) for name, type_ in columns(con, rows)}
    needed = columns_read(t.audience)
    require_columns(
        t, [name for name, _ in given.values()], dict.fromkeys(needed, "the audience (`audience:`)")
    )
    for column, required in needed.items():
        name, type_ = given[column]
        if required is None or family(type_) in required.families:
            continue
        # A column of nothing but NULL has whatever type DuckDB gives it.
        if empty or single_row(con, f"SELECT count({quote(name)}) FROM ({rows})")[0]:
            conversion = "CAST({} AS …)" if empty else required.conversion
            raise ConfigurationError(
                f"{t.attributes_sql} gives {name} as {type_}, but the audience of the template "
                f"{t.name!r} needs {required.words} there.",
                fix=f"Convert it there, such as `{conversion.format(name)} AS {name}`.",
            )


def build_audience(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    as_of: date,
    *,
    now: datetime | None = None,
) -> Funnel:
    """Apply the rules to every customer of a day, and replace that day in the table.

    Args:
        con: The warehouse.
        t: The template.
        as_of: A day that the customer attributes table has.
        now: The current time, for dropping old days; for tests.

    Raises:
        NotBuilt: the customer attributes table does not have the day.
        ConfigurationError: it lacks a column that a rule reads, or the condition of a recipient
            group cannot be run.
        AccountingError: the customers are not audience plus excluded.
    """
    counted = counted_elsewhere(con, t, as_of)
    if counted is not None or t.run_in is not None:
        return _take_over(con, t, as_of, counted, now=now)
    source = f"SELECT * FROM {t.table(ATTRIBUTES)} WHERE __as_of = {day_sql(as_of)}"
    customers = 0
    if columns_of(con, t, ATTRIBUTES):
        (customers,) = single_row(con, f"SELECT count(*) FROM ({source})")
    if not customers:
        raise NotBuilt(
            f"The customer attributes table of template {t.name!r} has no customers of {as_of}.",
            fix="If customer_attributes has run for this day, its SQL gave no rows: check its "
            "source tables (an empty one often means that an export failed) and its conditions. "
            "Otherwise materialize it first.",
        )
    check_columns(con, t, source)
    everyone = judged(t, f"({source})", DUCKDB, partial(_tried, con, source))
    query = (
        f"SELECT {CUSTOMER}::VARCHAR AS customer_id, {EXCLUDED_BY} AS left_out_by, "
        f"{groups_of_row(t)} AS groups FROM ({everyone})"
    )
    replace_partition(con, t, TABLE, as_of, query, now=now)
    return _funnel(con, t, as_of, customers)


def require_members(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> None:
    """Refuse a day whose audience is missing or empty.

    Compared with the ledger, both would look as if every customer had left the audience.

    Raises:
        NotBuilt: the audience of the day was not built.
        AudienceEmpty: nobody is in it.
    """
    built = members = 0
    if columns_of(con, t, TABLE):
        built, members = single_row(
            con,
            f"SELECT count(*), count_if(left_out_by IS NULL) FROM {t.table(TABLE)} "
            "WHERE __as_of = ?",
            [as_of],
        )
    built += sum(excluded_elsewhere(con, t, [as_of]).values())
    if not built:
        raise NotBuilt(
            f"There is no audience of {as_of} for template {t.name!r}.",
            fix=f"Run {as_of} in full, from customer_attributes on. Only the last {t.history_days} "
            "days are kept (`history_days`).",
        )
    if not members:
        raise AudienceEmpty(
            f"Nobody of {built:,} customers is in the audience of {as_of}.", fix=EMPTY_AUDIENCE_FIX
        )


def _take_over(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    as_of: date,
    counted: CountedElsewhere | None,
    *,
    now: datetime | None,
) -> Funnel:
    """The audience of a day whose rules a warehouse applied: all rows that came from there."""
    there = columns_of(con, t, ATTRIBUTES)
    grouped = t.kind != "campaign" or GROUPS in there
    if counted is None or not there or not grouped or counted.rules != rules_of(t):
        raise NotBuilt(
            f"The customer attributes of template {t.name!r} of {as_of} were not made with these "
            "rules for the audience: with `run_in`, they are applied where the SQL runs.",
            fix="Materialize customer_attributes for this day, and then the audience.",
        )
    groups = GROUPS if GROUPS in there else "[]"
    query = (
        f"SELECT {CUSTOMER}::VARCHAR AS customer_id, NULL::VARCHAR AS left_out_by, "
        f"{groups}::VARCHAR[] AS groups FROM {t.table(ATTRIBUTES)} "
        f"WHERE __as_of = {day_sql(as_of)}"
    )
    replace_partition(con, t, TABLE, as_of, query, now=now)
    return _funnel(con, t, as_of, counted.customers, counted.excluded)


def _tried(con: duckdb.DuckDBPyConnection, source: str, where: str, of: str) -> str:
    """A condition of the configuration, after it was run once over all rows.

    Raises:
        ConfigurationError: it cannot be run.
    """
    import duckdb

    holds = condition(where)
    try:
        single_row(con, f"SELECT count_if({holds}::BOOLEAN) FROM ({source})")
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        raise ConfigurationError(
            f"The condition of the {of} cannot be run: {reason(error)}",
            fix="Fix its `where:`, a SQL condition over the columns of the customer attributes "
            "table.",
        ) from error
    return holds


def _funnel(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    as_of: date,
    customers: int,
    elsewhere: Mapping[str, int] = MappingProxyType({}),
) -> Funnel:
    of_day = f"FROM {t.table(TABLE)} WHERE __as_of = {day_sql(as_of)}"
    counts: dict[str | None, int] = dict(
        con.execute(f"SELECT left_out_by, count(*) {of_day} GROUP BY ALL").fetchall()
    )
    for rule, number in elsewhere.items():
        counts[rule] = counts.get(rule, 0) + number
    if customers != sum(counts.values()):
        raise AccountingError(
            f"The audience of {as_of} was built from {customers:,} customers, but accounts for "
            f"{sum(counts.values()):,}.",
            fix="This is a defect: please report it with these counts.",
        )
    members = dict(
        con.execute(
            f"SELECT name, count(*) FROM (SELECT unnest(groups) AS name {of_day} "
            "AND left_out_by IS NULL) GROUP BY name"
        ).fetchall()
    )
    return Funnel(
        day=as_of,
        customers=customers,
        excluded={rule: counts.get(rule, 0) for rule in rule_names(t)},
        audience=counts.get(None, 0),
        groups={group.name: members.get(group.name, 0) for group in t.groups},
    )
