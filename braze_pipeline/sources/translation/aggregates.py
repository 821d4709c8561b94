"""How aggregates and window functions are written in Spark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from braze_pipeline.sources.translation.parts import (
    SCALARS,
    Aggregate,
    SparkWriter,
    bracketed,
    positive,
)

if TYPE_CHECKING:
    from sqlglot import exp


def _key_of_window(w: SparkWriter, node: exp.Expr) -> str:
    by = [w.text(one) for one in node.args.get("partition_by") or ()]
    order = node.args.get("order")
    parts = [f"PARTITION BY {', '.join(by)}"] if by else []
    if order is not None:
        parts.append(f"ORDER BY {', '.join(w.text(one) for one in order.expressions)}")
    return f" OVER ({' '.join(parts)})"


def window(w: SparkWriter, node: exp.Expr) -> str:
    """A window function that gives each row the same value every time."""
    name = type(node.this).__name__
    if name in {"Rank", "DenseRank"} and node.args.get("order"):
        return f"{ {'Rank': 'rank', 'DenseRank': 'dense_rank'}[name] }(){_key_of_window(w, node)}"
    if name == "RowNumber" and w.unique(node):
        return f"row_number(){_key_of_window(w, node)}"
    if name == "RowNumber":
        return w.refuse(
            node,
            "row_number() where rows may be equal",
            "Use rank(), or number the rows of a query whose GROUP BY columns are all in "
            "PARTITION BY and ORDER BY.",
        )
    if name in {"Sum", "Count", "Min", "Max"} and not node.this.args.get("count"):
        return AGGREGATES[name](w, node.this, _key_of_window(w, node))
    return w.refuse(node, "this window function", "Write this part by hand.")


def ordered(w: SparkWriter, node: exp.Expr) -> str:
    """One part of ORDER BY; DuckDB has NULLs last in both directions, Spark in one."""
    if node.args.get("with_fill") or w.family(node.this) not in SCALARS:
        return w.refuse(node, "this ORDER BY", "Order by numbers, text, dates, true and false.")
    nulls = "FIRST" if node.args.get("nulls_first") else "LAST"
    return f"{w.text(node.this)}{' DESC' if node.args.get('desc') else ''} NULLS {nulls}"


def with_filter(w: SparkWriter, node: exp.Expr) -> str:
    """An aggregate of some of the rows."""
    rule = AGGREGATES.get(type(node.this).__name__)
    if rule is None:
        return w.refuse(node, "FILTER of this function", "Write this part by hand.")
    return rule(w, node.this, f" FILTER (WHERE {w.text(node.expression.this)})")


def _count(w: SparkWriter, node: exp.Expr, suffix: str) -> str:
    of = node.this
    if type(of).__name__ == "Star" or of is None:
        return f"count(*){suffix}"
    if type(of).__name__ == "Distinct" and len(of.expressions) == 1:
        return f"count(DISTINCT {w.text(of.expressions[0])}){suffix}"
    return f"count({w.text(of)}){suffix}"


def _sum(w: SparkWriter, node: exp.Expr, suffix: str) -> str:
    text = w.text(node.this)
    match w.family(node.this):
        case "integer":
            return f"sum({text}){suffix}"
        case "decimal":
            return f"CAST(sum({text}){suffix} AS {w.type(node)})"
        case "double":
            # Sums of fractions depend on the order of the rows, in both. Whole numbers do not.
            stop = "raise_error('sum of a DOUBLE with a fraction: CAST it to a DECIMAL first')"
            whole = f"CAST({text} AS BIGINT)"
            value = f"CASE WHEN {text} <> {whole} THEN {stop} ELSE {whole} END"
            return f"CAST(sum({value}){suffix} AS DOUBLE)"
        case _:
            return w.refuse(node, f"sum of {w.type(node.this)}", "CAST it to a DECIMAL.")


def _extreme(name: str, *, ascending: str) -> Aggregate:
    """``min`` and ``max``, also of the first few."""

    def rule(w: SparkWriter, node: exp.Expr, suffix: str) -> str:
        count, text = node.args.get("count"), w.text(node.this)
        if w.family(node.this) not in SCALARS:
            return w.refuse(node, f"{name} of {w.type(node.this)}", "Write this part by hand.")
        if count is None:
            return f"{name}({text}){suffix}"
        if not positive(count):
            return w.refuse(node, f"this {name}", "Say how many by a number.")
        listed = f"sort_array(collect_list({text}){suffix}, {ascending})"
        return f"nullif(slice({listed}, 1, {count.name}), array())"

    return rule


def _most(name: str) -> Aggregate:
    """``max_by`` and ``min_by``, where what decides leaves no choice between rows."""

    def rule(w: SparkWriter, node: exp.Expr, suffix: str) -> str:
        value, by = node.this, node.expression
        keys = by.expressions if type(by).__name__ == "Tuple" else [by]
        if node.args.get("count") or not any(_decides(key, value) for key in keys):
            return w.refuse(
                node,
                f"{name} where two rows may be equal",
                f"Break ties by the value: {name}(value, (key, value)).",
            )
        for key in keys:
            if w.family(key) not in SCALARS:
                w.refuse(key, f"{name} by {w.type(key)}", "Write this part by hand.")
        text = w.text(value)
        # DuckDB passes over rows without a value, and NULL is above all in its tuples.
        given = f"{bracketed(w, value)} IS NOT NULL"
        if len(keys) == 1 and keys[0] is by:
            order = w.text(by)
        else:
            order = f"struct({', '.join(_null_last(w, key) for key in keys)})"
        where = f" FILTER (WHERE {given})"
        if suffix:
            where = f"{suffix.replace('(WHERE ', '(WHERE (', 1)[:-1]}) AND {given})"
        return f"{name}({text}, {order}){where}"

    return rule


def _null_last(w: SparkWriter, key: exp.Expr) -> str:
    inner = key.this if type(key).__name__ == "Not" else key
    never = type(inner).__name__ == "Is"
    return w.text(key) if never else f"{bracketed(w, key)} IS NULL, {w.text(key)}"


def _decides(key: exp.Expr, value: exp.Expr) -> bool:
    """Whether rows with the same key have the same value."""
    return bool(_essence(key) == _essence(value))


def _essence(node: exp.Expr) -> object:
    """A part without what changes nothing about which rows are the same: NOT, and parentheses."""
    name = type(node).__name__
    if name in {"Paren", "Not"}:
        return _essence(node.this)
    others = node.expressions if name == "Coalesce" else [node.expression] if name == "Is" else []
    # coalesce(x, false) is x IS TRUE.
    if [type(one).__name__ for one in others] == ["Boolean"] and others[0].this == (name == "Is"):
        return "is true", node.this
    return node


def _quantile(w: SparkWriter, node: exp.Expr, suffix: str) -> str:
    """The least value that at least so many of all do not exceed, counted with integers."""
    wanted = node.expression
    several = type(wanted).__name__ == "Array"
    parts = [one.sql() for one in (wanted.expressions if several else [wanted])]
    if w.family(node.this) not in SCALARS or not all(
        re.fullmatch(r"0?\.[0-9]{1,9}|[01](\.0+)?", one) for one in parts
    ):
        return w.refuse(node, "this quantile_disc", "Name shares between 0 and 1 by numbers.")
    taken = ", ".join(f"element_at(s, {_place(one)})" for one in parts)
    listed = f"sort_array(collect_list({w.text(node.this)}){suffix})"
    found = f"CASE WHEN array_size(s) > 0 THEN array({taken}) END"
    # Inside a lambda, so that the list is sorted once.
    return f"get(transform(array({listed}), s -> {found}), 0)" + ("" if several else "[0]")


def _place(share: str) -> str:
    digits = len(share.partition(".")[2])
    of, all_ = int(share.replace(".", "")), 10**digits
    count = f"CAST(array_size(s) AS BIGINT) * {of}"
    return f"CAST(greatest(({count} + {all_ - 1}) DIV {all_}, 1) AS INT)"


def _plain(name: str, *families: str) -> Aggregate:
    def rule(w: SparkWriter, node: exp.Expr, suffix: str) -> str:
        if w.family(node.this) not in families:
            return w.refuse(node, f"{name} of {w.type(node.this)}", "Write this part by hand.")
        return f"{name}({w.text(node.this)}){suffix}"

    return rule


AGGREGATES: Final[Mapping[str, Aggregate]] = {
    "ArgMax": _most("max_by"),
    "ArgMin": _most("min_by"),
    "Count": _count,
    "LogicalAnd": _plain("bool_and", "boolean"),
    "LogicalOr": _plain("bool_or", "boolean"),
    "Max": _extreme("max", ascending="false"),
    "Min": _extreme("min", ascending="true"),
    "PercentileDisc": _quantile,
    "Sum": _sum,
}
