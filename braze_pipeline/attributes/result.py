"""One day of the customer attributes table, wherever it was computed: what it is, and what it must
be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from braze_pipeline.errors import ConfigurationError, ContractBroken
from braze_pipeline.profiles import identifier
from braze_pipeline.profiles.staging import columns_read
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.sources import user_sql
from braze_pipeline.storage.sql_text import OURS, name_key
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.sources import SourceInfo
    from braze_pipeline.sources.remote.extract import Extract


@dataclass(frozen=True, kw_only=True)
class AttributesSummary:
    """One day of the customer attributes table.

    Attributes:
        columns: Name and DuckDB type of each column of the brand's SQL.
        nulls: Rows without a value, by column.
        lines: Order lines up to the end of the day; this and the next are None where the SQL does
            not read ``orders`` together with ``customers``.
        lines_without_customer: Of these, those without a customer id.
        lines_of_unknown_customers: Of these, those whose customer is not in ``customers``.
        lines_incomplete: Order lines up to the end of the day without an order, quantity or price,
            and all without a date.
        lines_after: Order lines after the day, which were not used.
        consents_without_date: Changes of consent without a date; None where the SQL does not read
            ``consents``.
        newest_order: The day of the newest order in the table, before or after the as-of date;
            None where there is no order.
        newest_consent: The day of the newest change of consent, likewise.
    """

    day: date
    rows: int
    columns: tuple[tuple[str, str], ...]
    nulls: Mapping[str, int]
    lines: int | None = None
    lines_without_customer: int | None = None
    lines_of_unknown_customers: int | None = None
    lines_incomplete: int | None = None
    lines_after: int | None = None
    consents_without_date: int | None = None
    newest_order: date | None = None
    newest_consent: date | None = None


class AttributesBuild(NamedTuple):
    """What a build read and made.

    Attributes:
        sources: The source tables that the SQL reads.
        summaries: Each day, in order.
        extracts: What was read from places that DuckDB does not read by itself, by source table.
    """

    sources: tuple[SourceInfo, ...]
    summaries: list[AttributesSummary]
    extracts: Mapping[str, Extract]


def require_names(t: TemplateSettings, names: Sequence[str]) -> None:
    """Refuse a result that lacks a column that the template reads, or has one of our own names.

    Raises:
        ConfigurationError, MissingRequiredField: names the column.
    """
    reserved = sorted(name for name in names if name.startswith(OURS))
    if reserved:
        raise ConfigurationError(
            f"{t.attributes_sql} has columns that begin with two underscores: "
            f"{', '.join(reserved)}. Such names are reserved for the pipeline.",
            fix="Rename them (`AS`), or exclude them (`SELECT * EXCLUDE (name)`).",
        )
    identifier.require_column(t, names)
    user_sql.require_columns(t, names, columns_read(t))


def require_ids(t: TemplateSettings, *, rows: int, with_id: int, distinct: int) -> None:
    """Refuse a result in which a customer has no id, or more than one row.

    Raises:
        ContractBroken, MissingRequiredField: says how many rows.
    """
    if rows and not with_id and name_key(t.identifier_column) == name_key(CUSTOMER):
        raise identifier.no_identifiers(t, rows)
    if with_id < rows:
        raise ContractBroken(
            f"{t.attributes_sql} gives {counted(rows - with_id, 'row')} without {CUSTOMER}.",
            fix="Exclude them with WHERE, or find the join that creates them.",
        )
    if distinct < rows:
        raise ContractBroken(
            f"{t.attributes_sql} gives {counted(rows - distinct, 'row')} too many: some "
            "customers have more than one.",
            fix=f"Find them: GROUP BY {CUSTOMER} HAVING count(*) > 1. If a join multiplies rows, "
            f"group the joined table by {CUSTOMER} first. If a source repeats customers, number "
            f"the rows of each by row_number() OVER (PARTITION BY {CUSTOMER} ORDER BY …) in a "
            "subquery, and keep the first.",
        )
