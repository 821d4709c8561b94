"""The steps of a night as the assets run them, and for each the least that could be done instead.

A step does what its asset does, with the configuration and the SQL that the package ships. Three
settings differ: every user exists in Braze (asking for a million takes a day at Braze's limit for it),
names are not compared with Braze, and guards are off, because everything is new on a first night.
The send goes to a server in a process of its own, on this machine, which accepts everything at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.audience.build import build_audience
from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.braze.redaction import Secret
from braze_pipeline.braze.request import Body
from braze_pipeline.cli.context import DEFAULT_CONFIG
from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.overrides import NO_OVERRIDES
from braze_pipeline.plan.step import plan_days
from braze_pipeline.profiles import build_profiles
from braze_pipeline.profiles.schema import build_schema, frame_of
from braze_pipeline.send import SendJob, send_plan
from braze_pipeline.send.batches import batches
from braze_pipeline.send.step import send_days
from braze_pipeline.settings import Guards, KnownUsers, RateLimit, TemplateSettings, replace
from braze_pipeline.storage.journal import Journal
from braze_pipeline.storage.sql_text import quote
from braze_pipeline.storage.warehouse import Warehouse

KEY = {"BRAZE_API_KEY": "benchmark-key"}
THREADS = 8

_PLAIN = """
CREATE TEMP TABLE plain AS
SELECT customer_id, count(*) AS lines, sum(quantity * unit_price) AS value,
    min(ordered_at) AS first, max(ordered_at) AS last
FROM '{folder}/orders/*.parquet' WHERE customer_id IS NOT NULL GROUP BY customer_id
"""


def template(folder: Path, endpoint: str) -> TemplateSettings:
    """The template that the package ships, with our tables and no limit in the way."""
    ((config, place),) = load_configs(DEFAULT_CONFIG)
    environ = {"BRAZE_PIPELINE_SOURCES": str(folder), "BRAZE_REST_ENDPOINT": endpoint}
    (t,) = resolve(config, folder=DEFAULT_CONFIG.parent, place=place, environ=environ)
    destination = replace(
        t.destination,
        known_users=KnownUsers(source="assume"),
        preflight="off",
        rate_limit=RateLimit(requests=30_000, seconds=3.0),
    )
    none = dict.fromkeys(name for name in Guards.model_fields if name != "min_users")
    return replace(t, destination=destination, guards=Guards(**none))


def warehouse(folder: Path) -> Warehouse:
    return Warehouse(folder / "warehouse.duckdb")


def attributes(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    (built,) = build_attributes(warehouse(folder), template(folder, endpoint), [day]).summaries
    return {"customers": built.rows}


def audience(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    with warehouse(folder).connect() as con:
        return {"audience": build_audience(con, template(folder, endpoint), day).audience}


def profiles(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    t = template(folder, endpoint)
    with warehouse(folder).connect() as con:
        built = build_profiles(con, t, day, run_id=str(day), now=_now().replace(tzinfo=None))
    return {"profiles": built.profiles, "unchanged": built.unchanged}


def plan(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    made = plan_days(
        warehouse(folder), template(folder, endpoint), [day], run_id=str(day), now=_now(),
        environ=KEY, overrides=NO_OVERRIDES, log=lambda _: None,
    )  # fmt: skip
    return {"users": made.planned_users, "values": made.planned_attributes}


def send(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    """The sending itself, as the step of the send does it first."""
    t = template(folder, endpoint)
    job = SendJob(
        snapshot=snapshot(folder, endpoint, day), plan_id=snapshot(folder, endpoint, day).stem,
        template=t.name, run_id=str(day), destination=t.destination,
    )  # fmt: skip
    result = send_plan(
        job, secret=Secret(KEY["BRAZE_API_KEY"]), journal=Journal(warehouse(folder).journal_path)
    )
    return {"accepted": result.accepted_users}


def apply(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    """The whole step again: nothing is left to send, so it applies and accounts for what was."""
    outcome = send_days(
        warehouse(folder), template(folder, endpoint), [day], run_id=str(day), environ=KEY,
        log=lambda _: None,
    )  # fmt: skip
    if outcome.error or outcome.account.accepted != outcome.plan.planned_users:
        raise SystemExit(f"Not everything was accepted: {outcome.sentence()} {outcome.error}")
    return {"accepted": outcome.account.accepted, "ledger": outcome.ledger_users}


def snapshot(folder: Path, endpoint: str, day: date) -> Path:
    """The file of the day's plan."""
    t = template(folder, endpoint)
    with warehouse(folder).connect() as con:
        made = stored_plans.latest(con, t, [day])
    if made is None:
        raise SystemExit(f"There is no plan of {day}.")
    return warehouse(folder).snapshot(made.plan_id)


def plain_aggregate(folder: Path) -> dict[str, Any]:
    """For the attributes: count, sum, first and last date by customer, of the same lines."""
    with Warehouse(folder / "plain.duckdb").connect() as con:
        con.execute(_PLAIN.format(folder=folder))
    return {}


def plain_audience(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    """For the audience: one scan of the columns that its rules read."""
    t = template(folder, endpoint)
    with warehouse(folder).connect() as con:
        con.execute(
            "SELECT count(lifetime_value), count(predicted_clv), max(last_order_date), "
            "count_if(email_opted_in OR sms_opted_in) "
            f"FROM {t.table('customer_attributes')} WHERE __as_of = ?",
            [day],
        ).fetchall()
    return {}


def mapped(folder: Path, endpoint: str, day: date, file: Path) -> dict[str, Any]:
    """The day's profiles as a file, for the plain pass of the schema."""
    t = template(folder, endpoint)
    names = ", ".join(["__user_id", *(quote(a.name) for a in t.attributes)])
    with warehouse(folder).connect() as con:
        con.execute(
            f"COPY (SELECT {names} FROM {t.table('profiles')} WHERE __as_of = '{day}') TO '{file}'"
        )
    return {}


def plain_validation(folder: Path, endpoint: str, day: date, file: Path) -> dict[str, Any]:
    """For the profiles: their schema over one pandas frame of them all."""
    import pyarrow.parquet as pq

    schema = build_schema(template(folder, endpoint), today=day)
    return {"rows": len(schema.validate(frame_of(pq.read_table(file)), lazy=True))}


def plain_join(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    """For plan and ledger: every value of the day's profiles and of the ledger, in one hash join."""
    t = template(folder, endpoint)
    ledger = f"ledger.{t.destination.name}_users"
    with warehouse(folder).connect() as con:
        values = [row[0] for row in con.execute(f"DESCRIBE {ledger}").fetchall()]
        counts = [f"count(p.{quote(a.name)})" for a in t.attributes]
        counts += [f"count(l.{name})" for name in values if name.startswith("value_")]
        con.execute(
            f"SELECT {', '.join(counts)} FROM {t.table('profiles')} AS p "
            f"JOIN {ledger} AS l ON p.__user_id = l.user_id WHERE p.__as_of = '{day}'"
        ).fetchall()
    return {}


def plain_send(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    """For the send: the same bodies by the same client, without limits, journal and outcomes."""
    bodies = [Body(bytes(one.body)) for one in batches(snapshot(folder, endpoint, day), {})]
    destination = template(folder, endpoint).destination
    client = BrazeClient(destination, Secret(KEY["BRAZE_API_KEY"]), pool=THREADS)
    with ThreadPoolExecutor(THREADS) as workers:
        statuses = {answer.status for answer in workers.map(client.track, bodies)}
    if statuses - {201}:
        raise SystemExit(f"Not every request was accepted: {statuses}")
    client.close()
    return {}


def _now() -> datetime:
    return datetime.now(UTC)
