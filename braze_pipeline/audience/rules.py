"""The rules of the audience as SQL that DuckDB and the brand's warehouse both run.

What belongs here: each rule as a condition, in the SQL that all dialects share; what differs is in
`sources.dialects`. The names of columns are not quoted, so that each database reads them in the
case that it gives them itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from braze_pipeline.storage.sql_text import literal

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.sources.dialects import Dialect

VALUE: Final = "lifetime_value"
PREDICTED: Final = "predicted_clv"
RECENCY: Final = "l12m_recency"
CHANNELS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"email": ("email_opted_in", "email"), "sms": ("sms_opted_in", "phone")}
)
"""The columns with opt-in and address for each channel, in the customer attributes table."""
RECIPIENTS: Final = "recipient_group"
"""The last rule of a campaign."""
EXCLUDED_BY: Final = "__excluded_by"

Checked = Callable[[str, str], str]
"""A condition of the configuration, and what it belongs to, to a condition that is safe to use."""


def rule_names(t: TemplateSettings) -> tuple[str, ...]:
    """The rules that apply, in order."""
    return (*t.audience.names, *((RECIPIENTS,) if t.kind == "campaign" else ()))


def group_column(number: int) -> str:
    """The column that says whether a customer belongs to a recipient group."""
    return f"__group_{number}"


def groups_of_row(t: TemplateSettings) -> str:
    """The recipient groups of a customer, in DuckDB's SQL, over a row of ``judged``."""
    named = ", ".join(
        f"CASE WHEN {group_column(k)} THEN {literal(group.name)} END"
        for k, group in enumerate(t.groups)
    )
    return f"list_filter([{named}]::VARCHAR[], lambda name: name IS NOT NULL)"


def conditions_of(t: TemplateSettings) -> dict[str, str]:
    """The conditions that the configuration contains, by what they belong to, for messages."""
    own = {"audience": t.audience.where} if t.audience.where else {}
    return own | {f"recipient group {group.name!r}": group.where for group in t.groups}


def judged(t: TemplateSettings, rows: str, dialect: Dialect, checked: Checked) -> str:
    """A query with every customer of ``rows``, their groups, and the rule that excluded them first.

    Args:
        t: The template.
        rows: The customers: a table, or a query in parentheses.
        dialect: The dialect to write.
        checked: Makes a condition of the configuration safe to use.
    """
    groups = "".join(
        f", {_true(checked(group.where, f'recipient group {group.name!r}'))} AS {group_column(k)}"
        for k, group in enumerate(t.groups)
    )
    excluded = " ".join(
        f"WHEN NOT coalesce({_condition(t, rule, rows, dialect, checked)}, false) "
        f"THEN {literal(rule)}"
        for rule in rule_names(t)
    )
    decided = f"CASE {excluded} END" if excluded else f"CAST(NULL AS {dialect.text})"
    return f"SELECT g.*, {decided} AS {EXCLUDED_BY} FROM (SELECT a.*{groups} FROM {rows} AS a) AS g"


def _true(condition: str) -> str:
    """NULL counts as false."""
    return f"coalesce(CAST({condition} AS BOOLEAN), false)"


def _condition(
    t: TemplateSettings, rule: str, rows: str, dialect: Dialect, checked: Checked
) -> str:
    if rule == "high_value":
        return _high_value(t, rows)
    if rule == "active":
        # Negative would be an order after the day, which the SQL must not use.
        return f"({RECENCY} BETWEEN 0 AND {t.audience.active.within_days})"
    if rule == "contactable":
        channels = (CHANNELS[channel] for channel in t.audience.contactable.by)
        return " OR ".join(
            f"coalesce({opted_in} AND {dialect.filled.format(f'CAST({address} AS {dialect.text})')}"
            ", false)"
            for opted_in, address in channels
        )
    if rule == RECIPIENTS:
        return f"({' OR '.join(group_column(k) for k in range(len(t.groups))) or 'false'})"
    return _true(checked(t.audience.where or "", "audience"))


def _high_value(t: TemplateSettings, rows: str) -> str:
    """At least one of the thresholds that are set; everyone where none is set."""
    rules = t.audience.high_value
    conditions = []
    if rules.lifetime_value is not None:
        conditions.append(f"{VALUE} >= {rules.lifetime_value!r}")
    if rules.top_percent is not None:
        conditions.append(f"{VALUE} >= ({_least_of_the_best(rules.top_percent, rows)})")
    if rules.predicted_value is not None:
        conditions.append(f"{PREDICTED} >= {rules.predicted_value!r}")
    return f"({' OR '.join(f'coalesce({one}, false)' for one in conditions) or 'true'})"


def _least_of_the_best(percent: float, rows: str) -> str:
    """The value of the last of the best; NULL where nobody ever bought.

    The best are the percent, rounded up, of those with a positive value: a customer who never
    bought is not among the best. A customer with the same value as the last of them is one too.
    Whole numbers alone are multiplied, so that every database rounds alike.
    """
    share = Fraction(repr(percent)) / 100
    # Spark's rank is an INT, too small for the product.
    return (
        f"SELECT min({VALUE}) FROM (SELECT {VALUE}, "
        f"CAST(rank() OVER (ORDER BY {VALUE} DESC) AS BIGINT) AS place, "
        f"count(*) OVER () AS buyers FROM {rows} AS b WHERE {VALUE} > 0) AS c "
        f"WHERE (place - 1) * {share.denominator} < buyers * {share.numerator}"
    )
