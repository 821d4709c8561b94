"""The audience: the customers that are high value, active and contactable.

Each rule is named, and a customer who is left out is counted under the first rule that excluded
them, in this order. A campaign asks one more: that the customer belongs to a recipient group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from braze_pipeline.errors import AccountingError, AudienceEmpty, ConfigurationError, NotBuilt
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.sources.reach import condition
from braze_pipeline.sources.user_sql import reason
from braze_pipeline.storage.partitions import columns_of, replace_partition
from braze_pipeline.storage.warehouse import columns, family, literal, name_key, quote
from braze_pipeline.user_input import did_you_mean

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import AudienceRules, TemplateSettings

TABLE = "audience"
ATTRIBUTES = "customer_attributes"
RULES: Final = ("high_value", "active", "contactable")
"""In the order in which they are asked."""
VALUE: Final = "lifetime_value"
PREDICTED: Final = "predicted_clv"
RECENCY: Final = "l12m_recency"
CHANNELS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"email": ("email_opted_in", "email"), "sms": ("sms_opted_in", "phone")}
)
"""Opt-in and address of each channel; columns of the customer attributes table, like the above."""
RECIPIENTS: Final = "recipient_group"
"""The last rule of a campaign."""
EMPTY_AUDIENCE_FIX: Final = (
    "Look at the funnel of braze_audience: the first rule that leaves everybody out tells which "
    "threshold or source table is wrong; mend it and run the day again in full."
)
"""What to do about an empty audience."""


class Compared(NamedTuple):
    """What a column must be that a rule compares.

    Attributes:
        words: For messages.
        families: The families of DuckDB's types that are it.
        conversion: How another column may become one, in SQL.
    """

    words: str
    families: frozenset[str]
    conversion: str


_NUMBER: Final = Compared(
    "a number", frozenset({"integer", "decimal", "double"}), "TRY_CAST({} AS DOUBLE)"
)
_FLAG: Final = Compared(
    "true or false", frozenset({"boolean"}), "lower({}) IN ('true', 'yes', '1')"
)


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """How many customers each rule left.

    Attributes:
        excluded: Customers by the first rule that excluded them, in the order of the rules.
        audience: Customers whom no rule excluded.
        groups: Recipient groups of a campaign, with their customers in the audience.
    """

    day: date
    customers: int
    excluded: dict[str, int]
    audience: int
    groups: dict[str, int]


def columns_read(rules: AudienceRules) -> dict[str, Compared | None]:
    """The columns that the rules read; None: whether it holds any text is all that counts."""
    read: dict[str, Compared | None] = {RECENCY: _NUMBER}
    value = rules.high_value
    if value.lifetime_value is not None or value.top_percent is not None:
        read[VALUE] = _NUMBER
    if value.predicted_value is not None:
        read[PREDICTED] = _NUMBER
    for channel in rules.contactable.by:
        opted, address = CHANNELS[channel]
        read |= {address: None, opted: _FLAG}
    return read


def check_columns(con: duckdb.DuckDBPyConnection, t: TemplateSettings, rows: str) -> None:
    """Make sure that the rules can read what the brand's SQL gives: the query ``rows``.

    Raises:
        ConfigurationError: a column is missing, or of a type that its rule cannot compare.
    """
    there = {name_key(name): (name, kind) for name, kind in columns(con, rows)}
    for column, wanted in columns_read(t.audience).items():
        if column not in there:
            raise ConfigurationError(
                f"{t.attributes_sql} gives no column '{column}', which the audience of the "
                f"template {t.name!r} reads.{did_you_mean(column, there)}",
                fix=f"Select {column} there, or remove the rule that reads it from `audience:`.",
            )
        name, kind = there[column]
        if wanted is None or family(kind) in wanted.families:
            continue
        # A column of nothing but NULL has whatever type DuckDB gives it.
        if _number(con, f"SELECT count({quote(name)}) FROM ({rows})"):
            raise ConfigurationError(
                f"{t.attributes_sql} gives {name} as {kind}, and the audience of the template "
                f"{t.name!r} needs {wanted.words} there.",
                fix=f"Convert it there, such as `{wanted.conversion.format(name)} AS {name}`.",
            )


def build_audience(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    as_of: date,
    *,
    now: datetime | None = None,
) -> Funnel:
    """Judge every customer of a day, and replace that day in the table.

    Args:
        con: The warehouse.
        t: The template.
        as_of: A day that the customer attributes table has.
        now: When this is, for dropping old days; for tests.

    Raises:
        NotBuilt: the customer attributes table does not have the day.
        ConfigurationError: it lacks a column that a rule reads, or a recipient group's condition
            cannot be run.
        AccountingError: customers are not audience plus left out.
    """
    source = f"SELECT * FROM {t.table(ATTRIBUTES)} WHERE __as_of = DATE '{as_of.isoformat()}'"
    customers = (
        _number(con, f"SELECT count(*) FROM ({source})") if columns_of(con, t, ATTRIBUTES) else 0
    )
    if not customers:
        raise NotBuilt(
            f"The customer attributes table of template {t.name!r} has no customers of {as_of}.",
            fix="Materialize customer_attributes for this day first; if it did run, its SQL "
            "gave no row.",
        )
    groups = _groups(con, t, source)
    check_columns(con, t, source)
    rules = _rules(con, t, source)
    left_out = " ".join(
        f"WHEN NOT coalesce({condition}, false) THEN {literal(rule)}"
        for rule, condition in rules.items()
    )
    query = (
        f"SELECT {CUSTOMER}::VARCHAR AS customer_id, CASE {left_out} END "
        f"AS left_out_by, __groups AS groups FROM (SELECT *, {groups} AS __groups FROM ({source}))"
    )
    replace_partition(con, t, TABLE, as_of, query, now=now)
    return _counted(con, t, as_of, customers, tuple(rules))


def require_members(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> None:
    """Refuse a day whose audience is not there or is empty.

    To whoever compares with the ledger, both look as if everybody had left.

    Raises:
        NotBuilt: the audience of the day was not built.
        AudienceEmpty: it has nobody.
    """
    day = f"__as_of = DATE '{as_of.isoformat()}'"
    built = members = 0
    if columns_of(con, t, TABLE):
        table = t.table(TABLE)
        built = _number(con, f"SELECT count(*) FROM {table} WHERE {day}")
        members = _number(con, f"SELECT count_if(left_out_by IS NULL) FROM {table} WHERE {day}")
    if not built:
        raise NotBuilt(
            f"There is no audience of {as_of} for template {t.name!r}.",
            fix=f"Run {as_of} in full, from customer_attributes on; days before the last "
            f"{t.history_days} are not kept (`history_days`).",
        )
    if not members:
        raise AudienceEmpty(
            f"Nobody of {built:,} customers is in the audience of {as_of}.", fix=EMPTY_AUDIENCE_FIX
        )


def _rules(con: duckdb.DuckDBPyConnection, t: TemplateSettings, source: str) -> dict[str, str]:
    """Each rule as a condition; NULL does not pass."""
    reachable = [
        f"coalesce({quote(opted)} AND trim({quote(address)}::VARCHAR) <> '', false)"
        for opted, address in (CHANNELS[channel] for channel in t.audience.contactable.by)
    ]
    rules = {
        "high_value": _high_value(con, t, source),
        # Negative: an order after the day, which the SQL should not have seen.
        "active": f"({RECENCY} BETWEEN 0 AND {t.audience.active.within_days})",
        "contactable": f"({' OR '.join(reachable)})",
    }
    if t.kind == "campaign":
        rules[RECIPIENTS] = "len(__groups) > 0"
    return rules


def _high_value(con: duckdb.DuckDBPyConnection, t: TemplateSettings, source: str) -> str:
    """Any one of the thresholds that are set; with none, everyone."""
    rules = t.audience.high_value
    ways = []
    if rules.lifetime_value is not None:
        ways.append(f"{VALUE} >= {rules.lifetime_value!r}")
    if rules.top_percent is not None:
        # Of those who are worth anything: who never bought is not among the best, however few buy.
        worth = f"SELECT {VALUE} FROM ({source}) WHERE {VALUE} > 0"
        share = _number(con, f"SELECT count(*) FROM ({worth})") * rules.top_percent / 100
        best = math.ceil(round(share, 6))
        if best:
            # Whoever has as much as the last of the best is one of them.
            last = f"({worth} ORDER BY 1 DESC LIMIT 1 OFFSET {best - 1})"
            ways.append(f"{VALUE} >= {last}")
        else:
            ways.append("false")
    if rules.predicted_value is not None:
        ways.append(f"{PREDICTED} >= {rules.predicted_value!r}")
    return f"({' OR '.join(f'coalesce({way}, false)' for way in ways) or 'true'})"


def _groups(con: duckdb.DuckDBPyConnection, t: TemplateSettings, source: str) -> str:
    """The recipient groups a customer belongs to, as a list; what is NULL does not hold."""
    import duckdb

    listed = []
    for group in t.groups:
        holds = f"{condition(group.where)}::BOOLEAN"
        try:
            _number(con, f"SELECT count_if({holds}) FROM ({source})")
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise ConfigurationError(
                f"The condition of the recipient group {group.name!r} cannot be run: "
                f"{reason(error)}",
                fix="`where:` is a SQL condition over the columns of the customer attributes "
                "table.",
            ) from error
        listed.append(f"CASE WHEN {holds} THEN {literal(group.name)} END")
    return f"list_filter([{', '.join(listed)}]::VARCHAR[], lambda name: name IS NOT NULL)"


def _counted(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    as_of: date,
    customers: int,
    rules: tuple[str, ...],
) -> Funnel:
    of_day = f"FROM {t.table(TABLE)} WHERE __as_of = DATE '{as_of.isoformat()}'"
    counts: dict[str | None, int] = dict(
        con.execute(f"SELECT left_out_by, count(*) {of_day} GROUP BY ALL").fetchall()
    )
    if customers != sum(counts.values()):
        raise AccountingError(
            f"{customers:,} customers went into the audience of {as_of} and "
            f"{sum(counts.values()):,} came out.",
            fix="This is a defect; report it with these counts.",
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
        excluded={rule: counts.get(rule, 0) for rule in rules},
        audience=counts.get(None, 0),
        groups={group.name: members.get(group.name, 0) for group in t.groups},
    )


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0
