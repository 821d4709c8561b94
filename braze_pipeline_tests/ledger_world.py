"""A small world around plan and ledger: the test writes the profiles, and a dict stands for Braze.

The journal is written with SQL, as a crash may leave it, without the code of the send.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from braze_pipeline.ledger.apply import ApplySummary, apply_acknowledgements
from braze_pipeline.operations.transfer import Restored, export_ledger, import_ledger
from braze_pipeline.plan.build import build_plan
from braze_pipeline.plan.overrides import Overrides
from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline.settings import (
    AttributeSettings,
    AudienceRules,
    DestinationSettings,
    Guards,
    KnownUsers,
    TemplateSettings,
    ValueType,
    replace,
)
from braze_pipeline.storage import migrations
from braze_pipeline.storage.sql_text import quote
from braze_pipeline.storage.warehouse import Warehouse, prepare

_JOURNAL = """
CREATE TABLE IF NOT EXISTS sends (send_id INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT,
    template TEXT, plan_id TEXT, run_id TEXT, started_at TEXT, ended_at TEXT, status TEXT,
    folded_at TEXT, summary TEXT);
CREATE TABLE IF NOT EXISTS acknowledgements (send_id INTEGER, request_no INTEGER,
    first_index INTEGER, count INTEGER, acknowledged_at TEXT,
    PRIMARY KEY (send_id, request_no, first_index));
CREATE TABLE IF NOT EXISTS refusals (send_id INTEGER, request_no INTEGER, object_index INTEGER,
    status INTEGER, error TEXT, attempt INTEGER);
"""

NO_GUARDS = Guards(
    min_audience_share=None, max_audience_share=None, max_changed_share=None,
    max_null_share_rise=None, max_rejected_share=None, max_new_attributes=None,
    max_missing_share=None,
)  # fmt: skip

Profile = Mapping[str, Any]


def day(number: int) -> date:
    return date(2026, 1, 1) + timedelta(days=number)


def attribute(
    name: str, type_: ValueType = ValueType.STRING, *, is_field: bool = False, **more: Any
) -> AttributeSettings:
    more.setdefault("pii", is_field)
    return AttributeSettings(column=name, name=name, type=type_, is_field=is_field, **more)


def template(*attributes: AttributeSettings, name: str = "main", **more: Any) -> TemplateSettings:
    destination = more.pop("destination", None) or DestinationSettings(
        name="braze",
        endpoint="http://127.0.0.1:1",
        known_users=KnownUsers(source=more.pop("known", "assume")),
    )
    more.setdefault("guards", NO_GUARDS)
    return TemplateSettings(
        name=name,
        destination=destination,
        db_schema=f"data_{name}",
        attributes_sql=Path("unused.sql"),
        sources=(),
        audience=AudienceRules(),
        attributes=attributes,
        **more,
    )


@dataclass
class Braze:
    """What Braze has. Unknown users are ignored, as with update-only requests."""

    known: set[str]
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: int = 0

    def take(self, text: str) -> None:
        obj = json.loads(text)
        user = obj.pop("external_id", None) or obj.pop("braze_id")
        assert obj.pop("_update_existing_only") in (True, False)
        self.sent += len(obj)
        if user not in self.known:
            return
        profile = self.profiles.setdefault(user, {})
        for name, value in obj.items():
            if value is None:
                profile.pop(name, None)
            else:
                profile[name] = value


def damage(snapshot: Path, part: str) -> None:
    """Spoil a ``part`` of a snapshot: its ``end``, the ``footer`` (the schema) or the ``pages``."""
    content = snapshot.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    snapshot.write_bytes(
        {
            "end": content[:50],
            "footer": content[:footer] + b"\xff" * 40 + content[footer + 40 :],
            "pages": content[:4] + b"\xff" * (footer - 4) + content[footer:],
        }[part]
    )
    # A second is the least by which DuckDB sees that its copy of the footer is old.
    os.utime(snapshot, (0, 0))


class World:
    def __init__(self, folder: Path, t: TemplateSettings, *, users: Iterable[str] = ()) -> None:
        self.warehouse = Warehouse(folder / "w.duckdb")
        self.con = duckdb.connect(str(self.warehouse.path))
        prepare(self.con)
        self.t = t
        self.braze = Braze(known=set(users))
        self.now = datetime(2026, 6, 1, 12, tzinfo=UTC)
        self.runs = 0
        migrations.upgrade(self.con, self.warehouse.path)
        with closing(self.journal()) as journal:
            journal.executescript(_JOURNAL)

    def close(self) -> None:
        self.con.close()

    def journal(self) -> sqlite3.Connection:
        return sqlite3.connect(self.warehouse.journal_path)

    # -- what earlier steps leave ------------------------------------------------------------

    def profiles(
        self,
        as_of: date,
        rows: Mapping[str, Profile],
        *,
        held: Mapping[str, Sequence[str]] | None = None,
        rejected: Iterable[str] = (),
        left_out: Iterable[str] = (),
        t: TemplateSettings | None = None,
    ) -> None:
        """Write the tables of one day; ``rejected`` users are in the audience without a profile."""
        t = t or self.t
        self._tables(t)
        con = self.con
        for name in ("profiles", "audience", "customer_attributes"):
            con.execute(f"DELETE FROM {t.table(name)} WHERE __as_of = ?", [as_of])
        for user in [*rows, *rejected, *left_out]:
            out = "active" if user in left_out else None
            con.execute(
                f"INSERT INTO {t.table('audience')} VALUES (?, ?, ?, [])", [as_of, user, out]
            )
            con.execute(
                f"INSERT INTO {t.table('customer_attributes')} VALUES (?, ?, ?)",
                [as_of, user, f"raw of {user}"],
            )
        for user, values in rows.items():
            names = [a.name for a in t.attributes if a.name in values]
            columns = "".join(f", {quote(n)}" for n in names)
            marks = ", ?" * len(names)
            con.execute(
                f"INSERT INTO {t.table('profiles')} (__as_of, __user_id, __customer_id, __held"
                f"{columns}) VALUES (?, ?, ?, ?::VARCHAR[]{marks})",
                [as_of, user, user, list((held or {}).get(user, [])), *(values[n] for n in names)],
            )

    def _tables(self, t: TemplateSettings) -> None:
        columns = "".join(f", {quote(a.name)} {a.type.duckdb}" for a in t.attributes)
        self.con.execute(f"""
            CREATE SCHEMA IF NOT EXISTS {t.db_schema};
            CREATE TABLE IF NOT EXISTS {t.table("profiles")} (__as_of DATE, __user_id VARCHAR,
                __customer_id VARCHAR, __held VARCHAR[]{columns});
            CREATE TABLE IF NOT EXISTS {t.table("audience")} (__as_of DATE, customer_id VARCHAR,
                left_out_by VARCHAR, groups VARCHAR[]);
            CREATE TABLE IF NOT EXISTS {t.table("customer_attributes")} (__as_of DATE,
                customer_id VARCHAR, note VARCHAR);
        """)
        for a in t.attributes:
            self.con.execute(
                f"ALTER TABLE {t.table('profiles')} ADD COLUMN IF NOT EXISTS "
                f"{quote(a.name)} {a.type.duckdb}"
            )

    # -- the pipeline -----------------------------------------------------------------------

    def plan(self, *days: date, t: TemplateSettings | None = None, **more: Any) -> PlanSummary:
        t = t or self.t
        self._tables(t)
        self.runs += 1
        self.now += timedelta(minutes=5)
        plan = build_plan(
            self.con, self.warehouse, t, days, run_id=f"run{self.runs}", now=self.now,
            preflight=more.pop("preflight", None), overrides=Overrides(**more),
        )  # fmt: skip
        parts = (plan.planned_users, plan.unchanged_users, plan.superseded_users)
        assert plan.profiles + plan.leaving_users == sum(parts) + plan.held_back_users, parts
        return plan

    def rows(self, plan: PlanSummary) -> list[dict[str, Any]]:
        result = self.con.execute(
            "SELECT * FROM read_parquet(?) ORDER BY __request, __index",
            [str(self.warehouse.snapshot(plan.plan_id))],
        )
        names = [c[0] for c in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def sent(self, plan: PlanSummary) -> dict[str, dict[str, Any]]:
        """The attributes of each object of a plan."""
        found = {}
        for row in self.rows(plan):
            obj = json.loads(row["__object"])
            user = obj.pop("external_id", None) or obj.pop("braze_id")
            obj.pop("_update_existing_only")
            found[user] = obj
        return found

    def send(
        self,
        plan: PlanSummary,
        *,
        refuse: Iterable[str] = (),
        stop_after: int | None = None,
        lose_ack: bool = False,
        leave_running: bool = False,
        status: int = 201,
        attempt: int = 1,
        begun: int | None = None,
    ) -> int:
        """Send the requests of a plan that have no answer yet, and write the journal.

        The send ends after ``stop_after`` requests. With ``lose_ack`` one more request reaches
        Braze without an entry in the journal, as when the process is killed. A send that is not
        killed records the last request that it has ``begun``.
        """
        with closing(self.journal()) as journal, journal:
            done = set(
                journal.execute(
                    "SELECT request_no FROM acknowledgements JOIN sends USING (send_id) "
                    "WHERE plan_id = ?",
                    (plan.plan_id,),
                ).fetchall()
            )
            journal.execute(
                "UPDATE sends SET status = 'stopped', ended_at = started_at "
                "WHERE status = 'running'"
            )
            send_id = journal.execute(
                "INSERT INTO sends (destination, template, plan_id, run_id, started_at, status) "
                "VALUES (?, ?, ?, ?, ?, 'running')",
                (plan.destination, plan.template, plan.plan_id, plan.run_id, self.now.isoformat()),
            ).lastrowid
            requests: dict[int, list[dict[str, Any]]] = {}
            for row in self.rows(plan):
                requests.setdefault(row["__request"], []).append(row)
            left = [n for n in sorted(requests) if (n,) not in done]
            stopped = stop_after is not None and stop_after < len(left)
            for count, number in enumerate(left):
                if stopped and count == stop_after:
                    if lose_ack:
                        self._deliver(requests[number], refuse)
                    break
                refused = self._deliver(requests[number], refuse)
                journal.execute(
                    "INSERT INTO acknowledgements VALUES (?, ?, 0, ?, ?)",
                    (send_id, number, len(requests[number]), self.now.isoformat()),
                )
                journal.executemany(
                    "INSERT INTO refusals VALUES (?, ?, ?, ?, 'not a good object', ?)",
                    [(send_id, number, index, status, attempt) for index in refused],
                )
            ended = "stopped" if stopped else "done"
            if not leave_running:
                journal.execute(
                    "UPDATE sends SET status = ?, ended_at = ?, summary = ? WHERE send_id = ?",
                    (ended, self.now.isoformat(), json.dumps({"begun": begun}), send_id),
                )
        return int(send_id or 0)

    def acknowledge(self, plan: PlanSummary) -> None:
        """Journal a whole plan as accepted without a Braze, for plans with many users."""
        requests = self.con.execute(
            "SELECT __request, count(*) FROM read_parquet(?) GROUP BY 1",
            [str(self.warehouse.snapshot(plan.plan_id))],
        ).fetchall()
        moment = self.now.isoformat()
        with closing(self.journal()) as journal, journal:
            send_id = journal.execute(
                "INSERT INTO sends (destination, template, plan_id, run_id, started_at, ended_at, "
                "status) VALUES (?, ?, ?, ?, ?, ?, 'done')",
                (plan.destination, plan.template, plan.plan_id, plan.run_id, moment, moment),
            ).lastrowid
            journal.executemany(
                "INSERT INTO acknowledgements VALUES (?, ?, 0, ?, ?)",
                [(send_id, number, count, moment) for number, count in requests],
            )

    def _deliver(self, rows: list[dict[str, Any]], refuse: Iterable[str]) -> list[int]:
        refused = []
        for index, row in enumerate(rows):
            if row["__user_id"] in set(refuse):
                refused.append(index)
            else:
                self.braze.take(row["__object"])
        return refused

    def apply_acknowledgements(self) -> ApplySummary:
        return apply_acknowledgements(self.con, self.warehouse, self.t.destination.name)

    def run(self, *days: date, t: TemplateSettings | None = None, **more: Any) -> PlanSummary:
        """Plan, send, apply the acknowledgements."""
        refuse = more.pop("refuse", ())
        plan = self.plan(*days, t=t, **more)
        self.send(plan, refuse=refuse)
        self.apply_acknowledgements()
        return plan

    def ledger(self, name: str = "braze") -> list[tuple[Any, ...]]:
        return self.con.execute(f'SELECT * FROM ledger."{name}_users" ORDER BY user_id').fetchall()


def exported(w: World, folder: Path) -> Path:
    """Export the world's ledger."""
    file = folder / "ledger.parquet"
    export_ledger(w.con, w.warehouse, w.t, file)
    return file


def restored(w: World, file: Path) -> Restored:
    """Import an exported ledger over the world's."""
    return import_ledger(w.con, w.warehouse, [w.t], file, replace=True)


def smaller_requests(t: TemplateSettings, objects: int, **more: Any) -> TemplateSettings:
    return replace(t, destination=replace(t.destination, objects_per_request=objects, **more))
