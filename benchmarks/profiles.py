"""The cost of mapping and validation, compared with one plain pandas pass of the same pandera schema.

    python benchmarks/profiles.py --rows 1000000

The rows are messy: phones in national formats, e-mails in capitals, countries as names and codes,
dates in several formats, and some values of each that cannot be read. The first day reads every
raw value; on the second day nothing has changed, and on the third 1 % of the customers have new values.
Each step runs in its own process, so that its peak memory can be measured; a few rows are built before
the clock starts, so that imports do not count. The floor is one validation of all mapped rows as a single
pandas frame, in the same run: the median of three. It fails if a build needs more memory than its bound.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from _measure import measure

from braze_pipeline.audience.build import build_audience
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.profiles import build_profiles, staging
from braze_pipeline.profiles.schema import build_schema, frame_of
from braze_pipeline.settings import (
    AttributeSettings,
    AudienceRules,
    DestinationSettings,
    TemplateSettings,
    ValueType,
)
from braze_pipeline.storage.partitions import replace_partition
from braze_pipeline.storage.sql_text import quote
from braze_pipeline.storage.warehouse import Warehouse

FIRST = date(2026, 1, 1)

BASE_MB, ROW_KB = 600, 1.5
"""The bound of a build's peak memory: so much for libraries and pages, and for each row read."""

FIELD_COLUMNS = {
    "first_name": "CASE WHEN {n} % 9 = 0 THEN ' anna  maria' ELSE 'Name' || {n} % 5000 END",
    "last_name": "'Surname' || {n} % 90000",
    "email": """CASE {s} % 10 WHEN 0 THEN 'CUSTOMER.' || {s} || '@Example.COM'
        WHEN 1 THEN 'customer' || {s} || '(at)example'
        ELSE 'customer' || {s} || '@example.com' END""",
    "phone": """CASE {s} % 10 WHEN 0 THEN '+4479' || lpad(({s} % 99999999)::VARCHAR, 8, '0')
        WHEN 1 THEN '123' WHEN 2 THEN NULL
        ELSE '079' || lpad(({s} % 99999999)::VARCHAR, 8, '0')[:2] || ' '
            || lpad(({s} % 999999)::VARCHAR, 6, '0') END""",
    "country": """['GB', 'United Kingdom', 'EIRE', 'gb', 'Deutschland', 'FRA', 'USA', 'Unspecified',
        'Channel Islands', 'GB']""" + "[{n} % 10 + 1]",
    "home_city": "'City' || {n} % 900",
    "dob": """CASE {n} % 4 WHEN 0 THEN strftime(DATE '1950-01-01' + ({n} % 20000)::INTEGER, '%Y%m%d')
        WHEN 1 THEN strftime(DATE '1950-01-01' + ({n} % 20000)::INTEGER, '%d/%m/%Y')
        WHEN 2 THEN strftime(DATE '1950-01-01' + ({n} % 20000)::INTEGER, '%d.%m.%Y')
        ELSE '00/00/0000' END""",
    "gender": "['F', 'M', 'female', 'Male', 'unknown', 'f'][{n} % 6 + 1]",
}  # fmt: skip
CUSTOM_COLUMNS = {
    "L12M Monetary": (ValueType.FLOAT, "round({s} % 1000003 / 7, 4)"),
    "L12M Frequency": (ValueType.INTEGER, "{s} % 401"),
    "Lifetime Value": (ValueType.FLOAT, "if({n} % 500 = 0, 'NaN'::DOUBLE, {s} / 3)"),
    "First Order Date": (ValueType.DATE, "DATE '2020-01-01' + ({n} % 2000)::INTEGER"),
    "One and Done": (ValueType.BOOLEAN, "{n} % 3 = 0"),
    "Value Tier": (ValueType.STRING, "'tier ' || {n} % 5"),
    "Last Seen": (ValueType.TIME, "TIMESTAMP '2020-01-01' + INTERVAL ({n} % 90000000) SECOND"),
    "Favourite Products": (ValueType.ARRAY, "['p' || {n} % 4000, 'p' || {s} % 3999]"),
    "Note": (ValueType.STRING, "if({n} % 100 = 0, repeat('x', 300), 'note ' || {n})"),
}  # fmt: skip


def template() -> TemplateSettings:
    fields = [
        AttributeSettings(
            column=name,
            name=name,
            type=FIELDS[name].type,
            is_field=True,
            pii=True,
            date_order="dmy",
            region_column="country" if name == "phone" else None,
        )
        for name in FIELD_COLUMNS
    ]
    custom = [
        AttributeSettings(
            column=name, name=name, type=type_, is_field=False, pii=False, precision=2
        )
        for name, (type_, _) in CUSTOM_COLUMNS.items()
    ]
    return TemplateSettings(
        name="bench",
        destination=DestinationSettings(name="bench", endpoint="http://127.0.0.1:1"),
        db_schema="bench",
        attributes_sql=Path("customer_attributes.sql"),
        sources=(),
        audience=AudienceRules(rules=()),
        attributes=(*fields, *custom),
        time_zone="Europe/London",
        default_region="GB",
    )


def prepare(path: Path, rows: int, day: int, changed: int) -> dict[str, float]:
    """The customer attributes of a day, on which 1 % of the customers have a new seed, or none."""
    seed = f"(n + CASE WHEN n % 100 < {changed} THEN {rows} ELSE 0 END)"
    columns = {**FIELD_COLUMNS, **{name: sql for name, (_, sql) in CUSTOM_COLUMNS.items()}}
    shown = ", ".join(f"{sql.format(n='n', s=seed)} AS {quote(c)}" for c, sql in columns.items())
    as_of = FIRST + timedelta(days=day)
    with Warehouse(path).connect() as con:
        query = f"SELECT 'c' || n AS customer_id, {shown} FROM range({rows}) AS r(n)"
        replace_partition(con, template(), "customer_attributes", as_of, query)
        build_audience(con, template(), as_of)
    return {}


def build(path: Path, day: int) -> dict[str, float]:
    now = datetime.now(UTC).replace(tzinfo=None)
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.duckdb"
        prepare(few, 100, 0, 0)
        with Warehouse(few).connect() as con:
            build_profiles(con, template(), FIRST, run_id="b", now=now)
    with Warehouse(path).connect() as con:
        start, cpu = time.perf_counter(), time.process_time()
        found = build_profiles(con, template(), FIRST + timedelta(days=day), run_id="b", now=now)
        took, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "seconds": took,
        "cpu": cpu,
        "new raw": found.new_raw_values,
        "unchanged": found.unchanged,
        "rejected": found.rejected_values,
    }


def map_only(path: Path, day: int, mapped: Path) -> dict[str, float]:
    """The mapped rows of the day as a Parquet file, for the floor."""
    t, as_of = template(), FIRST + timedelta(days=day)
    with Warehouse(path).connect() as con:
        types = staging.source_types(con, t)
        columns = staging.plan_columns(t, types)
        staging.stage(con, t, columns, as_of, since=None)
        staging.map_rows(con, columns)
        names = ", ".join(["__user_id", *(quote(c.attribute.name) for c in columns)])
        con.execute(f"COPY (SELECT {names} FROM {staging.MAPPED}) TO '{mapped}'")
    return {}


def plain(mapped: Path, day: int) -> dict[str, float]:
    """The mapped rows as one pandas frame, validated at once."""
    import pyarrow.parquet as pq
    from pandera.errors import SchemaErrors

    frame = frame_of(pq.read_table(mapped))
    schema = build_schema(template(), today=FIRST + timedelta(days=day))
    turns = []
    for _ in range(3):
        start, cpu = time.perf_counter(), time.process_time()
        failures = 0
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as errors:
            failures = len(errors.failure_cases)
        turns.append((time.perf_counter() - start, time.process_time() - cpu))
    seconds, cpu = map(statistics.median, zip(*turns, strict=True))
    return {"seconds": seconds, "cpu": cpu, "rejected": failures}


def measured(label: str, work: Callable[..., Any], *arguments: object) -> dict[str, float]:
    """The result of a step, with its peak memory."""
    cost, found = measure(label, work, *arguments)
    return found | {"peak MB": cost.peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        measured("(preparing the first day)", prepare, path, rows, 0, 0)
        mapped = Path(folder) / "mapped.parquet"
        first = measured("first day", build, path, 0)
        measured("(mapping for the floor)", map_only, path, 0, mapped)
        floor = measured("floor", plain, mapped, 0)
        again = measured("first day again", build, path, 0)
        measured("(preparing the second day)", prepare, path, rows, 1, 0)
        same = measured("second day", build, path, 1)
        measured("(preparing the third day)", prepare, path, rows, 2, 1)
        following = measured("third day", build, path, 2)
    print(f"{rows:,} rows, {len(FIELD_COLUMNS) + len(CUSTOM_COLUMNS)} attributes")
    print(
        f"{'step':<38}{'seconds':>9}{'x floor':>9}{'cpu s':>8}{'x floor':>9}{'rows/s':>11}"
        f"{'peak MB':>9}{'new raw':>11}{'unchanged':>11}"
    )
    for name, step in (
        ("floor: schema over one pandas frame", floor),
        ("first day: all values are new", first),
        ("first day again: all values are known", again),
        ("next day: nothing changed", same),
        ("next day: 1 % of the rows changed", following),
    ):
        print(
            f"{name:<38}{step['seconds']:>9.1f}{step['seconds'] / floor['seconds']:>9.2f}"
            f"{step['cpu']:>8.1f}{step['cpu'] / floor['cpu']:>9.2f}"
            f"{rows / step['seconds']:>11,.0f}{step['peak MB']:>9,.0f}"
            f"{step.get('new raw', 0):>11,.0f}{step.get('unchanged', 0):>11,.0f}"
        )
    print(f"rejected values: {first['rejected']:,.0f} on the first day")
    most, bound = max(first["peak MB"], again["peak MB"]), BASE_MB + ROW_KB * rows / 1000
    print(f"peak memory of a build: {most:,.0f} MB, of at most {bound:,.0f} MB")
    if most > bound:
        sys.exit("A build needs more memory than its bound.")


if __name__ == "__main__":
    main()
