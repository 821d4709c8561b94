"""Users are looked up in spite of a lapse, and what was found is never lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from braze_pipeline.braze.retry_policy import RetryPolicy
from braze_pipeline.errors import BrazeUnavailable, InvalidCredentials, RateLimitExhausted
from braze_pipeline.plan import lookup
from braze_pipeline.sandbox import Fault, FaultKind, Sandbox
from braze_pipeline.settings import TemplateSettings, replace
from braze_pipeline_tests.ledger_world import World, attribute, day, template

EXPORT = "/users/export/ids"
USERS = {f"u{n:03}": {"Tier": "x"} for n in range(120)}  # three requests

LookUp = Callable[[Sandbox], list[str]]


@pytest.fixture
def t() -> TemplateSettings:
    made = template(attribute("Tier"), known="lookup")
    return replace(made, destination=replace(made.destination, max_throttle_seconds=1.5))


@pytest.fixture
def world(tmp_path: Path, t: TemplateSettings) -> World:
    made = World(tmp_path, t)
    made.profiles(day(1), USERS)
    made.close()
    return made


@pytest.fixture
def look_up(world: World) -> LookUp:
    """Looks up the users of the day; returns what was logged."""

    def go(sandbox: Sandbox) -> list[str]:
        logged: list[str] = []
        destination = replace(
            world.t.destination, endpoint=sandbox.endpoint, retry_budget_seconds=1
        )
        there = replace(world.t, destination=destination)
        lookup.look_up_users(
            world.warehouse,
            there,
            [day(1)],
            now=world.now.replace(tzinfo=None),
            environ={there.destination.api_key_env: sandbox.api_key},
            log=logged.append,
        )
        return logged

    return go


def known(world: World) -> tuple[int, int]:
    with world.warehouse.connect() as con:
        found = con.execute(
            "SELECT count(*) FILTER (known), count(*) FILTER (NOT known) FROM ledger.braze_users"
        ).fetchone()
    return found or (0, 0)


@pytest.mark.parametrize(
    "lapse",
    [
        [Fault(kind=FaultKind.THROTTLED, seconds=0.2), FaultKind.THROTTLED_SILENTLY],
        [FaultKind.UNAVAILABLE, FaultKind.RESET_BEFORE],
        [FaultKind.UNAUTHORIZED],
        [FaultKind.BAD_GATEWAY, Fault(kind=FaultKind.THROTTLED_PLAINLY, seconds=0.2)],
    ],
)
def test_a_short_failure_of_braze_is_waited_for(
    look_up: LookUp, world: World, lapse: list[Fault | FaultKind]
) -> None:
    with Sandbox(users=[f"u{n:03}" for n in range(100)]) as sandbox:
        sandbox.faults.script([None, *lapse], EXPORT)
        assert look_up(sandbox) == ["Asked Braze for 120 users new to the ledger: it has 100."]
        assert look_up(sandbox) == [], "nobody is new any more"
    assert known(world) == (100, 20)


def test_users_named_by_braze_id_are_asked_for_one_by_one_as_braze_takes_them(
    look_up: LookUp, world: World
) -> None:
    world.t = replace(world.t, destination=replace(world.t.destination, identifier="braze_id"))
    with Sandbox(users=[{"braze_id": f"u{n:03}"} for n in range(100)]) as sandbox:
        assert look_up(sandbox) == ["Asked Braze for 120 users new to the ledger: it has 100."]
        assert len(sandbox.requests) == 120


@pytest.mark.parametrize(
    ("lapse", "error"),
    [
        (FaultKind.SERVER_ERROR, BrazeUnavailable),
        (FaultKind.UNAUTHORIZED, InvalidCredentials),
    ],
)
def test_a_failure_that_does_not_end_fails_the_plan_and_what_was_found_is_kept(
    look_up: LookUp, world: World, lapse: Fault | FaultKind, error: type[Exception]
) -> None:
    with Sandbox(users=list(USERS)) as sandbox:
        sandbox.faults.script([None, *[lapse] * 50], EXPORT)
        with pytest.raises(error):
            look_up(sandbox)
        assert known(world) == (50, 0)
        sandbox.faults.clear()
        assert look_up(sandbox) == ["Asked Braze for 70 users new to the ledger: it has 70."]
    assert known(world) == (120, 0)


@pytest.mark.parametrize("asks_to_wait", [0.0, 3.0])
def test_where_others_use_up_the_limit_the_rest_waits_for_the_next_run(
    look_up: LookUp, world: World, asks_to_wait: float
) -> None:
    with Sandbox(users=list(USERS)) as sandbox:
        sandbox.faults.script(
            [None, *[Fault(kind=FaultKind.THROTTLED, seconds=asks_to_wait)] * 99], EXPORT
        )
        logged = look_up(sandbox)
        asked = [one for one in sandbox.requests if one.path == EXPORT]
        assert len(asked) < 20, "a wait of nothing is no reason to ask without end"
        assert logged[-1] == (
            "Asked Braze for 50 users new to the ledger: it has 50; 70 wait for the next run."
        )
        assert known(world) == (50, 0)
        sandbox.faults.clear()
        look_up(sandbox)
    assert known(world) == (120, 0)


def test_a_long_look_up_logs_its_progress(look_up: LookUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "PROGRESS_SECONDS", 0.0)
    with Sandbox(users=list(USERS)) as sandbox:
        assert look_up(sandbox) == [
            "Asked Braze for 50 of 120 users new to the ledger.",
            "Asked Braze for 100 of 120 users new to the ledger.",
            "Asked Braze for 120 users new to the ledger: it has 120.",
        ]


def test_a_long_wait_is_logged() -> None:
    slept: list[float] = []
    logged: list[str] = []
    asked = iter([RateLimitExhausted("429.", fix=""), RateLimitExhausted("429.", fix="")])

    def ask() -> str:
        error = next(asked, None)
        if error is None:
            return "answer"
        error.wait = 37.0
        raise error

    patience = RetryPolicy(throttled=60, failing=1, log=logged.append, sleep=slept.append)
    assert patience(ask) == "answer"
    assert slept == [37.0, 37.0]
    assert logged == ["Rate limit exhausted: retrying in 37 s."] * 2


def test_a_key_that_cannot_be_one_fails_no_plan(world: World) -> None:
    logged: list[str] = []
    lookup.look_up_users(
        world.warehouse,
        world.t,
        [day(1)],
        now=world.now.replace(tzinfo=None),
        environ={world.t.destination.api_key_env: "two words"},
        log=logged.append,
    )
    assert logged[0].endswith("Users new to the ledger are not confirmed in Braze.")
    assert "two words" not in logged[0]
