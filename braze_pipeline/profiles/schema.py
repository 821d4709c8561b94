"""The profile contract of a template as a pandera schema, and the validation of a page of rows.

Each rule of `braze.values` becomes one check of the same name, over a whole column at once by
Arrow. A NULL satisfies every check; whether it is allowed is the column's ``nullable``. This module
loads pandas and pandera, so it is imported where a page is validated; the rules are in `rules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandera.errors import SchemaErrors
from pandera.pandas import Check, Column, DataFrameSchema

from braze_pipeline.braze.fields import sendable
from braze_pipeline.braze.values import identifier_rules
from braze_pipeline.errors import ContractBroken
from braze_pipeline.profiles.identifier import NO_IDENTIFIER
from braze_pipeline.profiles.rules import rules_of
from braze_pipeline.profiles.staging import USER_ID, WHOLE_ROW
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from braze_pipeline.braze.values import Rule
    from braze_pipeline.profiles.staging import StagedColumn
    from braze_pipeline.settings import TemplateSettings

_CODES: Final = {"not_nullable": "required_missing"}
_DTYPES: Final = {
    ValueType.INTEGER: pa.int64(),
    ValueType.FLOAT: pa.float64(),
    ValueType.BOOLEAN: pa.bool_(),
    ValueType.DATE: pa.date32(),
    ValueType.TIME: pa.timestamp("us"),
    ValueType.ARRAY: pa.list_(pa.string()),
}
"""The Arrow type of each value type; text for all others."""


def build_schema(t: TemplateSettings, *, today: date | None = None) -> DataFrameSchema:
    """The schema of a template: one column per attribute, under its Braze name.

    Args:
        t: The template.
        today: The as-of date, the last possible birthdate; None for no limit.
    """
    columns = {
        USER_ID: Column(
            _dtype(ValueType.STRING), _checks(identifier_rules(t.destination.identifier))
        )
    }
    for attribute in sendable(t):
        columns[attribute.name] = Column(
            _dtype(attribute.type),
            _checks(rules_of(attribute, today=today)),
            nullable=not attribute.required,
        )
    return DataFrameSchema(columns, name=t.name, strict=True, ordered=True)


def frame_of(rows: pa.Table) -> pd.DataFrame:
    """A page of rows as a pandas frame that keeps Arrow's types and NULLs."""
    return rows.to_pandas(types_mapper=pd.ArrowDtype)


def refusals(
    schema: DataFrameSchema, frame: pd.DataFrame, columns: tuple[StagedColumn, ...], *, first: int
) -> pa.Table | None:
    """What the schema refuses of a page: row, attribute number, order and name of the check.

    Args:
        schema: See `build_schema`.
        frame: The page.
        columns: The attributes, for their numbers.
        first: The number of the page's first row.

    Raises:
        ContractBroken: the frame as a whole does not fit the schema.
    """
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        # Raised from nothing: the exception of pandera shows the values themselves.
        return _refused(errors.failure_cases, columns, first)
    return None


def _refused(cases: pd.DataFrame, columns: tuple[StagedColumn, ...], first: int) -> pa.Table:
    unplaced = cases["index"].isna()
    if unplaced.any():
        where = sorted({f"{row.column}: {row.check}" for row in cases[unplaced].itertuples()})
        raise ContractBroken(
            f"The profiles do not fit their schema ({'; '.join(where)}).",
            fix="This is a defect of the mapping, not of the data: please report it.",
        ) from None
    numbers = {USER_ID: WHOLE_ROW} | {one.attribute.name: one.number for one in columns}
    codes = cases["check"].replace(_CODES)
    codes = codes.where(
        ~((cases["column"] == USER_ID) & (codes == "required_missing")), NO_IDENTIFIER
    )
    return pa.table(
        {
            "__rid": pa.array(cases["index"].astype("int64") + first, pa.int64()),
            "number": pa.array(cases["column"].map(numbers).astype("int64"), pa.int32()),
            "rank": pa.array(range(1, len(cases) + 1), pa.int32()),
            "code": pa.array(codes.astype(str), pa.string()),
        }
    )


def _dtype(type_: ValueType) -> pd.ArrowDtype:
    return pd.ArrowDtype(_DTYPES.get(type_, pa.string()))


def _checks(rules: tuple[Rule, ...]) -> list[Check]:
    return [
        Check(_by_column(rule), name=rule.code, error=rule.code, ignore_na=False) for rule in rules
    ]


def _by_column(rule: Rule) -> Callable[[pd.Series[Any]], pd.Series[bool]]:
    def check(values: pd.Series[Any]) -> pd.Series[bool]:
        array = pa.array(values)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        passed = pc.fill_null(_TESTS[rule.test](array, rule.argument), True)  # noqa: FBT003
        return pd.Series(passed.to_numpy(zero_copy_only=False), index=values.index)

    return check


def _one_of(array: pa.Array, allowed: tuple[str, ...]) -> pa.Array:
    listed = pc.is_in(array, value_set=pa.array(allowed))
    return pc.or_(listed, pc.is_null(array))


def _between(array: pa.Array, bounds: tuple[Any, Any]) -> pa.Array:
    least, most = bounds
    passed = pa.scalar(value=True)
    if least is not None:
        passed = pc.and_(passed, pc.greater_equal(array, pa.scalar(least, array.type)))
    if most is not None:
        passed = pc.and_(passed, pc.less_equal(array, pa.scalar(most, array.type)))
    return passed


def _without_item(array: pa.Array, bad: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """True for the lists with no bad item; ``bad`` tests the items of all lists."""
    passed = np.ones(len(array), dtype=bool)
    hits = pc.fill_null(bad(pc.list_flatten(array)), False)  # noqa: FBT003
    passed[pc.filter(pc.list_parent_indices(array), hits).to_numpy()] = False
    return pa.array(passed)


def _unique_items(array: pa.Array, _: None) -> pa.Array:
    parents = pc.list_parent_indices(array)
    items = pa.table({"list": parents, "item": pc.list_flatten(array)})
    counted = items.group_by(["list", "item"]).aggregate([([], "count_all")])
    twice = counted.filter(pc.greater(counted["count_all"], 1))["list"]
    return pc.invert(pc.is_in(pa.array(range(len(array)), parents.type), value_set=twice))


def _max_json_bytes(array: pa.Array, most: int) -> pa.Array:
    flat = pc.list_flatten(array)
    # Two quotes and a comma per item, and a backslash for each character that JSON escapes.
    sizes = pc.add(
        pc.add(pc.binary_length(flat), pc.count_substring_regex(flat, r'["\\\n\r\t]')), 3
    )
    parents = pc.list_parent_indices(array).to_numpy()
    total = np.bincount(parents, weights=pc.fill_null(sizes, 4).to_numpy(), minlength=len(array))
    # Two brackets, and one comma fewer than items.
    return pa.array(total + 1 <= most)


_TESTS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "max_chars": lambda array, most: pc.less_equal(pc.utf8_length(array), most),
    "max_bytes": lambda array, most: pc.less_equal(pc.binary_length(array), most),
    "matches": lambda array, regex: pc.match_substring_regex(array, rf"\A(?:{regex})\z"),
    "lacks": lambda array, regex: pc.invert(pc.match_substring_regex(array, regex)),
    "one_of": _one_of,
    "between": _between,
    "finite": lambda array, _: pc.is_finite(array),
    "max_items": lambda array, most: pc.less_equal(pc.list_value_length(array), most),
    "unique_items": _unique_items,
    "no_null_items": lambda array, _: _without_item(array, pc.is_null),
    "items_max_chars": lambda array, most: _without_item(
        array, lambda items: pc.greater(pc.utf8_length(items), most)
    ),
    "items_lack": lambda array, regex: _without_item(
        array, lambda items: pc.match_substring_regex(items, regex)
    ),
    "max_json_bytes": _max_json_bytes,
}
"""Each test of `braze.values` over an Arrow array."""
