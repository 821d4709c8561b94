"""Numbers and booleans from columns of any type, in SQL.

Each function gives two expressions: the value, and the code of what is wrong with it.
"""

from __future__ import annotations

from typing import Final

from braze_pipeline.braze.limits import MAX_EXACT_INTEGER

_EXACT: Final = f"BETWEEN -{MAX_EXACT_INTEGER}::HUGEINT AND {MAX_EXACT_INTEGER}::HUGEINT"
_WHOLE_TEXT: Final = r"'[+-]?[0-9]+(\.0*)?'"
_NUMBER_TEXT: Final = r"'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?'"

_TRUE: Final = "('1', 'true', 't', 'yes', 'y')"
_FALSE: Final = "('0', 'false', 'f', 'no', 'n')"


def integer(column: str, text: str, family: str) -> tuple[str, str]:
    """An integer that JSON readers hold exactly, as BIGINT."""
    if family in {"integer", "decimal", "double"}:
        finite = f"isfinite({column})" if family == "double" else "true"
        whole = "true" if family == "integer" else f"({finite} AND {column} = trunc({column}))"
        exact = f"TRY_CAST({column} AS HUGEINT) {_EXACT}"
        value = f"CASE WHEN {whole} AND {exact} THEN {column}::BIGINT END"
        problem = (
            f"CASE WHEN {column} IS NULL THEN NULL "
            f"WHEN NOT ({finite}) THEN 'number_not_finite' "
            f"WHEN NOT ({whole}) THEN 'not_an_integer' "
            f"WHEN NOT coalesce({exact}, false) THEN 'number_inexact' END"
        )
        return value, problem
    whole = f"regexp_full_match({text}, {_WHOLE_TEXT})"
    number = f"TRY_CAST(regexp_extract({text}, '^[+-]?[0-9]+') AS HUGEINT)"
    value = f"CASE WHEN {whole} AND {number} {_EXACT} THEN {number}::BIGINT END"
    problem = (
        f"CASE WHEN {text} IS NULL THEN NULL "
        f"WHEN NOT regexp_full_match({text}, {_NUMBER_TEXT}) THEN 'not_a_number' "
        f"WHEN NOT {whole} THEN 'not_an_integer' "
        f"WHEN NOT coalesce({number} {_EXACT}, false) THEN 'number_inexact' END"
    )
    return value, problem


def floating(column: str, text: str, family: str, precision: int | None) -> tuple[str, str]:
    """A finite number as DOUBLE, rounded to ``precision`` decimal places; never minus zero."""
    if family == "double":
        good, number = f"isfinite({column})", half_up(column, precision)
        problem = f"CASE WHEN NOT {good} THEN 'number_not_finite' END"
    elif family in {"integer", "decimal"}:
        whole = "true" if family == "integer" else f"{column} = trunc({column})"
        inexact = f"({whole} AND NOT coalesce(TRY_CAST({column} AS HUGEINT) {_EXACT}, false))"
        exact = column if precision is None else f"round({column}, {precision})"
        good, number = f"NOT {inexact}", f"{exact}::DOUBLE"
        problem = f"CASE WHEN {column} IS NOT NULL AND {inexact} THEN 'number_inexact' END"
    else:
        return _floating_text(text, precision)
    return _no_minus_zero(f"CASE WHEN {good} THEN {number} END"), problem


def _floating_text(text: str, precision: int | None) -> tuple[str, str]:
    written = f"regexp_full_match({text}, {_NUMBER_TEXT})"
    number = f"TRY_CAST({text} AS DOUBLE)"
    whole = f"regexp_full_match({text}, {_WHOLE_TEXT})"
    exact = (
        f"(NOT {whole} OR coalesce("
        f"TRY_CAST(regexp_extract({text}, '^[+-]?[0-9]+') AS HUGEINT) {_EXACT}, false))"
    )
    finite = f"coalesce(isfinite({number}), false)"
    good = f"{written} AND {exact} AND {finite}"
    value = f"CASE WHEN {good} THEN {half_up(number, precision)} END"
    problem = (
        f"CASE WHEN {text} IS NULL THEN NULL "
        f"WHEN NOT {written} THEN 'not_a_number' "
        f"WHEN NOT {finite} THEN 'number_not_finite' "
        f"WHEN NOT {exact} THEN 'number_inexact' END"
    )
    return _no_minus_zero(value), problem


def half_up(number: str, places: int | None) -> str:
    """A double rounded on the digits it is written with: 629.925 to 629.93, though it lies below.

    What is halfway between two rounded values is the double nearest to that decimal, so it is
    compared with that. Doubles hold 15 digits: numbers with more are rounded as they lie.
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


def _no_minus_zero(number: str) -> str:
    return f"CASE WHEN {number} = 0 THEN 0.0::DOUBLE ELSE {number} END"


def boolean(column: str, text: str, family: str) -> tuple[str, str]:
    """True or false from a boolean, 0 and 1, or the words Braze coerces (and yes and no)."""
    if family == "boolean":
        return column, "NULL"
    word = f"lower({text})"
    return (
        f"CASE WHEN {word} IN {_TRUE} THEN true WHEN {word} IN {_FALSE} THEN false END",
        f"CASE WHEN {word} NOT IN {_TRUE} AND {word} NOT IN {_FALSE} THEN 'not_a_boolean' END",
    )
