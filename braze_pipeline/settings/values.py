"""The types of values, and the column that identifies a customer."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import JsonValue

PREDICTIONS: Final = "predictions"
"""The source table that computed predictions stand in for."""

CUSTOMER: Final = "customer_id"
"""The column of the customer attributes table that identifies the customer."""

Json = JsonValue


class ValueType(StrEnum):
    """The types a value can have in Braze, and the DuckDB type that carries each.

    Source: Braze docs, "Custom attribute data types".
    """

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    ARRAY = "array"
    OBJECT = "object"
    OBJECTS = "array_of_objects"

    @property
    def duckdb(self) -> str:
        """The DuckDB type of a profile column of this type.

        ``time`` is an instant in UTC. ``object`` and ``array_of_objects`` are canonical JSON text
        (keys sorted, no white space), so that equal values are equal strings.
        """
        return _DUCKDB_TYPES.get(self, "VARCHAR")


_DUCKDB_TYPES = {
    ValueType.INTEGER: "BIGINT",
    ValueType.FLOAT: "DOUBLE",
    ValueType.BOOLEAN: "BOOLEAN",
    ValueType.DATE: "DATE",
    ValueType.TIME: "TIMESTAMP",
    ValueType.ARRAY: "VARCHAR[]",
}
