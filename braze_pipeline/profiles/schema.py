"""The profile contract of a template as a pandera schema.

Each rule of `braze.values` becomes one check of the same name, over a whole column at once by
Arrow. A NULL satisfies each check; whether it may be there is the column's ``nullable``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.braze.fields import sendable
from braze_pipeline.braze.values import CUSTOM_RULES, Rule, field_rules, identifier_rules
from braze_pipeline.profiles.columns import codes_of
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import pandas as pd
    import pyarrow as pa
    from pandera.pandas import Check, DataFrameSchema

    from braze_pipeline.settings import AttributeSettings, TemplateSettings

USER_ID: Final = "__user_id"
"""The column of the user identifier in the frames that are validated."""


def rules_of(attribute: AttributeSettings, *, today: date | None = None) -> tuple[Rule, ...]:
    """The rules for an attribute's values; ``today`` is the last day of birth."""
    if attribute.is_field:
        codes = codes_of(attribute.name) or None
        return field_rules(attribute.name, today=today, codes=codes)
    return CUSTOM_RULES[attribute.type]


def build_schema(t: TemplateSettings, *, today: date | None = None) -> DataFrameSchema:
    """The schema of a template: one column an attribute, under its Braze name.

    Args:
        t: The template.
        today: The as-of date, after which nobody is born; None leaves that open.
    """
    from pandera.pandas import Column, DataFrameSchema

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


def _checks(rules: tuple[Rule, ...]) -> list[Check]:
    from pandera.pandas import Check

    return [
        Check(_by_column(rule), name=rule.code, error=rule.code, ignore_na=False) for rule in rules
    ]


def _dtype(type_: ValueType) -> pd.ArrowDtype:
    import pandas as pd
    import pyarrow as pa

    types = {
        ValueType.INTEGER: pa.int64(),
        ValueType.FLOAT: pa.float64(),
        ValueType.BOOLEAN: pa.bool_(),
        ValueType.DATE: pa.date32(),
        ValueType.TIME: pa.timestamp("us"),
        ValueType.ARRAY: pa.list_(pa.string()),
    }
    return pd.ArrowDtype(types.get(type_, pa.string()))


def _by_column(rule: Rule) -> Callable[[pd.Series[Any]], pd.Series[bool]]:
    def check(values: pd.Series[Any]) -> pd.Series[bool]:
        import pandas as pd
        import pyarrow as pa
        import pyarrow.compute as pc

        array = pa.array(values)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        passed = pc.fill_null(_TESTS[rule.test](array, rule.argument), True)  # noqa: FBT003
        return pd.Series(passed.to_numpy(zero_copy_only=False), index=values.index)

    return check


def _at_most(measure: str) -> Callable[[pa.Array, int], pa.Array]:
    def test(array: pa.Array, most: int) -> pa.Array:
        import pyarrow.compute as pc

        return pc.less_equal(pc.call_function(measure, [array]), most)

    return test


def _matches(array: pa.Array, pattern: str) -> pa.Array:
    import pyarrow.compute as pc

    return pc.match_substring_regex(array, rf"\A(?:{pattern})\z")


def _lacks(array: pa.Array, pattern: str) -> pa.Array:
    import pyarrow.compute as pc

    return pc.invert(pc.match_substring_regex(array, pattern))


def _one_of(array: pa.Array, allowed: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    listed = pc.is_in(array, value_set=pa.array(allowed))
    return pc.or_(listed, pc.is_null(array))


def _between(array: pa.Array, bounds: tuple[Any, Any]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    least, most = bounds
    passed = pa.scalar(value=True)
    if least is not None:
        passed = pc.and_(passed, pc.greater_equal(array, pa.scalar(least, array.type)))
    if most is not None:
        passed = pc.and_(passed, pc.less_equal(array, pa.scalar(most, array.type)))
    return passed


def _finite(array: pa.Array, _: None) -> pa.Array:
    import pyarrow.compute as pc

    return pc.is_finite(array)


def _where_no_item(array: pa.Array, bad: pa.Array) -> pa.Array:
    """True for the lists with no bad item; ``bad`` is over the flat items."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    passed = np.ones(len(array), dtype=bool)
    hit = pc.filter(pc.list_parent_indices(array), pc.fill_null(bad, False))  # noqa: FBT003
    passed[hit.to_numpy()] = False
    return pa.array(passed)


def _no_null_items(array: pa.Array, _: None) -> pa.Array:
    import pyarrow.compute as pc

    return _where_no_item(array, pc.is_null(pc.list_flatten(array)))


def _items_max_chars(array: pa.Array, most: int) -> pa.Array:
    import pyarrow.compute as pc

    return _where_no_item(array, pc.greater(pc.utf8_length(pc.list_flatten(array)), most))


def _items_lack(array: pa.Array, pattern: str) -> pa.Array:
    import pyarrow.compute as pc

    return _where_no_item(array, pc.match_substring_regex(pc.list_flatten(array), pattern))


def _unique_items(array: pa.Array, _: None) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    parents = pc.list_parent_indices(array)
    items = pa.table({"list": parents, "item": pc.list_flatten(array)})
    counted = items.group_by(["list", "item"]).aggregate([([], "count_all")])
    twice = counted.filter(pc.greater(counted["count_all"], 1))["list"]
    return pc.invert(pc.is_in(pa.array(range(len(array)), parents.type), value_set=twice))


def _max_json_bytes(array: pa.Array, most: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    flat = pc.list_flatten(array)
    # Two quotes and a comma an item, a backslash for each sign that JSON escapes with one.
    sizes = pc.add(
        pc.add(pc.binary_length(flat), pc.count_substring_regex(flat, r'["\\\n\r\t]')), 3
    )
    parents = pc.list_parent_indices(array).to_numpy()
    total = np.bincount(parents, weights=pc.fill_null(sizes, 4).to_numpy(), minlength=len(array))
    # Two brackets, and one comma fewer than items.
    return pa.array(total + 1 <= most)


_TESTS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "max_chars": _at_most("utf8_length"),
    "max_bytes": _at_most("binary_length"),
    "matches": _matches,
    "lacks": _lacks,
    "one_of": _one_of,
    "between": _between,
    "finite": _finite,
    "max_items": _at_most("list_value_length"),
    "unique_items": _unique_items,
    "no_null_items": _no_null_items,
    "items_max_chars": _items_max_chars,
    "items_lack": _items_lack,
    "max_json_bytes": _max_json_bytes,
}
