"""Numbers and booleans from columns of any type, in SQL.

Each function gives two expressions: the value, and the code of what is wrong with it. Which of them
an attribute needs is decided in `columns`.
"""

from __future__ import annotations

from typing import Final

from braze_pipeline.braze.limits import MAX_EXACT_INTEGER
from braze_pipeline.sources.readings import FALSE_WORDS, TRUE_WORDS

_WHOLE_TEXT: Final = r"'[+-]?[0-9]+(\.0*)?'"
_DIGITS_TEXT: Final = r"'[+-]?[0-9]+(\.[0-9]*)?'"
_NUMBER_TEXT: Final = r"'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?'"


def checked(source: str, value: str, problems: dict[str, str]) -> tuple[str, str]:
    """A value that is NULL where there is a problem, and the code of the first problem.

    Args:
        source: The expression that is read; without a value there is no problem.
        value: The expression of the value.
        problems: Code to condition; no condition is NULL where ``source`` has a value.
    """
    anything = " OR ".join(f"({condition})" for condition in problems.values())
    cases = " ".join(f"WHEN {condition} THEN '{code}'" for code, condition in problems.items())
    return (
        f"CASE WHEN NOT ({anything}) THEN {value} END",
        f"CASE WHEN {source} IS NULL THEN NULL {cases} END",
    )


def integer(column: str, text: str, family: str) -> tuple[str, str]:
    """An integer that every JSON reader holds exactly, as BIGINT."""
    if family not in {"integer", "decimal", "double"}:
        number = _integer_part(text)
        problems = {
            "not_a_number": f"NOT regexp_full_match({text}, {_NUMBER_TEXT})",
            "not_an_integer": f"NOT regexp_full_match({text}, {_WHOLE_TEXT})",
            "number_inexact": _inexact(number),
        }
        return checked(text, f"{number}::BIGINT", problems)
    problems = {"number_inexact": _inexact(f"TRY_CAST({column} AS HUGEINT)")}
    if family != "integer":
        problems = {"not_an_integer": f"{column} <> trunc({column})"} | problems
    if family == "double":
        problems = {"number_not_finite": f"NOT isfinite({column})"} | problems
    return checked(column, f"{column}::BIGINT", problems)


def floating(column: str, text: str, family: str, precision: int | None) -> tuple[str, str]:
    """A finite number as DOUBLE, rounded to ``precision`` decimal places; never minus zero."""
    if family == "double":
        source, number = column, half_up(column, precision)
        problems = {"number_not_finite": f"NOT isfinite({column})"}
    elif family in {"integer", "decimal"}:
        exact = column if precision is None else f"round({column}, {precision})"
        source, number = column, f"{exact}::DOUBLE"
        problems = {"number_inexact": _inexact(f"TRY_CAST({column} AS HUGEINT)")}
    else:
        source, double = text, f"TRY_CAST({text} AS DOUBLE)"
        number = half_up(double, precision)
        digits = f"regexp_full_match({text}, {_DIGITS_TEXT})"
        problems = {
            "not_a_number": f"NOT regexp_full_match({text}, {_NUMBER_TEXT})",
            "number_not_finite": f"NOT coalesce(isfinite({double}), false)",
            "number_inexact": f"{digits} AND {_inexact(_integer_part(text))}",
        }
    value, problem = checked(source, number, problems)
    return f"CASE WHEN {value} = 0 THEN 0.0::DOUBLE ELSE {value} END", problem


def _integer_part(text: str) -> str:
    return f"TRY_CAST(regexp_extract({text}, '^[+-]?[0-9]+') AS HUGEINT)"


def _inexact(number: str) -> str:
    exact = f"{number} BETWEEN -{MAX_EXACT_INTEGER}::HUGEINT AND {MAX_EXACT_INTEGER}::HUGEINT"
    return f"NOT coalesce({exact}, false)"


def half_up(number: str, places: int | None) -> str:
    """A double rounded by its decimal digits: 629.925 to 629.93, although the double is smaller.

    The number is compared with the double nearest to the decimal halfway between two rounded
    values. Doubles hold 15 digits: numbers with more are rounded as they are.
    """
    if places is None:
        return f"{number}::DOUBLE"
    below = f"floor(abs({number}) * 1e{places})"
    halfway = f"({below} * 10 + 5) / 1e{places + 1}"
    rounded = f"({below} + CASE WHEN abs({number}) >= {halfway} THEN 1 ELSE 0 END) / 1e{places}"
    return (
        f"CASE WHEN abs({number}) < 1e{14 - places} THEN sign({number}) * {rounded} "
        f"ELSE round({number}, {places}) END"
    )


def boolean(column: str, text: str, family: str) -> tuple[str, str]:
    """True or false from a boolean, 0 and 1, or the words Braze coerces (and yes and no)."""
    if family == "boolean":
        return column, "NULL"
    word = f"lower({text})"
    problems = {"not_a_boolean": f"{word} NOT IN ({TRUE_WORDS}, {FALSE_WORDS})"}
    return checked(text, f"{word} IN ({TRUE_WORDS})", problems)
