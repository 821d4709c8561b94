"""How each function and operator of DuckDB's SQL is written in Spark: the list of what is allowed.

A rule gives text that has the same values in Spark 4 (ANSI mode), or refuses. Where Spark cannot go
on as DuckDB does, as after a division by zero, its query stops: no rule gives another value.

Sources: DuckDB's documentation, "Functions" and "Casting", and Spark's, "ANSI Compliance" and
"Built-in Functions"; what neither says was tried on both (DuckDB 1.5, Spark 4.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from braze_pipeline.storage.warehouse import family

if TYPE_CHECKING:
    from sqlglot import exp

_ZS: Final = (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)
SPACES: Final = "'" + "".join(f"\\u{one:04x}" for one in _ZS) + "'"
"""What DuckDB's ``trim`` removes, as text in Spark."""
_DIGITS: Final = 38
_KEPT: Final = 6
"""Spark keeps so many digits behind the point when a product has more than 38 digits."""
_NUMBERS: Final = frozenset({"integer", "decimal", "double"})
_TYPES: Final[Mapping[str, str]] = {
    "TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INTEGER": "INT", "BIGINT": "BIGINT",
    "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "VARCHAR": "STRING", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP_NTZ", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}  # fmt: skip
_UNITS: Final = frozenset({"YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"})
_CASTS: Final[Mapping[str, frozenset[str]]] = {
    "integer": frozenset({"integer", "boolean"}),
    "decimal": frozenset({"integer", "decimal", "double"}),
    "double": _NUMBERS,
    "text": frozenset({"text", "integer", "decimal", "boolean", "date"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date", "timestamp", "instant", "text"}),
    "timestamp": frozenset({"date", "timestamp", "instant"}),
}
"""What may become what. DuckDB rounds a number that becomes an INTEGER, Spark cuts it off."""


class Writer(Protocol):
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


Rule = Callable[[Writer, Any], str]
Aggregate = Callable[[Writer, Any, str], str]


def spark_type(type_: str) -> str | None:
    """Spark's type for one of DuckDB's; None where there is none of the same values."""
    return type_ if family(type_) == "decimal" else _TYPES.get(type_)


def name_of(name: str, *, quoted: bool = False) -> str:
    """An identifier in Spark."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and not quoted
    return name if plain else f"`{name.replace('`', '``')}`"


def _decimal(type_: str) -> tuple[int, int]:
    digits, scale = type_[8:-1].split(",")
    return int(digits), int(scale)


def _literal(w: Writer, node: exp.Expr) -> str:
    if not node.is_string:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", node.this.lower()):
            return str(node.this)
        return w.refuse(node, f"the number {node.this}", "Write it with digits alone.")
    if "${" in node.this:
        return w.refuse(node, "a text with ${, which Spark replaces", "Write this part by hand.")
    text = node.this.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{text}'"


def as_type(w: Writer, node: exp.Expr, type_: str) -> str:
    """A part that meets others, of the type that DuckDB brings them all to."""
    text, mine, wanted = w.text(node), w.family(node), family(type_)
    if mine == "null" or w.type(node) == type_ or (mine == wanted and mine != "decimal"):
        return text
    if wanted == "decimal" and mine in {"integer", "decimal"}:
        return f"CAST({text} AS {type_})"
    if wanted == "timestamp" and mine == "date":
        return f"CAST({text} AS TIMESTAMP_NTZ)"
    if wanted == "double" and mine in _NUMBERS:
        return text
    return w.refuse(
        node, f"{w.type(node)} where {type_} is expected", "Write the CAST that is meant."
    )


def compared(w: Writer, *parts: exp.Expr) -> list[str]:
    """Parts that are compared: numbers with numbers, and everything else with its like."""
    families = {w.family(part) for part in parts} - {"null"}
    if families == {"date", "timestamp"}:
        return [as_type(w, part, "TIMESTAMP") for part in parts]
    if len(families) > 1 and not families <= _NUMBERS:
        types = " with ".join(dict.fromkeys(w.type(part) for part in parts))
        w.refuse(parts[0], f"comparing {types}", "CAST both to one type.")
    elif "double" not in families:
        _check_digits(w, parts)
    return [w.text(part) for part in parts]


def _check_digits(w: Writer, parts: tuple[exp.Expr, ...]) -> None:
    sizes = [_decimal(w.type(part)) for part in parts if w.family(part) == "decimal"]
    whole = [digits - scale for digits, scale in sizes]
    # What is a HUGEINT in DuckDB, such as a sum, is a BIGINT in Spark.
    whole += [20 for part in parts if w.family(part) == "integer" and not part.is_int]
    if len(set(sizes)) > 1 or (sizes and len(whole) > len(sizes)):
        scale = max(scale for _, scale in sizes)
        if max(whole) + scale > _DIGITS:
            types = " with ".join(dict.fromkeys(w.type(part) for part in parts))
            w.refuse(
                parts[0],
                f"{types}, which Spark would round to {_DIGITS} digits",
                "CAST both to one DECIMAL type.",
            )


def _comparison(sign: str) -> Rule:
    def rule(w: Writer, node: exp.Expr) -> str:
        left, right = compared(w, node.this, node.expression)
        return f"{left} {sign} {right}"

    return rule


def _logic(sign: str) -> Rule:
    return lambda w, node: f"{w.text(node.this)} {sign} {w.text(node.expression)}"


def _not(w: Writer, node: exp.Expr) -> str:
    inner = node.this
    match type(inner).__name__:
        case "Is":
            return _is(w, inner, " NOT")
        case "In":
            return _in(w, inner, " NOT")
        case "Like" | "Between":
            return f"NOT ({w.text(inner)})"
    return f"NOT {w.text(inner)}"


def _is(w: Writer, node: exp.Expr, negated: str = "") -> str:
    return f"{w.text(node.this)} IS{negated} {w.text(node.expression)}"


def _in(w: Writer, node: exp.Expr, negated: str = "") -> str:
    first, *others = compared(w, node.this, *node.expressions)
    return f"{first}{negated} IN ({', '.join(others)})"


def _between(w: Writer, node: exp.Expr) -> str:
    value, low, high = compared(w, node.this, node.args["low"], node.args["high"])
    return f"{value} BETWEEN {low} AND {high}"


def _like(w: Writer, node: exp.Expr) -> str:
    pattern = node.expression
    if w.family(node.this) != "text" or not pattern.is_string or "\\" in pattern.name:
        return w.refuse(node, "this LIKE", "Compare a text with a pattern without \\ in quotes.")
    negated = " NOT" if node.args.get("negate") else ""
    return f"{w.text(node.this)}{negated} LIKE {w.text(pattern)}"


def _arithmetic(sign: str) -> Rule:
    def rule(w: Writer, node: exp.Expr) -> str:
        parts = (node.this, node.expression)
        families = [w.family(part) for part in parts]
        left, right = (w.text(part) for part in parts)
        if set(families) <= {"integer", "double"} or (
            set(families) <= _NUMBERS and "double" in families
        ):
            return f"{left} {sign} {right}"
        if set(families) <= {"integer", "decimal"}:
            return _exact(w, node, sign, f"{left} {sign} {right}")
        return _dates(w, node, sign, families) or w.refuse(
            node,
            f"{w.type(node.this)} {sign} {w.type(node.expression)}",
            "Write this part by hand, or CAST both sides.",
        )

    return rule


def _exact(w: Writer, node: exp.Expr, sign: str, text: str) -> str:
    """Arithmetic of decimals, of DuckDB's type."""
    sizes = [
        _decimal(w.type(part)) if w.family(part) == "decimal" else (20, 0)
        for part in (node.this, node.expression)
    ]
    scales = [scale for _, scale in sizes]
    if sign == "*":
        digits, scale = sum(digits for digits, _ in sizes) + 1, sum(scales)
    else:
        scale = max(scales)
        digits = max(digits - behind for digits, behind in sizes) + scale + 1
    if digits > _DIGITS and scale > _KEPT:
        return w.refuse(
            node,
            f"{w.type(node.this)} {sign} {w.type(node.expression)}, which Spark would round",
            "CAST both to DECIMALs with fewer digits.",
        )
    return f"CAST({text} AS {w.type(node)})"


def _dates(w: Writer, node: exp.Expr, sign: str, families: list[str]) -> str | None:
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


def _interval(w: Writer, node: exp.Expr) -> str:
    unit = node.args.get("unit")
    named = unit.name.upper().removesuffix("S") if unit else ""
    if named not in _UNITS or not re.fullmatch(r"[0-9]+", node.name):
        return w.refuse(node, "this INTERVAL", "Write a number and a unit: INTERVAL 12 MONTH.")
    return f"INTERVAL '{node.name}' {named}"


def _division(w: Writer, node: exp.Expr) -> str:
    parts = (node.this, node.expression)
    if not {w.family(part) for part in parts} <= _NUMBERS:
        return w.refuse(node, f"{w.type(node.this)} / {w.type(node.expression)}", "Divide numbers.")
    return " / ".join(f"CAST({w.text(part)} AS DOUBLE)" for part in parts)


def _whole(sign: str) -> Rule:
    """Division of integers; by zero, it is NULL in DuckDB."""

    def rule(w: Writer, node: exp.Expr) -> str:
        parts = (node.this, node.expression)
        if {w.family(part) for part in parts} != {"integer"}:
            return w.refuse(node, f"{sign} of other than integers", "CAST both to BIGINT.")
        return f"{w.text(node.this)} {sign} nullif({w.text(node.expression)}, 0)"

    return rule


def _joined(w: Writer, node: exp.Expr) -> str:
    parts = (node.this, node.expression)
    if not {w.family(part) for part in parts} <= {"text", "integer"}:
        return w.refuse(node, "|| of other than text and integers", "CAST both to VARCHAR.")
    return " || ".join(w.text(part) for part in parts)


def _cast(w: Writer, node: exp.Expr) -> str:
    wanted, given = w.type(node), w.type(node.this)
    to, mine, text = family(wanted), w.family(node.this), w.text(node.this)
    there = spark_type(wanted)
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
        scale = _decimal(wanted)[1]
        # As DuckDB does it: the number times a power of ten, rounded, half away from zero. Spark
        # rounds the digits that it would print: 1.005 becomes 1.01 there, and 1.00 here.
        rounded = f"CAST(round({text} * 1E{scale}) AS BIGINT)"
        unit = f" * {10**-scale:.{scale}f}BD" if scale else ""
        return f"CAST({rounded}{unit} AS {there})"
    return f"CAST({text} AS {there})"


def _case(w: Writer, node: exp.Expr) -> str:
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


def _if(w: Writer, node: exp.Expr) -> str:
    type_, otherwise = w.type(node), node.args.get("false")
    last = f" ELSE {as_type(w, otherwise, type_)}" if otherwise is not None else ""
    return f"CASE WHEN {w.text(node.this)} THEN {as_type(w, node.args['true'], type_)}{last} END"


def _same_type(name: str) -> Rule:
    """A function that gives one of its arguments."""

    def rule(w: Writer, node: exp.Expr) -> str:
        parts = [node.this, *node.expressions] if node.this is not None else node.expressions
        _check_digits(w, tuple(parts))
        return f"{name}({', '.join(as_type(w, part, w.type(node)) for part in parts)})"

    return rule


def _nullif(w: Writer, node: exp.Expr) -> str:
    return f"nullif({', '.join(compared(w, node.this, node.expression))})"


def _over_text(name: str, *, more: str = "") -> Rule:
    def rule(w: Writer, node: exp.Expr) -> str:
        parts = [node.this, *([node.expression] if node.args.get("expression") else [])]
        if {w.family(part) for part in parts} != {"text"}:
            return w.refuse(node, f"{name} of other than text", "CAST it to VARCHAR.")
        return f"{name}({', '.join(w.text(part) for part in parts)}{more})"

    return rule


def _left(w: Writer, node: exp.Expr) -> str:
    if w.family(node.this) != "text" or not _positive(node.expression):
        return w.refuse(node, "this left()", "Write left(TEXT, NUMBER) with a positive number.")
    return f"left({w.text(node.this)}, {node.expression.name})"


def _positive(node: exp.Expr) -> bool:
    return node.is_int and re.fullmatch(r"[1-9][0-9]{0,8}", node.name) is not None


def _round(w: Writer, node: exp.Expr) -> str:
    digits = node.args.get("decimals")
    if w.family(node.this) != "decimal" or not (digits is None or _positive(digits)):
        return w.refuse(
            node, "round of other than a DECIMAL", "CAST to a DECIMAL first: x::DECIMAL(18, 6)."
        )
    return f"CAST(round({w.text(node.this)}, {digits.name if digits else 0}) AS {w.type(node)})"


def _abs(w: Writer, node: exp.Expr) -> str:
    if w.family(node.this) not in _NUMBERS:
        return w.refuse(node, "abs of other than a number", "Write this part by hand.")
    return f"abs({w.text(node.this)})"


def _length(w: Writer, node: exp.Expr) -> str:
    match w.family(node.this):
        case "list":
            return f"array_size({w.text(node.this)})"
        case "text":
            return f"length({w.text(node.this)})"
        case _:
            return w.refuse(node, f"length of {w.type(node.this)}", "Write this part by hand.")


def _bracket(w: Writer, node: exp.Expr) -> str:
    place = node.expressions[0] if len(node.expressions) == 1 else None
    # sqlglot counts from 0.
    if w.family(node.this) != "list" or place is None or not re.fullmatch(r"\d{1,9}", place.name):
        return w.refuse(node, "this [ ]", "Take one element of a list, by its number from 1.")
    return f"get({w.text(node.this)}, {place.name})"


def _list(w: Writer, node: exp.Expr) -> str:
    element = w.type(node)[:-2]
    return f"array({', '.join(as_type(w, part, element) for part in node.expressions)})"


def _filtered(w: Writer, node: exp.Expr) -> str:
    condition = node.expression
    if type(condition).__name__ != "Lambda" or len(condition.expressions) != 1:
        return w.refuse(node, "this list_filter", "Use a lambda with one variable.")
    variable = name_of(condition.expressions[0].name)
    return f"filter({w.text(node.this)}, {variable} -> {w.text(condition.this)})"


def _key_of_window(w: Writer, node: exp.Expr) -> str:
    by = [w.text(one) for one in node.args.get("partition_by") or ()]
    order = node.args.get("order")
    parts = [f"PARTITION BY {', '.join(by)}"] if by else []
    if order is not None:
        parts.append(f"ORDER BY {', '.join(w.text(one) for one in order.expressions)}")
    return f" OVER ({' '.join(parts)})"


def _window(w: Writer, node: exp.Expr) -> str:
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


def _ordered(w: Writer, node: exp.Expr) -> str:
    if node.args.get("with_fill"):
        return w.refuse(node, "WITH FILL", "Write this part by hand.")
    # DuckDB has NULLs last in both directions, Spark in one of them.
    nulls = "FIRST" if node.args.get("nulls_first") else "LAST"
    return f"{w.text(node.this)}{' DESC' if node.args.get('desc') else ''} NULLS {nulls}"


def _with_filter(w: Writer, node: exp.Expr) -> str:
    rule = AGGREGATES.get(type(node.this).__name__)
    if rule is None:
        return w.text(node.this)
    return rule(w, node.this, f" FILTER (WHERE {w.text(node.expression.this)})")


def _count(w: Writer, node: exp.Expr, suffix: str) -> str:
    of = node.this
    if type(of).__name__ == "Star" or of is None:
        return f"count(*){suffix}"
    if type(of).__name__ == "Distinct" and len(of.expressions) == 1:
        return f"count(DISTINCT {w.text(of.expressions[0])}){suffix}"
    return f"count({w.text(of)}){suffix}"


def _sum(w: Writer, node: exp.Expr, suffix: str) -> str:
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

    def rule(w: Writer, node: exp.Expr, suffix: str) -> str:
        count, text = node.args.get("count"), w.text(node.this)
        if w.family(node.this) in {"list", "other"}:
            return w.refuse(node, f"{name} of {w.type(node.this)}", "Write this part by hand.")
        if count is None:
            return f"{name}({text}){suffix}"
        if not _positive(count):
            return w.refuse(node, f"this {name}", "Say how many by a number.")
        listed = f"sort_array(collect_list({text}){suffix}, {ascending})"
        return f"nullif(slice({listed}, 1, {count.name}), array())"

    return rule


def _most(name: str) -> Aggregate:
    """``max_by`` and ``min_by``, where what decides leaves no choice between rows."""

    def rule(w: Writer, node: exp.Expr, suffix: str) -> str:
        value, by = node.this, node.expression
        keys = by.expressions if type(by).__name__ == "Tuple" else [by]
        if node.args.get("count") or not any(_decides(key, value) for key in keys):
            return w.refuse(
                node,
                f"{name} where two rows may be equal",
                f"Break ties by the value: {name}(value, (key, value)).",
            )
        for key in keys:
            if w.family(key) in {"list", "other"}:
                w.refuse(key, f"{name} by {w.type(key)}", "Write this part by hand.")
        text = w.text(value)
        # DuckDB passes over rows without a value, and NULL is above all in its tuples.
        given = f"{text} IS NOT NULL"
        if len(keys) == 1 and keys[0] is by:
            order = w.text(by)
        else:
            order = f"struct({', '.join(_null_last(w, key) for key in keys)})"
        where = f" FILTER (WHERE {given})"
        if suffix:
            where = f"{suffix.replace('(WHERE ', '(WHERE (', 1)[:-1]}) AND {given})"
        return f"{name}({text}, {order}){where}"

    return rule


def _null_last(w: Writer, key: exp.Expr) -> str:
    name, text = type(key).__name__, w.text(key)
    if name == "Is" or (name == "Not" and type(key.this).__name__ == "Is"):
        return text
    return f"({text}) IS NULL, {text}" if name in _LEVELS else f"{text} IS NULL, {text}"


def _decides(key: exp.Expr, value: exp.Expr) -> bool:
    """Whether rows with the same key have the same value."""
    return _essence(key) == _essence(value)


def _essence(node: exp.Expr) -> Any:
    """A part without what changes nothing about which rows are the same: NOT, and parentheses."""
    name = type(node).__name__
    if name in {"Paren", "Not"}:
        return _essence(node.this)
    truths = [*node.expressions, node.expression] if name in {"Coalesce", "Is"} else []
    truths = [one for one in truths if type(one).__name__ == "Boolean"]
    # coalesce(x, false) is x IS TRUE.
    if len(truths) == 1 and truths[0].this == (name == "Is"):
        return "is true", node.this
    return node


def _quantile(w: Writer, node: exp.Expr, suffix: str) -> str:
    """The least value that at least so many of all do not exceed, counted with integers."""
    wanted = node.expression
    several = type(wanted).__name__ == "Array"
    parts = [one.name for one in (wanted.expressions if several else [wanted])]
    if w.family(node.this) in {"list", "other"} or not all(
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
    def rule(w: Writer, node: exp.Expr, suffix: str) -> str:
        if w.family(node.this) not in families:
            return w.refuse(node, f"{name} of {w.type(node.this)}", "Write this part by hand.")
        return f"{name}({w.text(node.this)}){suffix}"

    return rule


def _column(w: Writer, node: exp.Expr) -> str:
    return ".".join(name_of(part.name, quoted=bool(part.args.get("quoted"))) for part in node.parts)


def _aggregate(name: str) -> Rule:
    return lambda w, node: AGGREGATES[name](w, node, "")


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
RULES: Final[Mapping[str, tuple[Rule, str]]] = {
    **{name: (_aggregate(name), "count") for name in AGGREGATES},
    "Abs": (_abs, ""),
    "Add": (_arithmetic("+"), ""),
    "And": (_logic("AND"), ""),
    "Array": (_list, ""),
    "ArrayFilter": (_filtered, ""),
    "ArraySort": (lambda w, node: f"array_sort({w.text(node.this)})", "nulls_first"),
    "Between": (_between, "low high"),
    "Boolean": (lambda _, node: str(node.this).lower(), ""),
    "Bracket": (_bracket, "offset"),
    "Case": (_case, "ifs default"),
    "Cast": (_cast, "to"),
    "Coalesce": (_same_type("coalesce"), ""),
    "Column": (_column, "table"),
    "DPipe": (_joined, ""),
    "Div": (_division, ""),
    "EQ": (_comparison("="), ""),
    "Filter": (_with_filter, ""),
    "GT": (_comparison(">"), ""),
    "GTE": (_comparison(">="), ""),
    "Greatest": (_same_type("greatest"), "ignore_nulls"),
    "Identifier": (lambda _, node: name_of(node.name), "quoted"),
    "If": (_if, "true false"),
    "In": (_in, ""),
    "IntDiv": (_whole("DIV"), ""),
    "Interval": (_interval, "unit"),
    "Is": (_is, ""),
    "LT": (_comparison("<"), ""),
    "LTE": (_comparison("<="), ""),
    "Least": (_same_type("least"), "ignore_nulls"),
    "Left": (_left, ""),
    "Length": (_length, ""),
    "Like": (_like, "negate"),
    "Literal": (_literal, "is_string"),
    "Mod": (_whole("%"), ""),
    "Mul": (_arithmetic("*"), ""),
    "NEQ": (_comparison("<>"), ""),
    "Neg": (lambda w, node: f"-{w.text(node.this)}", ""),
    "Not": (_not, ""),
    "Null": (lambda *_: "NULL", ""),
    "NullSafeEQ": (_comparison("IS NOT DISTINCT FROM"), ""),
    "NullSafeNEQ": (_comparison("IS DISTINCT FROM"), ""),
    "Nullif": (_nullif, ""),
    "Or": (_logic("OR"), ""),
    "Ordered": (_ordered, "desc nulls_first"),
    "Paren": (lambda w, node: f"({w.text(node.this)})", ""),
    "Placeholder": (lambda _, node: f"${node.name}", ""),
    "Round": (_round, "decimals"),
    "StartsWith": (_over_text("startswith"), ""),
    "Sub": (_arithmetic("-"), ""),
    "Trim": (_over_text("btrim", more=f", {SPACES}"), ""),
    "Window": (_window, "partition_by order"),
}
"""The rule of each part that is allowed, and what it may consist of besides its operands."""
_LEVELS: Final[Mapping[str, int]] = {
    name: level
    for level, names in enumerate(
        ("Or", "And", "Not", "EQ NEQ GT GTE LT LTE Is In Between Like NullSafeEQ NullSafeNEQ",
         "DPipe", "Add Sub", "Mul Div IntDiv Mod"), 1
    )
    for name in names.split()
}  # fmt: skip


def ambiguous(node: exp.Expr) -> bool:
    """Whether dialects may disagree about which of two operators comes first."""
    level, parent = _LEVELS.get(type(node).__name__), node.parent
    above = _LEVELS.get(type(parent).__name__)
    if level is None or above is None or parent is None:
        return False
    chained = (
        level == above
        and level != _LEVELS["EQ"]
        and (
            node.arg_key == "this" or (type(node) is type(parent) and type(node).__name__ in _FREE)
        )
    )
    mixed = _LEVELS["DPipe"] in {level, above} and level > _LEVELS["EQ"] < above
    return not chained and (level <= above or mixed)


_FREE: Final = frozenset({"And", "Or", "DPipe"})


def known(node: exp.Expr) -> bool:
    """Whether there is a rule for a part with all that it consists of."""
    rule = RULES.get(type(node).__name__)
    if rule is None:
        return False
    more = {"this", "expression", "expressions", *_HARMLESS, *rule[1].split()}
    return all(key in more for key, value in node.args.items() if value not in (None, False, []))


_HARMLESS: Final = frozenset({"big_int", "value_constructor", "typed", "safe", "over"})
"""What sqlglot notes about a part, which does not change it in DuckDB."""
