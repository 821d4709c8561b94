"""The cost of planning and of applying acknowledgements, compared with one plain scan and hash join.

    python benchmarks/ledger.py --users 5000000 --attributes 20

The floor reads the same two tables. Each step runs in its own process, so that its peak memory and CPU
time can be measured. There are ratios for clock and CPU time, because other processes on the machine
disturb CPU time less. The first plan has an empty ledger; the next days have 0 %, 1 % and 100 % of the
users changed. ``--long`` also measures the other design for the ledger, one row per user and attribute.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from _measure import measure

from braze_pipeline.ledger.apply import apply_acknowledgements
from braze_pipeline.plan.build import build_plan
from braze_pipeline.settings import (
    AttributeSettings,
    AudienceRules,
    DestinationSettings,
    Guards,
    KnownUsers,
    TemplateSettings,
    ValueType,
)
from braze_pipeline.storage.journal import Journal
from braze_pipeline.storage.sql_text import quote
from braze_pipeline.storage.warehouse import Warehouse

FIRST = date(2026, 1, 1)
STEPS = (7919, 7927, 7933, 7937)  # primes: each day has the users in another order
KINDS = [
    (ValueType.STRING, "'name ' || {seed} % 90000"),
    (ValueType.FLOAT, "round({seed} % 1000003 / 7, 2)"),
    (ValueType.INTEGER, "{seed} % 401"),
    (ValueType.BOOLEAN, "{seed} % 3 = 0"),
    (ValueType.DATE, "DATE '2020-01-01' + ({seed} % 2000)::INTEGER"),
    (ValueType.STRING, "'tier ' || {seed} % 5"),
    (ValueType.TIME, "TIMESTAMP '2020-01-01' + INTERVAL ({seed} % 90000000) SECOND"),
    (ValueType.ARRAY, "['p' || {seed} % 4000, 'p' || {seed} % 3999, 'q' || {seed} % 50]"),
    (ValueType.STRING, "'user' || {seed} || '@example.com'"),
    (ValueType.FLOAT, "CASE WHEN {seed} % 4 > 0 THEN round({seed} % 100003 / 3, 2) END"),
]


def template(attributes: int) -> TemplateSettings:
    off = Guards(max_changed_share=None, max_new_attributes=None, max_audience_share=None)
    return TemplateSettings(
        name="bench",
        destination=DestinationSettings(
            name="bench", endpoint="http://127.0.0.1:1", known_users=KnownUsers(source="assume")
        ),
        db_schema="bench",
        attributes_sql=Path("none.sql"),
        sources=(),
        audience=AudienceRules(),
        attributes=tuple(
            AttributeSettings(
                column=f"c{n}", name=f"Attribute {n}", type=KINDS[n % len(KINDS)][0],
                is_field=False, pii=False,
            )
            for n in range(attributes)
        ),
        guards=off,
    )  # fmt: skip


def build(
    warehouse: Warehouse, t: TemplateSettings, day: date, users: int, share: float
) -> dict[str, Any]:
    """One day of profiles, in a different order from the ledger's.

    ``share`` of the users have two attributes that change from day to day (at 100 %, all attributes).
    """
    columns = []
    for n, a in enumerate(t.attributes):
        moves = (
            f"CASE WHEN i * 7919 % 1000 < {share * 1000} THEN {(day - FIRST).days * 31} ELSE 0 END"
        )
        shift = moves if n < 2 or share == 1 else "0"
        seed = f"(hash(i, {n}) % 1000000007 + {shift})::BIGINT"
        columns.append(f"{KINDS[n % len(KINDS)][1].format(seed=seed)} AS {quote(a.name)}")
    with warehouse.connect() as con:
        con.execute(f"""
            CREATE SCHEMA IF NOT EXISTS bench;
            CREATE TABLE IF NOT EXISTS {t.table("audience")} (__as_of DATE, customer_id VARCHAR,
                left_out_by VARCHAR, groups VARCHAR[]);
            CREATE OR REPLACE TABLE {t.table("profiles")} AS
            SELECT DATE '{day}' AS __as_of, 'customer-' || i AS __user_id,
                'customer-' || i AS __customer_id, []::VARCHAR[] AS __held, {", ".join(columns)}
            FROM (SELECT range * {STEPS[(day - FIRST).days]} % {users} AS i FROM range({users}))
        """)
    os.sync()  # or the next step waits for our writes
    return {}


def plan(warehouse: Warehouse, t: TemplateSettings, day: date) -> dict[str, Any]:
    with warehouse.connect() as con:
        p = build_plan(con, warehouse, t, [day], run_id="bench", now=datetime.now(UTC))
    return {
        "plan_id": p.plan_id, "users": p.planned_users, "attributes": p.planned_attributes,
        "requests": p.requests, "full": p.forecast.full_attributes,
    }  # fmt: skip


def acknowledge(warehouse: Warehouse, found: dict[str, Any], size: int) -> None:
    """A journal as a send leaves it: everything accepted, 1,000 requests per second."""
    Journal(warehouse.journal_path)
    start = datetime.now(UTC)
    with closing(sqlite3.connect(warehouse.journal_path)) as journal, journal:
        now = start.isoformat()
        row = ("bench", "bench", found["plan_id"], "bench", now, now, "done")
        send = journal.execute(
            "INSERT INTO sends (destination, template, plan_id, run_id, started_at, ended_at, "
            "status) VALUES (?, ?, ?, ?, ?, ?, ?)", row,
        ).lastrowid  # fmt: skip
        journal.executemany(
            "INSERT INTO acknowledgements (send_id, request_no, first_index, count, "
            "acknowledged_at) VALUES (?, ?, 0, ?, ?)",
            (
                (send, n, size, (start + timedelta(milliseconds=n)).isoformat())
                for n in range(found["requests"])
            ),
        )


def apply_all(warehouse: Warehouse) -> dict[str, Any]:
    with warehouse.connect() as con:
        return {"accepted": apply_acknowledgements(con, warehouse, "bench").accepted}


def plain(warehouse: Warehouse, t: TemplateSettings) -> dict[str, Any]:
    """The floor: every value of both tables through one hash join."""
    names = [quote(a.name) for a in t.attributes]
    mine = ", ".join(f"count(p.{n}), count(l.value_{k})" for k, n in enumerate(names, start=1))
    with warehouse.connect() as con:
        con.execute(
            f"SELECT {mine} FROM {t.table('profiles')} p JOIN ledger.bench_users l "
            "ON p.__user_id = l.user_id"
        ).fetchall()
    return {}


def make_long(warehouse: Warehouse, attributes: int) -> dict[str, Any]:
    rows = " UNION ALL ".join(
        f"SELECT user_id, {k} AS attribute, value_{k}::VARCHAR AS value, ack_{k} AS ack "
        f"FROM ledger.bench_users WHERE ack_{k} IS NOT NULL"
        for k in range(1, attributes + 1)
    )
    with warehouse.connect() as con:
        con.execute(f"CREATE OR REPLACE TABLE long AS {rows}")
    return {}


def diff_long(warehouse: Warehouse, t: TemplateSettings) -> dict[str, Any]:
    rows = " UNION ALL ".join(
        f"SELECT __user_id AS user_id, {k} AS attribute, {quote(a.name)}::VARCHAR AS value "
        f"FROM {t.table('profiles')} WHERE {quote(a.name)} IS NOT NULL"
        for k, a in enumerate(t.attributes, start=1)
    )
    with warehouse.connect() as con:
        changed = con.execute(
            f"SELECT count(*) FROM ({rows}) p FULL JOIN long l USING (user_id, attribute) "
            "WHERE p.value IS DISTINCT FROM l.value"
        ).fetchone()
    return {"changed": changed[0] if changed else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    # With fewer users the plain join fits into the caches, and the ratio means little.
    parser.add_argument("--users", type=int, default=5_000_000)
    parser.add_argument("--attributes", type=int, default=20)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        run(Warehouse(folder / "warehouse.duckdb"), options)
    finally:
        shutil.rmtree(folder)


def run(warehouse: Warehouse, options: argparse.Namespace) -> None:
    t = template(options.attributes)
    for number, share in enumerate((0.0, 0.0, 0.01, 1.0)):
        first, day = number == 0, FIRST + timedelta(days=number)
        name = "first run" if first else f"{share:.0%} changed"
        measure("(preparing the day)", build, warehouse, t, day, options.users, share)
        floors = (
            [] if first else [measure("plain scan, join", plain, warehouse, t)[0] for _ in "123"]
        )
        planned, found = measure(f"plan, {name}", plan, warehouse, t, day)
        acknowledge(warehouse, found, t.destination.objects_per_request)
        applied, _ = measure(f"apply acknowledgements, {name}", apply_all, warehouse)
        for unit, which in (("clock", 0), ("CPU", 1)) if floors else ():
            floor = min(cost[which] for cost in floors)
            print(
                f"  {name}, {unit}: plan {planned[which] / floor:.2f} x, apply "
                f"{applied[which] / floor:.2f} x, together "
                f"{(planned[which] + applied[which]) / floor:.2f} x the plain join"
            )
        share_sent = found["attributes"] / found["full"]
        print(f"  {name}: {share_sent:.2%} of the attributes of a full resend")
        if options.long and number == 1:
            measure("long: build", make_long, warehouse, options.attributes)
            measure("long: diff", diff_long, warehouse, t)
    print(f"database {warehouse.path.stat().st_size / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
