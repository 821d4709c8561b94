"""What all rules share: what writes the parts, names and types, and what may be compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from braze_pipeline.sources.dialects import ZS
from braze_pipeline.storage.sql_text import family

if TYPE_CHECKING:
    from sqlglot import exp

SPACES: Final = "'" + "".join(f"\\u{ord(one):04x}" for one in ZS) + "'"
"""What DuckDB's ``trim`` removes, as text in Spark."""

DIGITS: Final = 38
"""The most that a DECIMAL has, in both."""

SCALARS: Final = frozenset(
    {"integer", "decimal", "double", "text", "boolean", "date", "timestamp", "instant"}
)
"""Families whose values both put in the same order."""
NUMBERS: Final = frozenset({"integer", "decimal", "double"})

_TYPES: Final[Mapping[str, str]] = {
    "TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INTEGER": "INT", "BIGINT": "BIGINT",
    "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "VARCHAR": "STRING", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP_NTZ", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}  # fmt: skip

LEVELS: Final[Mapping[str, int]] = {
    name: level
    for level, names in enumerate(
        ("Or", "And", "Not", "EQ NEQ GT GTE LT LTE Is In Between Like NullSafeEQ NullSafeNEQ",
         "DPipe", "Add Sub", "Mul Div IntDiv Mod"), 1
    )
    for name in names.split()
}  # fmt: skip

_FREE: Final = frozenset({"And", "Or", "DPipe"})


class SparkWriter(Protocol):
    """What writes the parts that a rule consists of."""

    def text(self, node: exp.Expr) -> str:
        """A part in Spark's SQL."""

    def type(self, node: exp.Expr) -> str:
        """Its type in DuckDB."""

    def family(self, node: exp.Expr) -> str:
        """The family of that type."""

    def refuse(self, node: exp.Expr, what: str, fix: str) -> str:
        """Note what stands in the way; the text that is returned is never used."""

    def unique(self, node: exp.Expr) -> bool:
        """Whether no two rows are equal in PARTITION BY and ORDER BY of a window."""


Rule = Callable[[SparkWriter, Any], str]


Aggregate = Callable[[SparkWriter, Any, str], str]


def spark_type(type_: str) -> str | None:
    """Spark's type for one of DuckDB's; None where there is none of the same values."""
    return type_ if family(type_) == "decimal" else _TYPES.get(type_)


def name_of(name: str, *, quoted: bool = False) -> str:
    """An identifier in Spark."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and not quoted
    return name if plain else f"`{name.replace('`', '``')}`"


def decimal_size(type_: str) -> tuple[int, int]:
    """Digits, and how many of them are behind the point."""
    digits, scale = type_[8:-1].split(",")
    return int(digits), int(scale)


def whole_number(node: exp.Expr) -> bool:
    """Whether it is a number with digits alone."""
    return (
        type(node).__name__ == "Literal"
        and not node.is_string
        and (re.fullmatch(r"[0-9]{1,9}", node.name) is not None)
    )


def bracketed(w: SparkWriter, node: exp.Expr) -> str:
    """A part that another operator is put beside."""
    return f"({w.text(node)})" if type(node).__name__ in LEVELS else w.text(node)


def positive(node: exp.Expr) -> bool:
    """Whether it is a number from 1 on, written as such."""
    return whole_number(node) and not node.name.startswith("0")


def as_type(w: SparkWriter, node: exp.Expr, type_: str) -> str:
    """A part that meets others, of the type that DuckDB brings them all to."""
    text, mine, wanted = w.text(node), w.family(node), family(type_)
    if mine == "null" or w.type(node) == type_ or (mine == wanted and mine != "decimal"):
        return text
    if wanted == "decimal" and mine in {"integer", "decimal"}:
        return f"CAST({text} AS {type_})"
    if wanted == "timestamp" and mine == "date":
        return f"CAST({text} AS TIMESTAMP_NTZ)"
    if wanted == "double" and mine in NUMBERS:
        return text
    return w.refuse(
        node, f"{w.type(node)} where {type_} is expected", "Write the CAST that is meant."
    )


def compared(w: SparkWriter, *parts: exp.Expr) -> list[str]:
    """Parts that are compared: numbers with numbers, and everything else with its like."""
    families = {w.family(part) for part in parts} - {"null"}
    if families == {"date", "timestamp"}:
        return [as_type(w, part, "TIMESTAMP") for part in parts]
    if not families <= SCALARS or (len(families) > 1 and not families <= NUMBERS):
        types = " with ".join(dict.fromkeys(w.type(part) for part in parts))
        w.refuse(parts[0], f"comparing {types}", "CAST both to one type.")
    elif "double" not in families:
        check_digits(w, parts)
    return [w.text(part) for part in parts]


def check_digits(w: SparkWriter, parts: tuple[exp.Expr, ...]) -> None:
    """Refuse decimals that Spark rounds to bring them to one type."""
    sizes = [decimal_size(w.type(part)) for part in parts if w.family(part) == "decimal"]
    whole = [digits - scale for digits, scale in sizes]
    # What is a HUGEINT in DuckDB, such as a sum, is a BIGINT in Spark.
    whole += [20 for part in parts if w.family(part) == "integer" and not part.is_int]
    if len(set(sizes)) > 1 or (sizes and len(whole) > len(sizes)):
        scale = max(scale for _, scale in sizes)
        if max(whole) + scale > DIGITS:
            types = " with ".join(dict.fromkeys(w.type(part) for part in parts))
            w.refuse(
                parts[0],
                f"{types}, which Spark would round to {DIGITS} digits",
                "CAST both to one DECIMAL type.",
            )


def ambiguous(node: exp.Expr) -> bool:
    """Whether dialects may disagree about which of two operators comes first."""
    level, parent = LEVELS.get(type(node).__name__), node.parent
    above = LEVELS.get(type(parent).__name__)
    if level is None or above is None or parent is None:
        return False
    chained = (
        level == above
        and level != LEVELS["EQ"]
        and (
            node.arg_key == "this" or (type(node) is type(parent) and type(node).__name__ in _FREE)
        )
    )
    mixed = LEVELS["DPipe"] in {level, above} and level > LEVELS["EQ"] < above
    return not chained and (level <= above or mixed)
