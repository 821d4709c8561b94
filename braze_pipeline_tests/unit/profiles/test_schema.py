"""The checks by column agree with the rules by value."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from braze_pipeline.braze.values import first_broken_rule
from braze_pipeline.profiles.rules import rules_of
from braze_pipeline.profiles.schema import build_schema, frame_of
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.profiles_world import DAY, custom, field_of, template

text = st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)

CASES: dict[str, tuple[Any, Any, pa.DataType]] = {
    "string": (custom("A", ValueType.STRING), text, pa.string()),
    "integer": (custom("A", ValueType.INTEGER), st.integers(-(2**63), 2**63 - 1), pa.int64()),
    "float": (custom("A", ValueType.FLOAT), st.none() | st.floats(), pa.float64()),
    "boolean": (custom("A", ValueType.BOOLEAN), st.none() | st.booleans(), pa.bool_()),
    "date": (custom("A", ValueType.DATE), st.none() | st.dates(), pa.date32()),
    "time": (custom("A", ValueType.TIME), st.none() | st.datetimes(), pa.timestamp("us")),
    "array": (
        custom("A", ValueType.ARRAY),
        st.none() | st.lists(text, max_size=5),
        pa.list_(pa.string()),
    ),
    "object": (custom("A", ValueType.OBJECT), text, pa.string()),
    "objects": (custom("A", ValueType.OBJECTS), text, pa.string()),
    "email": (field_of("email"), text | st.emails(), pa.string()),
    "phone": (field_of("phone"), text | st.from_regex(r"\A\+[0-9]{3,17}\Z"), pa.string()),
    "dob": (field_of("dob"), st.none() | st.dates(), pa.date32()),
    "gender": (field_of("gender"), text | st.sampled_from("MFONPX"), pa.string()),
    "country": (field_of("country"), text | st.sampled_from(["GB", "UK", "gb"]), pa.string()),
    "image_url": (field_of("image_url"), text.map(lambda t: t and f"https://{t}"), pa.string()),
}


@pytest.mark.parametrize("case", CASES)
def test_checks_by_column_agree_with_the_rules_by_value(case: str) -> None:
    attribute, values, type_ = CASES[case]
    schema = build_schema(template(attribute), today=DAY)
    rules = rules_of(attribute, today=DAY)

    @settings(max_examples=40)
    @given(st.lists(values, min_size=1, max_size=12))
    def agree(column: list[Any]) -> None:
        ids = [f"u{n}" for n in range(len(column))]
        frame = frame_of(pa.table({"__user_id": ids, attribute.name: pa.array(column, type_)}))
        assert failures(schema, frame) == {
            (n, code)
            for n, value in enumerate(column)
            if (code := first_broken_rule(rules, value)) is not None
        }

    agree()


def failures(schema: Any, frame: pd.DataFrame) -> set[tuple[int, str]]:
    """The first check that each row fails."""
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases.drop_duplicates("index", keep="first")
        return {
            (int(index), str(check))
            for index, check in zip(cases["index"], cases["check"], strict=True)
        }
    return set()


def test_a_required_attribute_may_not_be_null() -> None:
    schema = build_schema(template(custom("A", ValueType.STRING, required=True)))
    frame = frame_of(pa.table({"__user_id": ["u"], "A": pa.array([None], pa.string())}))
    assert failures(schema, frame) == {(0, "not_nullable")}


def test_restricted_personal_data_is_not_in_the_schema() -> None:
    t = template(field_of("email"), custom("A", ValueType.STRING), restricted_pii=True)
    assert list(build_schema(t).columns) == ["__user_id", "A"]
