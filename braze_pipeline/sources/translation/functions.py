"""How functions over one row are written in Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.sources.translation.parts import (
    NUMBERS,
    Rule,
    SparkWriter,
    as_type,
    check_digits,
    compared,
    name_of,
    positive,
    whole_number,
)

if TYPE_CHECKING:
    from sqlglot import exp


def same_type(name: str) -> Rule:
    """A function that gives one of its arguments."""

    def rule(w: SparkWriter, node: exp.Expr) -> str:
        parts = [node.this, *node.expressions] if node.this is not None else node.expressions
        check_digits(w, tuple(parts))
        return f"{name}({', '.join(as_type(w, part, w.type(node)) for part in parts)})"

    return rule


def nullif(w: SparkWriter, node: exp.Expr) -> str:
    """``nullif``, of two things that can be compared."""
    return f"nullif({', '.join(compared(w, node.this, node.expression))})"


def over_text(name: str, *, more: str = "") -> Rule:
    """A function over text alone."""

    def rule(w: SparkWriter, node: exp.Expr) -> str:
        parts = [node.this, *([node.expression] if node.args.get("expression") else [])]
        if {w.family(part) for part in parts} != {"text"}:
            return w.refuse(node, f"{name} of other than text", "CAST it to VARCHAR.")
        return (
            f"{name}({', '.join(w.text(part) for part in parts)}{more if len(parts) == 1 else ''})"
        )

    return rule


def left(w: SparkWriter, node: exp.Expr) -> str:
    """``left``; DuckDB's also takes negative numbers."""
    if w.family(node.this) != "text" or not positive(node.expression):
        return w.refuse(node, "this left()", "Write left(TEXT, NUMBER) with a positive number.")
    return f"left({w.text(node.this)}, {node.expression.name})"


def round_(w: SparkWriter, node: exp.Expr) -> str:
    """``round`` of a decimal: half away from zero in both. Of a DOUBLE, they differ."""
    digits = node.args.get("decimals")
    if w.family(node.this) != "decimal" or not (digits is None or positive(digits)):
        return w.refuse(
            node, "round of other than a DECIMAL", "CAST to a DECIMAL first: x::DECIMAL(18, 6)."
        )
    return f"CAST(round({w.text(node.this)}, {digits.name if digits else 0}) AS {w.type(node)})"


def abs_(w: SparkWriter, node: exp.Expr) -> str:
    """``abs`` of a number."""
    if w.family(node.this) not in NUMBERS:
        return w.refuse(node, "abs of other than a number", "Write this part by hand.")
    return f"abs({w.text(node.this)})"


def length(w: SparkWriter, node: exp.Expr) -> str:
    """The length of a list or of a text."""
    match w.family(node.this):
        case "list":
            return f"array_size({w.text(node.this)})"
        case "text":
            return f"length({w.text(node.this)})"
        case _:
            return w.refuse(node, f"length of {w.type(node.this)}", "Write this part by hand.")


def bracket(w: SparkWriter, node: exp.Expr) -> str:
    """One element of a list, NULL where there is none; sqlglot counts from 0."""
    place = node.expressions[0] if len(node.expressions) == 1 else None
    if w.family(node.this) != "list" or place is None or not whole_number(place):
        return w.refuse(node, "this [ ]", "Take one element of a list, by its number from 1.")
    return f"get({w.text(node.this)}, {place.name})"


def list_(w: SparkWriter, node: exp.Expr) -> str:
    """A list of parts of one type."""
    element = w.type(node)[:-2]
    return f"array({', '.join(as_type(w, part, element) for part in node.expressions)})"


def filtered(w: SparkWriter, node: exp.Expr) -> str:
    """``list_filter`` with a lambda."""
    condition = node.expression
    if type(condition).__name__ != "Lambda" or len(condition.expressions) != 1:
        return w.refuse(node, "this list_filter", "Use a lambda with one variable.")
    variable = name_of(condition.expressions[0].name)
    return f"filter({w.text(node.this)}, {variable} -> {w.text(condition.this)})"


def column(_: SparkWriter, node: exp.Expr) -> str:
    """A column."""
    parts = [part for part in (node.args.get("table"), node.this) if part is not None]
    return ".".join(name_of(one.name, quoted=bool(one.args.get("quoted"))) for one in parts)


def list_sort(w: SparkWriter, node: exp.Expr) -> str:
    """``list_sort`` from the least to the greatest, NULLs last."""
    first = node.args.get("nulls_first")
    if first is not None and first.this:
        return w.refuse(node, "NULLS FIRST in a list", "Write this part by hand.")
    return f"array_sort({w.text(node.this)})"


def negative(w: SparkWriter, node: exp.Expr) -> str:
    """A sign; two of them would begin a comment."""
    text = w.text(node.this)
    return f"- {text}" if text.startswith("-") else f"-{text}"
