"""The same work with what is used elsewhere: pandas, Polars and Spark; requests and a Braze client.

The attributes compared are the fifteen that come from order lines (`COLUMNS`): all that makes the
sample's SQL expensive. The peers read the same files and write Parquet; they do not check the sources,
join profile fields, consent and predictions, or replace a day of a database, as our step does. Each
peer's rows are compared with ours, value by value. The sends post the same plan to the same server.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import _attributes_pandas
import _attributes_polars
import _night
import _shop
from _measure import Cost, measure
from _report import Night, Peer

from braze_pipeline.send.batches import batches
from braze_pipeline.storage.sql_text import quote

COLUMNS = (
    "l12m_monetary", "l12m_frequency", "l12m_recency", "lifetime_value", "lifetime_orders",
    "average_order_value", "first_order_date", "last_order_date", "one_and_done",
    "early_repeat_purchaser", "value_tier", "rfm_score", "return_rate", "favourite_products",
    "days_between_orders",
)  # fmt: skip
_NUMBERS = ("l12m_monetary", "lifetime_value", "average_order_value", "return_rate",
            "days_between_orders")  # fmt: skip
THREADS = 16
SPARK_SQL = Path(_night.DEFAULT_CONFIG).with_name("customer_attributes.spark.sql")
SPARK = Path(__file__).parent.parent / "examples/spark/.venv/bin/python"


def compare(folder: Path, endpoint: str, night: Night) -> dict[str, list[Peer]]:
    """Every peer on the first night's tables and plan."""
    day = _shop.LAST
    ours = night.steps["attributes"]
    attributes = [Peer("customer_attributes, the whole step", ours, "all 31 columns")]
    for name, module, work in (
        ("Polars", "polars", _attributes_polars.attributes),
        ("pandas", "pandas", _attributes_pandas.attributes),
        ("Spark, local mode", "json" if SPARK.exists() else "", _spark),
    ):
        attributes.append(_attributes_of(name, module, work, folder, endpoint, day))
    users = night.found["users"]
    sends = [
        Peer("braze_send", night.steps["send"], f"{users / night.steps['send'].clock:,.0f} users/s")
    ]
    for name, module, work in (
        ("requests.post in a loop", "requests", _loop),
        (f"requests.post, {THREADS} threads", "requests", _pool),
        ("braze-client-p311", "braze", _client),
    ):
        sends.append(_send_of(name, module, work, folder, endpoint, day, users))
    return {"attributes from order lines": attributes, "sending the plan": sends}


def _attributes_of(
    name: str, module: str, work: Callable[..., Any], folder: Path, endpoint: str, day: date
) -> Peer:
    if not module or not find_spec(module):
        return Peer(name, None, "not installed")
    file = folder / f"{name.split(',', maxsplit=1)[0]}.parquet"
    try:
        cost, other = measure(name, work, folder, day, file)
    except SystemExit:
        return Peer(name, None, "did not end: out of memory, or an error")
    if "other_process_id" in other:
        java = other["other_process_id"]
        cost = Cost(*(a + b for a, b in zip(cost, java, strict=True)))
    _, found = measure(f"({name}, compared with ours)", _compared, folder, endpoint, day, file)
    if found["differing"] or not found["rows"]:
        raise SystemExit(f"{name} does not compute the same: {found}")
    return Peer(name, cost, f"equal for {found['rows']:,} customers")


def _compared(folder: Path, endpoint: str, day: date, file: Path) -> dict[str, Any]:
    """The customers of a peer's file, and how often each column differs from ours."""
    t = _night.template(folder, endpoint)
    differs = {
        c: f"abs(o.{c} - p.{c}) > 1e-6 * greatest(abs(o.{c}), 1) OR o.{c} IS NULL <> (p.{c} IS NULL)"
        if c in _NUMBERS
        else f"o.{c} IS DISTINCT FROM p.{c}"
        for c in COLUMNS
    }
    counts = ", ".join(f"count_if({sql}) AS {quote(c)}" for c, sql in differs.items())
    with _night.warehouse(folder).connect() as con:
        found = con.execute(
            f"SELECT count(*), count_if(p.customer_id IS NULL), {counts} "
            f"FROM {t.table('customer_attributes')} AS o "
            f"LEFT JOIN (SELECT * FROM '{file}{'/*.parquet' if file.is_dir() else ''}') AS p "
            "USING (customer_id) "
            f"WHERE o.__as_of = '{day}' AND o.last_order_date IS NOT NULL"
        ).fetchall()[0]
    rows, missing, *different = found
    wrong = {c: n for c, n in zip(COLUMNS, different, strict=True) if n}
    return {"rows": rows, "differing": wrong | ({"rows": missing} if missing else {})}


def _spark(folder: Path, day: date, file: Path) -> dict[str, Any]:
    script = Path(__file__).with_name("_attributes_spark.py")
    command = [SPARK, script, SPARK_SQL, folder, str(day), file]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"other_process_id": Cost(0.0, *json.loads(done.stdout.splitlines()[-1]))}


def _send_of(
    name: str, module: str, work: Callable[..., Any], folder: Path, endpoint: str, day: date,
    users: int,
) -> Peer:  # fmt: skip
    if not find_spec(module):
        return Peer(name, None, "not installed")
    cost, _ = measure(name, work, folder, endpoint, day)
    return Peer(name, cost, f"{users / cost.clock:,.0f} users/s")


def _objects(folder: Path, endpoint: str, day: date) -> Iterator[list[dict[str, Any]]]:
    """The plan's requests as Python objects, as one has them who builds them in Python."""
    for batch in batches(_night.snapshot(folder, endpoint, day), {}):
        yield json.loads(bytes(batch.body))["attributes"]


def _post(url: str, objects: list[dict[str, Any]]) -> None:
    import requests

    answer = requests.post(
        url, json={"attributes": objects}, timeout=30,
        headers={"Authorization": f"Bearer {_night.KEY['BRAZE_API_KEY']}"},
    )  # fmt: skip
    answer.raise_for_status()


def _loop(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    for objects in _objects(folder, endpoint, day):
        _post(f"{endpoint}/users/track", objects)
    return {}


def _pool(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        sent = pool.map(
            lambda o: _post(f"{endpoint}/users/track", o), _objects(folder, endpoint, day)
        )
        for _ in sent:
            pass
    return {}


def _client(folder: Path, endpoint: str, day: date) -> dict[str, Any]:
    from braze.client import BrazeClient

    client = BrazeClient(api_key=_night.KEY["BRAZE_API_KEY"], api_url=endpoint)
    for objects in _objects(folder, endpoint, day):
        if not client.user_track(attributes=objects)["success"]:
            raise SystemExit("braze-client-p311: a request was not accepted")
    return {}
