"""The source tables with a typed contract, and their columns: data for the loader and the docs.

How a column is brought to its type is in `readings`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Final, Literal

ColumnType = Literal["VARCHAR", "TIMESTAMP", "DATE", "DOUBLE", "BOOLEAN"]


@dataclass(frozen=True)
class SourceColumn:
    """A column that a source table has, or may have.

    Attributes:
        name: Its name in the view; a template may map another column to it.
        type: Its DuckDB type in the view; ``VARCHAR`` keeps messy text as it is.
        optional: NULL where the source does not have it.
        identifier: Blank text is no value.
        word: Case and surrounding spaces do not matter.
    """

    name: str
    type: ColumnType = "VARCHAR"
    _: KW_ONLY
    optional: bool = False
    identifier: bool = False
    word: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A source table.

    Attributes:
        columns: In order; further columns of the source pass through.
        key: The column that must have a value of its own in each row.
        dated_by: The column that shows how new the table is.
    """

    columns: tuple[SourceColumn, ...]
    key: str | None = None
    dated_by: str | None = None


_CUSTOMER = SourceColumn("customer_id", identifier=True)

TABLES: Final[dict[str, SourceTable]] = {
    "customers": SourceTable(
        key="customer_id",
        columns=(
            _CUSTOMER,
            # The birthdate too is text: real tables have dates in many formats, and `profiles`
            # reads them all.
            *map(SourceColumn, ("given_name", "surname", "email", "phone", "city", "country")),
            *map(SourceColumn, ("birthdate", "gender", "loyalty_status")),
            SourceColumn("braze_id", identifier=True, optional=True),
            SourceColumn("language", optional=True),
            SourceColumn("time_zone", optional=True),
        ),
    ),
    "orders": SourceTable(
        dated_by="ordered_at",
        columns=(
            SourceColumn("order_id", identifier=True),
            _CUSTOMER,
            SourceColumn("ordered_at", "TIMESTAMP"),
            SourceColumn("product_id"),
            SourceColumn("product_name"),
            SourceColumn("quantity", "DOUBLE"),
            SourceColumn("unit_price", "DOUBLE"),
        ),
    ),
    "consents": SourceTable(
        dated_by="changed_at",
        columns=(
            _CUSTOMER,
            SourceColumn("channel", word=True),
            SourceColumn("opted_in", "BOOLEAN"),
            SourceColumn("changed_at", "TIMESTAMP"),
        ),
    ),
    "predictions": SourceTable(
        dated_by="predicted_on",
        columns=(
            _CUSTOMER,
            SourceColumn("predicted_on", "DATE"),
            SourceColumn("predicted_clv", "DOUBLE"),
            # What `predicted_value` gives besides; a table of the brand's own may not have them.
            SourceColumn("expected_orders", "DOUBLE", optional=True),
            SourceColumn("expected_order_value", "DOUBLE", optional=True),
            SourceColumn("probability_active", "DOUBLE", optional=True),
            SourceColumn("predicted_band", optional=True),
            SourceColumn("fit_id", optional=True),
        ),
    ),
}
"""The source tables by name."""


def contract_of(name: str) -> SourceTable:
    """What the pipeline knows of a table: nothing, for one that only the brand's SQL reads."""
    return TABLES.get(name, SourceTable(columns=()))
