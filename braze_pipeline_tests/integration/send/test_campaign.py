"""The fault campaign: odd answers from a seed, and SIGKILL at random points, until all is sent.

A child process plans and sends from a real DuckDB file to a real server. It is killed twice, then
left to itself and started again as an operator would, until nothing is left. What Braze has then is
compared with what was to be sent. A longer one: ``BRAZE_PIPELINE_CAMPAIGN_SEEDS=40``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.errors import NotBuilt, PlanOutdated
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.plan.overrides import Overrides
from braze_pipeline.plan.step import plan_days
from braze_pipeline.sandbox import SANDBOX_API_KEY, FaultKind, FaultPlan, Limits, Sandbox
from braze_pipeline.send.step import SendOutcome, send_days
from braze_pipeline.settings import KnownUsers, TemplateSettings, ValueType
from braze_pipeline.settings.destination import BulkOptions, BulkRateLimit
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.integration.send.plans import destination
from braze_pipeline_tests.ledger_world import World, attribute, day, template

SEEDS = int(os.environ.get("BRAZE_PIPELINE_CAMPAIGN_SEEDS", "2"))
USERS = 480
OBJECTS = 6
IN_FLIGHT = 8
KILLS = 2
LATENCY = 0.01
FAULT_SECONDS = 0.05

MIXES: Mapping[str, Mapping[FaultKind, float]] = {
    "no faults": {},
    "throttled": {
        FaultKind.THROTTLED: 0.03,
        FaultKind.THROTTLED_PLAINLY: 0.03,
        FaultKind.THROTTLED_SILENTLY: 0.02,
        FaultKind.STATUS_202: 0.1,
    },
    "failing": {
        FaultKind.SERVER_ERROR: 0.06,
        FaultKind.BAD_GATEWAY: 0.04,
        FaultKind.UNAVAILABLE: 0.04,
        FaultKind.REQUEST_TIMEOUT: 0.02,
        FaultKind.UNAUTHORIZED: 0.01,
    },
    "broken connections": {
        FaultKind.RESET_BEFORE: 0.05,
        FaultKind.RESET_AFTER: 0.05,
        FaultKind.TRUNCATED: 0.03,
        FaultKind.EMPTY_BODY: 0.03,
        FaultKind.HTML_BODY: 0.03,
    },
    "refusals": {
        FaultKind.REFUSED: 0.04,
        FaultKind.REFUSED_BARE: 0.04,
        FaultKind.REFUSED_NO_INDEX: 0.03,
        FaultKind.REFUSED_NO_ARRAY: 0.03,
        FaultKind.REFUSED_TWICE: 0.03,
        FaultKind.REFUSED_ALL: 0.03,
        FaultKind.TOO_LARGE: 0.03,
        FaultKind.FATAL_MESSAGE: 0.02,
    },
}

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["duckdb", "pyarrow.parquet", "pyarrow.compute", __name__])


def brand(endpoint: str, seed: int) -> TemplateSettings:
    """Even seeds send to one of the two endpoints of Braze, odd ones to the other."""
    bulk = BulkOptions(
        objects_per_request=OBJECTS, rate_limit=BulkRateLimit(requests=100_000, seconds=1.0)
    )
    return template(
        attribute("Tier"),
        attribute("Spend", ValueType.FLOAT),
        destination=destination(
            endpoint,
            known_users=KnownUsers(source="assume"),
            objects_per_request=OBJECTS,
            max_in_flight=IN_FLIGHT,
            preflight="off",
            sends_to="bulk" if seed % 2 else "track",
            bulk=bulk,
        ),
    )


def profile(number: int, seed: int) -> dict[str, Any]:
    return {"Tier": f"tier {(number * 7 + seed) % 5}", "Spend": number + seed / 8}


def child(folder: Path, endpoint: str, seed: int, as_of: date, from_failure: bool) -> None:
    """Plan and send a day as a run does; leave the outcome beside the database.

    ``from_failure`` sends the plan that is there, as a rerun from failure does.
    """
    t, warehouse = brand(endpoint, seed), Warehouse(folder / "w.duckdb")
    environ = {"BRAZE_API_KEY": SANDBOX_API_KEY}
    logged: list[str] = []

    def plan() -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        plan_days(
            warehouse, t, [as_of], run_id="run", now=now, environ=environ,
            overrides=Overrides(), log=logged.append,
        )  # fmt: skip

    def send() -> SendOutcome:
        return send_days(warehouse, t, [as_of], run_id="run", environ=environ, log=logged.append)

    if not from_failure:
        plan()
    try:
        out = send()
    except (NotBuilt, PlanOutdated):
        plan()
        out = send()
    a = out.account
    assert a.holds
    found = {"planned": a.planned, "left": a.not_attempted, "error": str(out.error or "")}
    (folder / "outcome.json").write_text(json.dumps(found))


class Campaign:
    """One seed and mix."""

    def __init__(self, folder: Path, sandbox: Sandbox, seed: int) -> None:
        self.folder, self.sandbox, self.seed = folder, sandbox, seed
        self.random = random.Random(seed)
        self.kills = 0

    def start(self, as_of: date, *, fresh: bool = False) -> Any:
        (self.folder / "outcome.json").unlink(missing_ok=True)
        resume = not fresh and self.random.random() < 0.5
        process = FORK.Process(
            target=child, args=(self.folder, self.sandbox.endpoint, self.seed, as_of, resume)
        )
        process.start()
        return process

    def kill_somewhere(self, as_of: date) -> None:
        """Let some requests arrive, then SIGKILL, most often in the middle of the send."""
        process = self.start(as_of)
        enough = len(self.sandbox.requests) + self.random.randrange(1, USERS // OBJECTS // 2)
        while process.is_alive() and len(self.sandbox.requests) < enough:
            time.sleep(0.001)
        self.kills += process.is_alive()
        process.kill()
        process.join()
        process.close()

    def run_until_done(self, as_of: date, *, fresh: bool = False) -> None:
        """Start again while something is left, as an operator would: in full or from failure."""
        for _ in range(12):
            process = self.start(as_of, fresh=fresh)
            process.join(60)
            assert process.exitcode == 0
            process.close()
            found = json.loads((self.folder / "outcome.json").read_text())
            if not found["left"] and not found["error"]:
                return
        pytest.fail(f"not done after twelve runs: {found}")

    def release_refused(self) -> int:
        with Warehouse(self.folder / "w.duckdb").connect() as con:
            t = brand(self.sandbox.endpoint, self.seed)
            return ledger_of(con, t).release_refused(t.name)

    def ledger(self) -> dict[str, dict[str, Any]]:
        with duckdb.connect(str(self.folder / "w.duckdb"), read_only=True) as con:
            rows = con.execute(
                "SELECT user_id, value_1, value_2 FROM ledger.braze_users"
            ).fetchall()
        return {user: {"Tier": tier, "Spend": spend} for user, tier, spend in rows}


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_faults_and_kills_never_lose_repeat_or_mix_up_anything(
    tmp_path: Path, seed: int, mix: str
) -> None:
    target = {f"u{n:05d}": profile(n, seed) for n in range(USERS)}
    plan = FaultPlan(seed=seed, mix=MIXES[mix], seconds=FAULT_SECONDS)
    limits = Limits(bulk_requests=100_000)
    with Sandbox(users=list(target), latency=LATENCY, fault_plan=plan, limits=limits) as sandbox:
        world = World(tmp_path, brand(sandbox.endpoint, seed))
        world.profiles(day(1), target)
        world.close()
        campaign = Campaign(tmp_path, sandbox, seed)
        for _ in range(KILLS):
            campaign.kill_somewhere(day(1))
        assert campaign.kills == KILLS
        campaign.run_until_done(day(1))
        sent = {user: value for user, value in sandbox.profiles().items() if "Tier" in value}
        ledger = campaign.ledger()
        assert {user: ledger[user] for user in sent if user in ledger} == {
            user: target[user] for user in sent if user in ledger
        }
        assert ledger.keys() <= sent.keys(), "acknowledged but not in Braze"
        refused = target.keys() - ledger.keys()
        assert bool(refused) == (mix == "refusals")
        assert not sandbox.overlaps
        path = "/users/track/bulk" if seed % 2 else "/users/track"
        assert {request.path for request in sandbox.requests} == {path}
        if mix in ("no faults", "throttled"):
            extra = sum(sandbox.objects_sent(user) for user in target) - USERS
            assert extra <= campaign.kills * IN_FLIGHT * OBJECTS
        # Braze comes to its senses; what it had refused is planned once more.
        sandbox.faults.plan = None
        campaign.release_refused()
        campaign.run_until_done(day(1), fresh=True)
        assert sandbox.profiles() == target
        assert campaign.ledger() == target
        before = sum(sandbox.objects_sent(user) for user in target)
        campaign.run_until_done(day(1))
        assert sum(sandbox.objects_sent(user) for user in target) == before
