"""How each function and operator of DuckDB's SQL is written in Spark: the list of what is allowed.

A rule gives text that has the same values in Spark 4 (ANSI mode), or refuses. Where Spark cannot go
on as DuckDB does, as after a division by zero, its query stops: no rule gives another value.

Sources: DuckDB's documentation, "Functions" and "Casting", and Spark's, "ANSI Compliance" and
"Built-in Functions"; what neither says was tried on both (DuckDB 1.5, Spark 4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from braze_pipeline.sources.translation.aggregates import AGGREGATES, ordered, window, with_filter
from braze_pipeline.sources.translation.functions import (
    abs_,
    bracket,
    column,
    filtered,
    left,
    length,
    list_,
    list_sort,
    negative,
    nullif,
    over_text,
    round_,
    same_type,
)
from braze_pipeline.sources.translation.operators import (
    arithmetic,
    between,
    case,
    cast,
    comparison,
    division,
    if_,
    in_,
    interval,
    is_,
    joined,
    like,
    literal,
    logic,
    negation,
    whole,
)
from braze_pipeline.sources.translation.parts import SPACES, Rule, name_of

if TYPE_CHECKING:
    from sqlglot import exp


def _aggregate(name: str) -> Rule:
    return lambda w, node: AGGREGATES[name](w, node, "")


RULES: Final[Mapping[str, tuple[Rule, str]]] = {
    **{name: (_aggregate(name), "count") for name in AGGREGATES},
    "Abs": (abs_, ""),
    "Add": (arithmetic("+"), ""),
    "And": (logic("AND"), ""),
    "Array": (list_, ""),
    "ArrayFilter": (filtered, ""),
    "ArraySort": (list_sort, "nulls_first"),
    "Between": (between, "low high"),
    "Boolean": (lambda _, node: str(node.this).lower(), ""),
    "Bracket": (bracket, "offset"),
    "Case": (case, "ifs default"),
    "Cast": (cast, "to"),
    "Coalesce": (same_type("coalesce"), ""),
    "Column": (column, "table"),
    "DPipe": (joined, ""),
    "Div": (division, ""),
    "EQ": (comparison("="), ""),
    "Filter": (with_filter, ""),
    "GT": (comparison(">"), ""),
    "GTE": (comparison(">="), ""),
    "Greatest": (same_type("greatest"), "ignore_nulls"),
    "Identifier": (lambda _, node: name_of(node.name), "quoted"),
    "If": (if_, "true false"),
    "In": (in_, ""),
    "IntDiv": (whole("DIV"), ""),
    "Interval": (interval, "unit"),
    "Is": (is_, ""),
    "LT": (comparison("<"), ""),
    "LTE": (comparison("<="), ""),
    "Least": (same_type("least"), "ignore_nulls"),
    "Left": (left, ""),
    "Length": (length, ""),
    "Like": (like, "negate"),
    "Literal": (literal, "is_string"),
    "Mod": (whole("%"), ""),
    "Mul": (arithmetic("*"), ""),
    "NEQ": (comparison("<>"), ""),
    "Neg": (negative, ""),
    "Not": (negation, ""),
    "Null": (lambda *_: "NULL", ""),
    "NullSafeEQ": (comparison("IS NOT DISTINCT FROM"), ""),
    "NullSafeNEQ": (comparison("IS DISTINCT FROM"), ""),
    "Nullif": (nullif, ""),
    "Or": (logic("OR"), ""),
    "Ordered": (ordered, "desc nulls_first"),
    "Paren": (lambda w, node: f"({w.text(node.this)})", ""),
    "Placeholder": (lambda _, node: f"${node.name}", ""),
    "Round": (round_, "decimals"),
    "StartsWith": (over_text("startswith"), ""),
    "Sub": (arithmetic("-"), ""),
    "Trim": (over_text("btrim", more=f", {SPACES}"), ""),
    "Window": (window, "partition_by order"),
}
"""The rule of each part that is allowed, and what it may consist of besides its operands."""

_HARMLESS: Final = frozenset({"big_int", "value_constructor", "typed", "safe", "over"})
"""What sqlglot notes about a part, which does not change it in DuckDB."""


def known(node: exp.Expr) -> bool:
    """Whether there is a rule for a part with all that it consists of."""
    rule = RULES.get(type(node).__name__)
    if rule is None:
        return False
    more = {"this", "expression", "expressions", *_HARMLESS, *rule[1].split()}
    return all(key in more for key, value in node.args.items() if value not in (None, False, []))
