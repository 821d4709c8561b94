"""Commands on the ledger while a send is under way: they wait for its end, or do it no harm."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from braze_pipeline.cli.context import session
from braze_pipeline.operations.transfer import export_ledger
from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline.send.step import SendOutcome, send_days
from braze_pipeline.settings import TemplateSettings, replace
from braze_pipeline.storage import lock
from braze_pipeline_tests.commands import command
from braze_pipeline_tests.fake_http import FakeHttp, Request, success
from braze_pipeline_tests.ledger_world import NO_GUARDS, World, day
from braze_pipeline_tests.small_brand import SmallBrand, small_brand

USERS = [f"u{number}" for number in range(12)]
OLDER, NEWER = day(1), day(2)


@dataclass
class RateLimiter:
    """A server that answers one request, and the others once it is opened."""

    opened: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    seen: int = 0

    def answer(self, request: Request) -> bytes:
        with self.lock:
            self.seen += 1
            first = self.seen == 1
        if not first:
            self.waiting.set()
            self.opened.wait(60)
        return success(request)


@dataclass
class Place:
    """A brand whose newer day is planned: one user is as on the day before it, others changed."""

    brand: SmallBrand
    world: World
    t: TemplateSettings
    gate: RateLimiter
    server: FakeHttp

    def values(self, orders: int) -> dict[str, dict[str, Any]]:
        return {user: {"Lifetime Orders": orders} for user in USERS}

    @contextmanager
    def sending(self, plan: PlanSummary) -> Iterator[Future[SendOutcome]]:
        """A send of the plan that has brought some acknowledgements, and then waits."""
        with ThreadPoolExecutor(1) as pool:
            send = pool.submit(
                send_days,
                self.world.warehouse,
                self.t,
                plan.days,
                run_id=plan.run_id,
                environ={"BRAZE_API_KEY": "key-0123456789"},
                log=print,
            )
            try:
                assert self.gate.waiting.wait(60)
                yield send
            finally:
                self.gate.opened.set()

    def planned(self, *days: Any) -> PlanSummary:
        return self.world.plan(*days, t=self.t)

    def sent_users(self) -> list[str]:
        return [user for request in self.server.requests for user in request.users]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    brand, gate = small_brand(tmp_path / "brand"), RateLimiter()
    with FakeHttp(gate.answer) as server:
        brand.enter(monkeypatch, server.endpoint)
        monkeypatch.setenv("BRAZE_PIPELINE_DATABASE", str(tmp_path / "w.duckdb"))
        t = session(brand.config, None).template
        t = replace(
            t,
            guards=NO_GUARDS,
            destination=replace(t.destination, objects_per_request=3, max_in_flight=2),
        )
        world = World(tmp_path, t, users=USERS)
        yield Place(brand, world, t, gate, server)
        world.close()


def prepared(place: Place) -> PlanSummary:
    """Users with a ledger of their own first; then the plan of the newer day, and the older's."""
    place.world.profiles(day(0), place.values(0))
    place.world.run(day(0))
    place.world.profiles(NEWER, place.values(2))
    place.world.profiles(OLDER, place.values(1))
    return place.planned(NEWER)


def words(name: str, folder: Path, place: Place) -> tuple[str, ...]:
    file = folder / "given"
    if name == "import":
        export_ledger(place.world.con, place.world.warehouse, place.world.t, file)
    if name == "bootstrap":
        file.write_text(json.dumps({"external_id": "u1", "custom_attributes": {}}) + "\n")
    return {
        "forget": ("ledger", "forget", "u0", "--yes"),
        "reset": ("ledger", "reset", "--all"),
        "import": ("ledger", "import", str(file), "--replace"),
        "bootstrap": ("ledger", "bootstrap", str(file)),
        "adopt": ("ledger", "adopt", "--reason", "the address moved"),
        "retry-rejected": ("retry-rejected", "--later"),
        "show": ("ledger", "show", "u1"),
        "export": ("ledger", "export", str(folder / "out.parquet")),
        "sends": ("sends",),
        "plan": ("plan",),
    }[name]


@pytest.mark.parametrize(
    "name", ["forget", "reset", "import", "bootstrap", "adopt", "retry-rejected"]
)
def test_a_command_that_changes_the_ledger_waits_until_the_send_has_ended(
    place: Place, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(seconds: float) -> None:
        place.gate.opened.set()
        time.sleep(seconds)

    plan = prepared(place)
    given = words(name, tmp_path, place)
    with place.sending(plan) as send:
        # The server goes on once the command waits for the lock, and not before.
        monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waits))
        said = command(place.brand, *given)
        assert place.gate.opened.is_set(), said
    assert said.startswith("0"), said
    outcome = send.result()
    assert (outcome.error, outcome.account.accepted) == (None, len(USERS))
    # What the newer day brought is in the ledger: the older day overwrites nothing of it.
    assert place.planned(OLDER).planned_users == 0


@pytest.mark.parametrize("name", ["show", "export", "sends", "plan"])
def test_a_command_that_reads_does_not_wait_and_does_a_send_no_harm(
    place: Place, tmp_path: Path, name: str
) -> None:
    plan = prepared(place)
    with place.sending(plan) as send:
        said = command(place.brand, *words(name, tmp_path, place))
        assert not place.gate.opened.is_set()
        assert said.startswith("0"), said
    assert send.result().account.accepted == len(USERS)
    assert place.planned(NEWER).planned_users == 0
    assert place.planned(OLDER).planned_users == 0


def test_plans_made_during_a_send_take_nothing_of_it_away(place: Place) -> None:
    plan = prepared(place)
    with place.sending(plan) as send:
        for number in range(3, 8):
            place.world.profiles(day(number), {})
            assert place.planned(day(number)).planned_users == 0
    assert send.result().account.accepted == len(USERS)
    assert place.planned(OLDER).planned_users == 0
    assert sorted(place.sent_users()) == sorted(USERS)
