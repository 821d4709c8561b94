"""The audience: the customers that are high value, active and contactable.

Each rule is named, and a customer who is left out is counted under the first rule that excluded
them, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from braze_pipeline.core.daytables import replace_day
from braze_pipeline.core.warehouse import literal, quote
from braze_pipeline.errors import AccountingError, ConfigurationError

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import AudienceRules, TemplateSettings

TABLE = "audience"
RULES: Final = ("high_value", "active", "contactable")
"""In the order in which they are asked."""


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """How many customers each rule left.

    Attributes:
        left_out: Customers by the first rule that excluded them, in the order of the rules.
        audience: Customers whom no rule excluded.
        groups: Recipient groups of a campaign, with their customers.
    """

    day: date
    customers: int
    left_out: dict[str, int]
    audience: int
    groups: dict[str, int]

    @property
    def passing(self) -> dict[str, int]:
        """Customers left after each rule, cumulatively."""
        left = self.customers
        found = {}
        for rule, count in self.left_out.items():
            left -= count
            found[rule] = left
        return found


def build_audience(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> Funnel:
    """Judge every customer of a day, and replace that day in the table.

    Raises:
        ConfigurationError: the customer attributes table lacks a column that a rule reads, or a
            recipient group's condition cannot be run.
        AccountingError: customers are not audience plus left out.
    """
    source = f"SELECT * FROM {t.table('customer_attributes')} WHERE __as_of = DATE '{as_of}'"
    columns = {str(row[0]) for row in con.execute(f"DESCRIBE {source}").fetchall()}
    conditions = _conditions(t, columns)
    left_out = " ".join(
        f"WHEN NOT coalesce({conditions[rule]}, false) THEN {literal(rule)}" for rule in RULES
    )
    ranked = (
        f"SELECT *, cume_dist() OVER (ORDER BY {quote(t.audience.value_column)} NULLS FIRST) "
        f"AS __value_rank FROM ({source})"
    )
    query = (
        f"SELECT {quote(t.customer_column)}::VARCHAR AS customer_id, CASE {left_out} END "
        f"AS left_out_by, {_groups(con, t, source)} AS groups FROM ({ranked})"
    )
    replace_day(con, t, TABLE, as_of, query)
    return _count(con, t, as_of)


def _conditions(t: TemplateSettings, columns: set[str]) -> dict[str, str]:
    a = t.audience
    valued = []
    if a.min_lifetime_value is not None:
        valued.append(f"{_column(t, a.value_column, columns)} >= {a.min_lifetime_value!r}")
    if a.top_percent is not None:
        # Those who never bought are not among the best, however few buy.
        valued.append(
            f"(__value_rank > {1 - a.top_percent / 100!r} "
            f"AND {_column(t, a.value_column, columns)} > 0)"
        )
    if a.min_predicted_value is not None:
        valued.append(f"{_column(t, a.predicted_column, columns)} >= {a.min_predicted_value!r}")
    recency = _column(t, a.recency_column, columns)
    return {
        "high_value": " OR ".join(f"coalesce({one}, false)" for one in valued) or "false",
        "active": f"{recency} BETWEEN 0 AND {a.active_within_days}",
        "contactable": " OR ".join(_reachable(t, a, columns)),
    }


def _reachable(t: TemplateSettings, a: AudienceRules, columns: set[str]) -> list[str]:
    """Opted in *and* with an address, for each channel."""
    pairs = {
        "email": (a.email_opt_in_column, a.email_column),
        "sms": (a.sms_opt_in_column, a.phone_column),
    }
    return [
        f"coalesce({_column(t, opted, columns)} AND "
        f"nullif(trim({_column(t, address, columns)}::VARCHAR), '') IS NOT NULL, false)"
        for opted, address in (pairs[channel] for channel in a.channels)
    ]


def _column(t: TemplateSettings, name: str, columns: set[str]) -> str:
    if name not in columns:
        raise ConfigurationError(
            f"The audience reads the column {name}, which {t.attributes_sql} does not give.",
            fix=f"Select {name} there, or take the rule that reads it out of `audience:`.",
        )
    return quote(name)


def _groups(con: duckdb.DuckDBPyConnection, t: TemplateSettings, source: str) -> str:
    """The recipient groups a customer belongs to, as a list; NULL conditions do not hold."""
    import duckdb

    for group in t.groups:
        try:
            con.execute(f"EXPLAIN SELECT ({group.where})::BOOLEAN FROM ({source})")
        except duckdb.Error as error:
            raise ConfigurationError(
                f"The condition of the recipient group {group.name!r} cannot be run: {group.where}",
                fix="It is a SQL condition over the columns of the customer attributes table.",
            ) from error
    listed = ", ".join(
        f"CASE WHEN ({group.where}) THEN {literal(group.name)} END" for group in t.groups
    )
    return f"list_filter([{listed}]::VARCHAR[], x -> x IS NOT NULL)"


def _count(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> Funnel:
    rows = con.execute(
        f"SELECT left_out_by, count(*) FROM {t.table(TABLE)} WHERE __as_of = ? GROUP BY ALL",
        [as_of],
    ).fetchall()
    counts = {rule: int(count) for rule, count in rows}
    source = con.execute(
        f"SELECT count(*) FROM {t.table('customer_attributes')} WHERE __as_of = ?", [as_of]
    ).fetchone()
    customers = int(source[0]) if source else 0
    if customers != sum(counts.values()):
        raise AccountingError(
            f"{customers:,} customers went into the audience of {as_of} and "
            f"{sum(counts.values()):,} came out.",
            fix="This is a defect; report it with these counts.",
        )
    groups = con.execute(
        f"SELECT g, count(*) FROM (SELECT unnest(groups) AS g FROM {t.table(TABLE)} "
        "WHERE __as_of = ? AND left_out_by IS NULL) GROUP BY g ORDER BY g",
        [as_of],
    ).fetchall()
    return Funnel(
        day=as_of,
        customers=customers,
        left_out={rule: counts.get(rule, 0) for rule in RULES},
        audience=counts.get(None, 0),
        groups={str(name): int(count) for name, count in groups},
    )
