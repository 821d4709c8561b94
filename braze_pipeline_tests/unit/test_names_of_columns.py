"""Whatever a brand calls its columns, exactly their values are sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.audience.build import build_audience
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.plan.build import build_plan
from braze_pipeline.profiles import build_profiles, preview
from braze_pipeline.settings import AttributeSettings, RecipientGroup, TemplateSettings, ValueType
from braze_pipeline.storage.sql_text import literal, quote
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.ledger_world import NO_GUARDS
from braze_pipeline_tests.shop import Line, Shop, build, template

DAY = date(2011, 12, 9)
NOW = datetime(2011, 12, 10)  # noqa: DTZ001 - tables hold UTC without saying so
CUSTOMERS = ("1", "2", "3")
SHOP = Shop(customers=CUSTOMERS, lines=[Line("A", "1", NOW - timedelta(9), "1", "BAG", 1, 100)])
NEEDED = (
    "customer_id, 5.0 AS lifetime_value, 1 AS l12m_recency, 'a@example.com' AS email, "
    "'x' AS phone, true AS email_opted_in, true AS sms_opted_in"
)
TAKEN = {
    "customer_id", "lifetime_value", "l12m_recency", "email", "phone", "email_opted_in",
    "sms_opted_in",
}  # fmt: skip

NASTY = [
    # names that the pipeline uses, now or in an earlier version
    "groups", "GROUPS", "left_out_by", "audience_id", "rowid", "as_of", "user_id", "held", "rows",
    "attributes", "audience", "customer_attributes", "given", "name", "item", "n", "k", "a", "b",
    "c", "p", "s", "l", "q", "m", "day", "t0", "v0", "v1", "e0", "e1", "r0", "h0", "n0", "c0", "o0",
    "value_1", "ack_1", "changed_1", "new_1", "old_1", "profile_1", "evaluated_1",
    "rid", "value", "number", "code", "raw", "params", "problem", "_as_of", "memory", "main",
    # SQL keywords
    "select", "from", "order", "as", "*", "table", "null", "true", "end", "struct_extract",
    # punctuation
    '"', "'", '"; DROP TABLE x; --', "a.b", "a b", " a ", "\n", "$as_of", "?", "{}", "%s", "\\",
    "-- a", "/*", "a\u0000b".replace("\u0000", ""), "\u212a", "stra\u00dfe", "STRASSE", "\u0130",
    "\u00e9", "e\u0301", "\u00c9", "ÄÖ", "äö", "名前", "\U0001f600", "\u202ea",
]  # fmt: skip


def folded(name: str) -> str:
    """A name as DuckDB compares it: only the case of ASCII letters is ignored."""
    return "".join(sign.lower() if sign.isascii() else sign for sign in name)


some_name = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
).filter(lambda name: folded(name) not in TAKEN and not name.startswith("__"))
some_names = st.lists(some_name, min_size=1, max_size=5, unique_by=folded)
some_types = st.sampled_from(["string", "array", "object", "integer"])


def value(customer: str, number: int, kind: str) -> Any:
    """A value that no other customer, column or table has."""
    text = f"{customer}-{number}"
    return {
        "string": text,
        # One item is there twice, so that the last of the duplicates has to be found.
        "array": [text, "b", text],
        # With the pipeline's own column names, so that a qualified name could be one of its fields.
        "object": {"customer_id": text, "groups": "all", "left_out_by": "x", "x": text},
        "integer": int(customer) * 1000 + number,
    }[kind]


def sent(kind: str, given: Any) -> Any:
    return given[1:] if kind == "array" else given


def sql_of(names: Sequence[str], kinds: Sequence[str]) -> str:
    parts = []
    for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        cases = " ".join(
            f"WHEN {literal(c)} THEN {in_sql(value(c, number, kind))}" for c in CUSTOMERS
        )
        parts.append(f"CASE customer_id {cases} END AS {quote(name)}")
    return f"SELECT {', '.join([*parts, NEEDED])}\nFROM customers WHERE DATE '2000-01-01' < $as_of"


def in_sql(given: Any) -> str:
    if isinstance(given, str):
        return literal(given)
    if isinstance(given, list):
        return f"[{', '.join(map(literal, given))}]"
    if isinstance(given, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in given.items()) + "}"
    return str(given)


def campaign(names: Sequence[str], kinds: Sequence[str], sql: Path) -> TemplateSettings:
    attributes = tuple(
        AttributeSettings(
            column=name,
            name=f"Attribute {number}",
            type=ValueType(kind),
            is_field=False,
            pii=False,
            on_leave="clear",
        )
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    everything = tuple(a.name for a in attributes)
    return template(
        sql,
        attributes=attributes,
        kind="campaign",
        groups=(
            RecipientGroup(name="all", where="customer_id IN ('1', '2')", attributes=everything),
            RecipientGroup(name="none", where="customer_id = '3'", attributes=("Attribute 0",)),
        ),
        guards=NO_GUARDS,
    )


def planned(names: Sequence[str], kinds: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Run the brand's SQL up to the plan; return the plan's objects by user."""
    sql = folder / "mine.sql"
    sql.write_text(sql_of(names, kinds), encoding="utf-8")
    t = campaign(names, kinds, sql)
    warehouse = Warehouse(folder / "w.duckdb")
    with warehouse.connect() as con:
        SHOP.attach(con)
        # Run twice, so that the second run finds the tables of the first.
        for _ in range(2):
            build(con, t, DAY)
            build_audience(con, t, DAY)
            build_profiles(con, t, DAY, run_id="run", now=NOW)
        assert len(preview(con, t, DAY)) == len(CUSTOMERS)
        plan = build_plan(con, warehouse, t, [DAY], run_id="run", now=NOW)
        rows = con.execute(
            "SELECT __user_id, __object FROM read_parquet(?)",
            [str(warehouse.snapshot(plan.plan_id))],
        ).fetchall()
    objects = {user: json.loads(text) for user, text in rows}
    for user, found in objects.items():
        assert found.pop("external_id") == user
        assert found.pop("_update_existing_only") is True
    return objects


@given(names=some_names, data=st.data())
@settings(max_examples=8)
def test_every_column_is_sent_with_its_own_values_whatever_its_name(
    names: list[str], data: st.DataObject
) -> None:
    kinds = [data.draw(some_types) for _ in names]
    with TemporaryDirectory() as folder:
        found = planned(names, kinds, Path(folder))
    wanted = {
        customer: {
            f"Attribute {number}": sent(kind, value(customer, number, kind))
            for number, kind in enumerate(kinds)
            if customer != "3" or number == 0
        }
        for customer in CUSTOMERS
    }
    assert found == wanted


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["groups"], ["array"]),
        (["GROUPS", "v0", "e1"], ["string", "string", "string"]),
        (["item", "n"], ["array", "array"]),
        (["a", "c", "b", "audience", "attributes"], ["object"] * 5),
        (["rowid", "rows", "left_out_by"], ["integer", "object", "string"]),
        (["straße", "STRASSE", "ä", "Ä", "\u212a"], ["string"] * 5),
    ],
)
def test_a_brand_may_use_the_names_of_the_pipelines_own_tables_and_columns(
    tmp_path: Path, names: list[str], kinds: list[str]
) -> None:
    found = planned(names, kinds, tmp_path)
    for number, kind in enumerate(kinds):
        name = f"Attribute {number}"
        assert found["1"][name] == sent(kind, value("1", number, kind))
        assert found["2"][name] == sent(kind, value("2", number, kind))
        assert (name in found["3"]) == (number == 0)


@pytest.mark.parametrize("name", ["__as_of", "__AS_OF", "__groups", "__anything"])
def test_names_that_begin_with_two_underscores_are_reserved_and_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigurationError, match="two underscores") as caught:
        planned([name], ["string"], tmp_path)
    assert f"{name}" in str(caught.value)
    assert "EXCLUDE" in caught.value.fix


@pytest.mark.parametrize("second", ["tier", "TIER"])
def test_two_columns_with_the_same_name_are_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, second: str
) -> None:
    SHOP.attach(con)
    sql = tmp_path / "mine.sql"
    sql.write_text(sql_of(["tier", second], ["string", "string"]), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"two columns .* tier and {second}"):
        build(con, template(sql), DAY)
