"""``doctor`` says what still points at the sandbox when a brand moves on to Braze."""

from __future__ import annotations

from pathlib import Path

from braze_pipeline.operations.doctor.finding import Finding, State
from braze_pipeline.operations.doctor.trial import trial
from braze_pipeline.sandbox import SANDBOX_API_KEY
from braze_pipeline.settings import DestinationSettings

BRAZE = "https://rest.fra-01.braze.eu"


def found(
    endpoint: str = BRAZE, key: str = "real", database: str = "w.duckdb"
) -> dict[str, Finding]:
    destination = DestinationSettings(name="braze", endpoint=endpoint)
    findings = trial(destination, {"BRAZE_API_KEY": key}, database=Path("data") / database)
    return {one.name.removeprefix("braze: trial").strip(": "): one for one in findings}


def test_an_endpoint_on_this_machine_is_a_sandbox() -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        one = found(endpoint=f"http://{host}:8421", key=SANDBOX_API_KEY)[""]
        assert one.state is State.WARN
        assert "unset BRAZE_REST_ENDPOINT" in one.fix
        assert one.exit_code == 0


def test_each_thing_that_is_left_of_a_trial_is_named() -> None:
    assert list(found()) == [""]
    assert found()[""].state is State.OK
    assert list(found(key=SANDBOX_API_KEY)) == ["key"]
    assert list(found(database="warehouse-sandbox.duckdb")) == ["database"]
    everything = found(key=SANDBOX_API_KEY, database="warehouse-sandbox.duckdb")
    assert {one.state for one in everything.values()} == {State.WARN}
    assert SANDBOX_API_KEY not in "".join(one.saw + one.fix for one in everything.values())
