"""After any sequence of days, reading what changed gives the same as reading every row.

Two warehouses see the same days, templates and accidents. In one of them no build may copy from an
earlier day. Profiles and rejections of all days must be equal after each build, and the summaries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braze_pipeline.profiles import parts
from braze_pipeline.settings import RecipientGroup, TemplateSettings, ValueType, replace
from braze_pipeline_tests.profiles_world import DAY, World, custom, field_of, template

CUSTOMERS = ("a", "b", "c", "d")
DAYS = [DAY + timedelta(days=n) for n in range(4)]
VALUES: dict[str, list[Any]] = {
    "user": ["u1", "u2", "u1", "", None],
    "email": ["x@example.com", "X@Example.com", "nobody", None],
    "dob": ["1980-05-01", "2011-11-02", "03/11/2011", "2011-11-04", "1900-01-01", "soon", None],
    "score": [0.0, -0.0, 1.5, float("nan"), None],
    "tags": [["a", "b"], ["b", "a"], ["a, b"], ["a", None], [], None],
    "place": [{"x": 0.0}, {"x": -0.0}, {"x": None}, None],
    "phone": ["07911 123456", "+447911123456", "12", None],
    "country": ["GB", "France", "?", None],
}
TYPES: dict[str, pa.DataType] = {
    "score": pa.float64(),
    "tags": pa.list_(pa.string()),
    "place": pa.struct([("x", pa.float64())]),
}
EMAIL, DOB = field_of("email"), field_of("dob", date_order="dmy")
SCORE, TAGS = custom("Score", ValueType.STRING), custom("Tags", ValueType.ARRAY)
PLACE = custom("Place", ValueType.OBJECT)
PHONE = field_of("phone", region_column="country")
PLAIN = template(EMAIL, DOB, SCORE, TAGS, PLACE)
TEMPLATES = (
    PLAIN,
    replace(PLAIN, attributes=(EMAIL, replace(DOB, required=True), SCORE)),
    replace(PLAIN, attributes=(PHONE, DOB, TAGS), default_region="GB"),
    replace(
        PLAIN,
        identifier_column="user",
        destination=replace(PLAIN.destination, identifier="braze_id"),
    ),
    replace(
        PLAIN,
        kind="campaign",
        groups=(
            RecipientGroup(name="g", where="true", attributes=("dob", "Score")),
            RecipientGroup(name="h", where="true", attributes=("email", "dob")),
        ),
    ),
)

edits = st.one_of(
    [
        st.tuples(st.sampled_from(CUSTOMERS), st.just(name), st.sampled_from(values))
        for name, values in VALUES.items()
    ]
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What happens to a day: its rows are written and built, or only a part of that."""

    day: date
    template: TemplateSettings
    edits: tuple[tuple[str, str, Any], ...]
    members: frozenset[str]
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    without: str | None
    done: str


steps = st.builds(
    Step,
    day=st.sampled_from(DAYS),
    template=st.one_of(st.just(PLAIN), st.sampled_from(TEMPLATES)),
    edits=st.lists(edits, max_size=3).map(tuple),
    members=st.sampled_from([frozenset(CUSTOMERS)] * 3 + [frozenset("ab"), frozenset("bcd")]),
    groups=st.fixed_dictionaries(
        dict.fromkeys(CUSTOMERS, st.sampled_from([("g",), ("h",), ("g", "h")]))
    ),
    without=st.sampled_from([None, None, None, "phone", "score"]),
    done=st.sampled_from(["all"] * 6 + ["profiles", "attributes", "audience", "forget", "prune"]),
)
first = st.fixed_dictionaries(
    {
        customer: st.fixed_dictionaries(
            {name: st.sampled_from(values) for name, values in VALUES.items()}
        )
        for customer in CUSTOMERS
    }
)


@pytest.fixture(autouse=True)
def days_of_four_have_a_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of four rows is more than a base may lose; here it takes three."""
    monkeypatch.setattr(parts, "MOST_REPLACED", 0.6)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    folder: Path = tmp_path_factory.mktemp("unchanged")
    with (
        duckdb.connect(str(folder / "a.duckdb")) as a,
        duckdb.connect(str(folder / "b.duckdb")) as b,
    ):
        yield World(a), World(b)


def table_of(rows: dict[str, dict[str, Any]], step: Step) -> pa.Table:
    read = {
        name.lower() for a in step.template.attributes for name in (a.column, a.region_column or "")
    }
    columns: dict[str, pa.Array] = {"customer_id": pa.array(list(rows))}
    for name in VALUES:
        if name != step.without or name in read:
            columns[name] = pa.array(
                [row[name] for row in rows.values()], TYPES.get(name, pa.string())
            )
    return pa.table(columns)


def carry_out(world: World, step: Step, rows: pa.Table) -> Any:
    """One step; the summary where profiles were built."""
    t, tables = step.template, ("customer_attributes", "audience", "profiles")
    there = {
        name for (name,) in world.con.execute(
            "SELECT table_name FROM records.days WHERE as_of = ?", [step.day]
        ).fetchall()
    }  # fmt: skip
    world.groups = {customer: list(groups) for customer, groups in step.groups.items()}
    match step.done:
        case "attributes":
            world.write(t, rows, step.day)
            return None
        case "audience" if t.table("customer_attributes") in there:
            world.write_audience(t, step.day, members=step.members)
            return None
        case "forget":
            customer = min(step.members)
            for table, column in world.con.execute(
                "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() "
                "WHERE schema_name IN ('loyal', 'records') "
                "AND column_name IN ('customer_id', '__customer_id') "
                "AND table_name NOT IN ('profiles', 'rejections')"
            ).fetchall():
                world.con.execute(f"DELETE FROM {table} WHERE {column} = ?", [customer])
            return None
        case "prune":
            for name in sorted(there & set(map(t.table, tables))):
                if name == t.table("profiles"):
                    for own in ("profile_days", "profile_replaced"):
                        world.con.execute(f"DELETE FROM records.{own} WHERE as_of = ?", [step.day])
                else:
                    world.con.execute(f"DELETE FROM {name} WHERE __as_of = ?", [step.day])
                world.con.execute(
                    "DELETE FROM records.days WHERE table_name = ? AND as_of = ?", [name, step.day]
                )
            return None
        case "profiles" if t.table("customer_attributes") in there:
            pass
        case _:
            world.write(t, rows, step.day, members=step.members)
    return world.build(t, step.day)


def outcome(world: World) -> list[Any]:
    found: list[Any] = []
    tables = world.con.execute(
        "SELECT 1 FROM duckdb_views() WHERE schema_name = 'loyal' AND view_name = 'profiles'"
    ).fetchall()
    if tables:
        result = world.con.execute("SELECT * FROM loyal.profiles ORDER BY __as_of, __customer_id")
        found += [[column[0] for column in result.description], result.fetchall()]
    return [*found, world.con.execute("SELECT * FROM records.rejections ORDER BY ALL").fetchall()]


@settings(
    max_examples=6,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(rows=first, sequence=st.lists(steps, min_size=2, max_size=6))
def test_reading_only_what_changed_gives_what_reading_every_row_gives(
    both: tuple[World, World], rows: dict[str, dict[str, Any]], sequence: list[Step]
) -> None:
    for world in both:
        world.con.execute("DROP SCHEMA IF EXISTS loyal CASCADE")
        tables = ("days", "profile_days", "profile_replaced", "profile_rejections",
                  "normalised_values")  # fmt: skip
        for table in tables:
            world.con.execute(f"DELETE FROM records.{table}")
    part, full = both
    for step in sequence:
        for customer, name, value in step.edits:
            rows[customer][name] = value
        given_rows = table_of(rows, step)
        full.con.execute("UPDATE records.days SET made_from = NULL")
        results = []
        for world in (part, full):
            try:
                results.append(carry_out(world, step, given_rows))
            except Exception as error:  # noqa: BLE001 - the other warehouse must raise it too
                results.append(f"{type(error).__name__}: {error}")
        assert results[0] == results[1]
        assert outcome(part) == outcome(full)
