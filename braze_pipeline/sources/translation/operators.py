"""How operators, CASE and CAST are written in Spark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from braze_pipeline.sources.translation.parts import (
    DIGITS,
    NUMBERS,
    Rule,
    SparkWriter,
    as_type,
    bracketed,
    compared,
    decimal_size,
    spark_type,
)
from braze_pipeline.storage.sql_text import family

if TYPE_CHECKING:
    from sqlglot import exp

_KEPT: Final = 6
"""Spark keeps so many digits behind the point when a product has more than 38 digits."""

_OF_BIGINT: Final = 17
"""So many digits fit a BIGINT, whose product with a power of ten Spark does not round."""
_UNITS: Final = frozenset({"YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"})

_CASTS: Final[Mapping[str, frozenset[str]]] = {
    "integer": frozenset({"integer", "boolean"}),
    "decimal": frozenset({"integer", "decimal", "double"}),
    "double": NUMBERS,
    "text": frozenset({"text", "integer", "decimal", "boolean", "date"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date", "timestamp", "text"}),
    "timestamp": frozenset({"date", "timestamp"}),
}
"""What may become what. DuckDB rounds a number that becomes an INTEGER, Spark cuts it off."""


def literal(w: SparkWriter, node: exp.Expr) -> str:
    """A number or text. In Spark's text, a backslash and ``${`` have a meaning."""
    if not node.is_string:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", node.this.lower()):
            return str(node.this)
        return w.refuse(node, f"the number {node.this}", "Write it with digits alone.")
    if "${" in node.this:
        return w.refuse(node, "a text with ${, which Spark replaces", "Write this part by hand.")
    text = node.this.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{text}'"


def comparison(sign: str) -> Rule:
    """An operator that compares."""

    def rule(w: SparkWriter, node: exp.Expr) -> str:
        left, right = compared(w, node.this, node.expression)
        return f"{left} {sign} {right}"

    return rule


def logic(sign: str) -> Rule:
    """AND, and OR."""
    return lambda w, node: f"{w.text(node.this)} {sign} {w.text(node.expression)}"


def negation(w: SparkWriter, node: exp.Expr) -> str:
    """NOT, as part of the operator where it has one."""
    inner = node.this
    match type(inner).__name__:
        case "Is":
            return is_(w, inner, " NOT")
        case "In":
            return in_(w, inner, " NOT")
        case "Like" | "Between":
            return f"NOT ({w.text(inner)})"
    return f"NOT {w.text(inner)}"


def is_(w: SparkWriter, node: exp.Expr, negated: str = "") -> str:
    """IS with NULL, true or false."""
    return f"{w.text(node.this)} IS{negated} {w.text(node.expression)}"


def in_(w: SparkWriter, node: exp.Expr, negated: str = "") -> str:
    """IN with a list of values."""
    first, *others = compared(w, node.this, *node.expressions)
    return f"{first}{negated} IN ({', '.join(others)})"


def between(w: SparkWriter, node: exp.Expr) -> str:
    """BETWEEN."""
    value, low, high = compared(w, node.this, node.args["low"], node.args["high"])
    return f"{value} BETWEEN {low} AND {high}"


def like(w: SparkWriter, node: exp.Expr) -> str:
    """LIKE with a pattern that has no escape: Spark's is the backslash, DuckDB has none."""
    pattern = node.expression
    if w.family(node.this) != "text" or not pattern.is_string or "\\" in pattern.name:
        return w.refuse(node, "this LIKE", "Compare a text with a pattern without \\ in quotes.")
    negated = " NOT" if node.args.get("negate") else ""
    return f"{w.text(node.this)}{negated} LIKE {w.text(pattern)}"


def arithmetic(sign: str) -> Rule:
    """Adding, subtracting and multiplying numbers, days and intervals."""

    def rule(w: SparkWriter, node: exp.Expr) -> str:
        parts = (node.this, node.expression)
        families = [w.family(part) for part in parts]
        left, right = (w.text(part) for part in parts)
        if set(families) <= {"integer", "double"} or (
            set(families) <= NUMBERS and "double" in families
        ):
            return f"{left} {sign} {right}"
        if set(families) <= {"integer", "decimal"} and w.family(node) == "decimal":
            return _exact(w, node, sign, f"{left} {sign} {right}")
        return _dates(w, node, sign, families) or w.refuse(
            node,
            f"{w.type(node.this)} {sign} {w.type(node.expression)}",
            "Write this part by hand, or CAST both sides.",
        )

    return rule


def _exact(w: SparkWriter, node: exp.Expr, sign: str, text: str) -> str:
    """Arithmetic of decimals, of DuckDB's type."""
    sizes = [
        decimal_size(w.type(part)) if w.family(part) == "decimal" else (20, 0)
        for part in (node.this, node.expression)
    ]
    scales = [scale for _, scale in sizes]
    if sign == "*":
        digits, scale = sum(digits for digits, _ in sizes) + 1, sum(scales)
    else:
        scale = max(scales)
        digits = max(digits - behind for digits, behind in sizes) + scale + 1
    if digits > DIGITS and scale > _KEPT:
        return w.refuse(
            node,
            f"{w.type(node.this)} {sign} {w.type(node.expression)}, which Spark would round",
            "CAST both to DECIMALs with fewer digits.",
        )
    return f"CAST({text} AS {w.type(node)})"


def _dates(w: SparkWriter, node: exp.Expr, sign: str, families: list[str]) -> str | None:
    left, right = node.this, node.expression
    if type(right).__name__ == "Interval" and families[0] in {"date", "timestamp"}:
        # DuckDB's date plus an interval is a time; Spark's would be a date.
        return f"{as_type(w, left, 'TIMESTAMP')} {sign} {w.text(right)}"
    if families == ["date", "integer"]:
        name = "date_add" if sign == "+" else "date_sub"
        return f"{name}({w.text(left)}, CAST({w.text(right)} AS INT))"
    if families == ["date", "date"] and sign == "-":
        return f"datediff({w.text(left)}, {w.text(right)})"
    return None


def interval(w: SparkWriter, node: exp.Expr) -> str:
    """A number of calendar units."""
    unit = node.args.get("unit")
    named = unit.name.upper().removesuffix("S") if unit else ""
    if named not in _UNITS or not re.fullmatch(r"[0-9]+", node.name):
        return w.refuse(node, "this INTERVAL", "Write a number and a unit: INTERVAL 12 MONTH.")
    return f"INTERVAL '{node.name}' {named}"


def division(w: SparkWriter, node: exp.Expr) -> str:
    """Division: of DOUBLEs, whatever the types. Spark's quotient of decimals has six digits."""
    parts = (node.this, node.expression)
    if not {w.family(part) for part in parts} <= NUMBERS:
        return w.refuse(node, f"{w.type(node.this)} / {w.type(node.expression)}", "Divide numbers.")
    return " / ".join(f"CAST({w.text(part)} AS DOUBLE)" for part in parts)


def whole(sign: str) -> Rule:
    """Division of integers; by zero, it is NULL in DuckDB."""

    def rule(w: SparkWriter, node: exp.Expr) -> str:
        parts = (node.this, node.expression)
        if {w.family(part) for part in parts} != {"integer"}:
            return w.refuse(node, f"{sign} of other than integers", "CAST both to BIGINT.")
        return f"{w.text(node.this)} {sign} nullif({w.text(node.expression)}, 0)"

    return rule


def joined(w: SparkWriter, node: exp.Expr) -> str:
    """``||``."""
    parts = (node.this, node.expression)
    if not {w.family(part) for part in parts} <= {"text", "integer"}:
        return w.refuse(node, "|| of other than text and integers", "CAST both to VARCHAR.")
    return " || ".join(w.text(part) for part in parts)


def cast(w: SparkWriter, node: exp.Expr) -> str:
    """CAST, between types that both convert alike."""
    wanted, given = w.type(node), w.type(node.this)
    to, mine, text = family(wanted), w.family(node.this), w.text(node.this)
    there = spark_type(wanted)
    if mine == "instant" and to in {"date", "timestamp"}:
        return w.refuse(
            node,
            f"CAST of {given} to {wanted}",
            "DuckDB takes the day and hour of UTC, Spark those of `time_zone`; make it a "
            f"{wanted} in the table, or write this part by hand.",
        )
    if there is None or (mine != "null" and mine not in _CASTS.get(to, ())):
        return w.refuse(
            node,
            f"CAST of {given} to {wanted}",
            "Both read or round such values differently; write this part by hand.",
        )
    if to == "date" and mine == "text":
        # Spark alone would also take a year, or a year and a month.
        iso = node.this.is_string and re.fullmatch(r"\d{4}-\d{2}-\d{2}", node.this.name)
        return f"DATE {text}" if iso else f"to_date({text}, 'yyyy-MM-dd')"
    if to == "decimal" and mine == "double":
        scale = decimal_size(wanted)[1]
        if scale > _OF_BIGINT:
            return w.refuse(node, f"CAST to {wanted}", "Use fewer digits behind the point.")
        # As DuckDB does it: the number times a power of ten, rounded, half away from zero. Spark
        # rounds the digits that it would print: 1.005 becomes 1.01 there, and 1.00 here.
        rounded = f"CAST(round({bracketed(w, node.this)} * 1E{scale}) AS BIGINT)"
        unit = f" * {10**-scale:.{scale}f}BD" if scale else ""
        return f"CAST({rounded}{unit} AS {there})"
    return f"CAST({text} AS {there})"


def case(w: SparkWriter, node: exp.Expr) -> str:
    """CASE."""
    type_, operand, default = w.type(node), node.this, node.args.get("default")
    whens = [branch.this for branch in node.args["ifs"]]
    if operand is not None:
        head, *tests = compared(w, operand, *whens)
        head = f" {head}"
    else:
        head, tests = "", [w.text(when) for when in whens]
    results = [as_type(w, branch.args["true"], type_) for branch in node.args["ifs"]]
    branches = "".join(
        f" WHEN {test} THEN {result}" for test, result in zip(tests, results, strict=True)
    )
    last = f" ELSE {as_type(w, default, type_)}" if default is not None else ""
    return f"CASE{head}{branches}{last} END"


def if_(w: SparkWriter, node: exp.Expr) -> str:
    """``if``, which is also a branch of CASE."""
    type_, otherwise = w.type(node), node.args.get("false")
    last = f" ELSE {as_type(w, otherwise, type_)}" if otherwise is not None else ""
    return f"CASE WHEN {w.text(node.this)} THEN {as_type(w, node.args['true'], type_)}{last} END"
