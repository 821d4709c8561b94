"""Which source tables there are, and their columns: one place, read by the loader and the docs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ColumnType = Literal["VARCHAR", "TIMESTAMP", "DATE", "DOUBLE", "BOOLEAN"]


@dataclass(frozen=True, kw_only=True)
class SourceColumn:
    """A column that a source table has, or may have.

    Attributes:
        name: Our name for it; a template may map another.
        type: Its DuckDB type in our view; ``VARCHAR`` keeps messy text as it is.
        optional: NULL where the source lacks it.
        identifier: Blank is none.
        word: Case and surrounding spaces mean nothing.
    """

    name: str
    type: ColumnType = "VARCHAR"
    optional: bool = False
    identifier: bool = False
    word: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A source table.

    Attributes:
        columns: In order; further columns of the source pass through.
        key: The column that is there, and different, in each row.
        dated_by: The column that tells how new the table is.
    """

    columns: tuple[SourceColumn, ...]
    key: str | None = None
    dated_by: str | None = None


_CUSTOMER = SourceColumn(name="customer_id", identifier=True)

TABLES: Final[dict[str, SourceTable]] = {
    "customers": SourceTable(
        key="customer_id",
        columns=(
            _CUSTOMER,
            SourceColumn(name="given_name"),
            SourceColumn(name="surname"),
            SourceColumn(name="email"),
            SourceColumn(name="phone"),
            SourceColumn(name="city"),
            SourceColumn(name="country"),
            # Text: real tables hold dates in many forms, and the mapping reads them all.
            SourceColumn(name="birthdate"),
            SourceColumn(name="gender"),
            SourceColumn(name="loyalty_status"),
            SourceColumn(name="braze_id", identifier=True, optional=True),
            SourceColumn(name="language", optional=True),
            SourceColumn(name="time_zone", optional=True),
        ),
    ),
    "orders": SourceTable(
        dated_by="ordered_at",
        columns=(
            SourceColumn(name="order_id", identifier=True),
            _CUSTOMER,
            SourceColumn(name="ordered_at", type="TIMESTAMP"),
            SourceColumn(name="product_id"),
            SourceColumn(name="product_name"),
            SourceColumn(name="quantity", type="DOUBLE"),
            SourceColumn(name="unit_price", type="DOUBLE"),
        ),
    ),
    "consents": SourceTable(
        dated_by="changed_at",
        columns=(
            _CUSTOMER,
            SourceColumn(name="channel", word=True),
            SourceColumn(name="opted_in", type="BOOLEAN"),
            SourceColumn(name="changed_at", type="TIMESTAMP"),
        ),
    ),
    "predictions": SourceTable(
        dated_by="predicted_on",
        columns=(
            _CUSTOMER,
            SourceColumn(name="predicted_on", type="DATE"),
            SourceColumn(name="predicted_clv", type="DOUBLE"),
        ),
    ),
}
"""The source tables by name."""
