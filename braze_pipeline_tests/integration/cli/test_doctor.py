"""``doctor`` against a real sandbox, real files and a real Dagster instance."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from braze_pipeline.cli.context import DEFAULT_CONFIG, Session
from braze_pipeline.cli.doctor import doctor
from braze_pipeline.operations.doctor.access import ATTRIBUTES, BULK, EXPORT, TRACK, access
from braze_pipeline.operations.doctor.contract import contract
from braze_pipeline.operations.doctor.finding import Finding, State, exit_code
from braze_pipeline.sandbox import Fault, FaultKind, Sandbox
from braze_pipeline.settings import DestinationSettings, RateLimit
from braze_pipeline.settings.destination import UNKNOWN_LIMIT
from braze_pipeline.storage import migrations
from braze_pipeline_tests.fake_http import FakeHttp, reply

KEY = "a-key-with-all-permissions-4711"
TRACK_ONLY = "a-key-that-can-track-4712"
READ_ONLY = "a-key-that-can-read-4713"
REPO = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    keys = {KEY: {TRACK, EXPORT, ATTRIBUTES}, TRACK_ONLY: {TRACK}, READ_ONLY: {EXPORT, ATTRIBUTES}}
    with Sandbox(api_key=keys, users=["1", "2"]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


def session(
    sandbox: Sandbox | str, folder: Path, *, config: Path = DEFAULT_CONFIG, **environ: str
) -> Session:
    endpoint = sandbox if isinstance(sandbox, str) else sandbox.endpoint
    return Session(
        config_file=config,
        template_name=None,
        environ={
            "BRAZE_REST_ENDPOINT": endpoint,
            "BRAZE_PIPELINE_DATABASE": str(folder / "warehouse.duckdb"),
            **environ,
        },
    )


def run(session: Session, *options: str) -> Result:
    return CliRunner().invoke(doctor, list(options), obj=session)


def findings(result: Result) -> dict[str, dict[str, object]]:
    return {found["name"]: found for found in json.loads(result.stdout)}


def states(found: list[Finding]) -> dict[str, State]:
    return {one.name.removeprefix("braze: "): one.state for one in found}


def destination(sandbox: Sandbox, **settings: object) -> DestinationSettings:
    return DestinationSettings(name="braze", endpoint=sandbox.endpoint, **settings)  # type: ignore[arg-type]


def test_with_everything_in_order_doctor_reports_ready_to_send(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(REPO / ".dagster_home" / "dagster.yaml", home)
    result = run(session(sandbox, tmp_path, BRAZE_API_KEY=KEY, DAGSTER_HOME=str(home)))
    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.stdout
    assert "Ready to send. 2 of 26 checks reported warnings." in result.stdout
    assert "daemon: None has run on this instance yet" in result.stdout


def test_doctor_changes_nothing_in_braze_and_reads_no_profile(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    before = sandbox.profiles()
    run(session(sandbox, tmp_path, BRAZE_API_KEY=KEY))
    assert [(request.method, request.path) for request in sandbox.requests] == [
        ("POST", "/users/track"), ("POST", "/users/export/ids"), ("GET", "/custom_attributes"),
    ]  # fmt: skip
    assert [request.status for request in sandbox.requests] == [400, 400, 200]
    assert sandbox.profiles() == before
    assert sandbox.counts()["objects_taken"] == 0


def test_doctor_creates_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    run(session(sandbox, tmp_path, BRAZE_API_KEY=KEY))
    assert list(tmp_path.iterdir()) == []


def test_without_a_key_doctor_reports_the_missing_key(sandbox: Sandbox, tmp_path: Path) -> None:
    result = run(session(sandbox, tmp_path))
    assert result.exit_code == 3
    assert "FAIL  braze: key: The environment variable BRAZE_API_KEY is not set, or is empty." in (
        result.stdout
    )
    assert "What to do: Set BRAZE_API_KEY" in result.stdout
    assert sandbox.requests == []


def test_json_has_the_fix_under_its_name_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    key = findings(run(session(sandbox, tmp_path), "--json"))["braze: key"]
    assert set(key) == {"name", "state", "saw", "fix", "exit_code"}
    assert str(key["fix"]).startswith("Set BRAZE_API_KEY")


def test_a_wrong_key_ends_with_3_and_is_not_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    wrong = "some-other-key-0815-4242"
    result = run(session(sandbox, tmp_path, BRAZE_API_KEY=wrong))
    assert result.exit_code == 3
    assert "FAIL  braze: key: " in result.stdout
    assert "401" in result.stdout
    for secret in (wrong, wrong[:12], wrong[-12:]):
        assert secret not in result.output


@pytest.mark.parametrize("key", [KEY, TRACK_ONLY, READ_ONLY, "unknown-key-0815"])
def test_no_key_is_ever_shown(sandbox: Sandbox, tmp_path: Path, key: str) -> None:
    made = session(sandbox, tmp_path, BRAZE_API_KEY=key)
    for result in (run(made), run(made, "--json")):
        assert key not in result.output


def test_a_key_without_the_track_permission_cannot_send(sandbox: Sandbox, tmp_path: Path) -> None:
    result = run(session(sandbox, tmp_path, BRAZE_API_KEY=READ_ONLY), "--json")
    found = findings(result)
    assert result.exit_code == 3
    assert found["braze: key"]["state"] == "ok"
    assert found["braze: users.track"]["state"] == "fail"
    assert "Create a key with the `users.track` permission" in str(
        found["braze: users.track"]["fix"]
    )
    assert found["braze: users.export.ids"]["state"] == "ok"


@pytest.mark.parametrize(("source", "state"), [("lookup", "warn"), ("none", "ok")])
def test_a_missing_permission_is_a_warning_only_if_the_configuration_needs_it(
    sandbox: Sandbox, tmp_path: Path, source: str, state: str
) -> None:
    folder = tmp_path / "defs"
    shutil.copytree(DEFAULT_CONFIG.parent, folder)
    file = folder / "defs.yaml"
    text, times = re.subn(
        r"known_users: \{source: \w+", f"known_users: {{source: {source}", file.read_text()
    )
    assert times == 1
    file.write_text(text)
    result = run(session(sandbox, tmp_path, config=file, BRAZE_API_KEY=TRACK_ONLY), "--json")
    assert result.exit_code == 0
    found = findings(result)["braze: users.export.ids"]
    assert found["state"] == state
    assert bool(found["fix"]) == (state == "warn")


def test_a_closed_port_ends_with_4(tmp_path: Path) -> None:
    with Sandbox() as gone:
        endpoint = gone.endpoint
    result = run(session(endpoint, tmp_path, BRAZE_API_KEY=KEY), "--json")
    assert result.exit_code == 4
    found = findings(result)
    assert found["braze: connection"]["state"] == "fail"
    assert "refused" in str(found["braze: connection"]["saw"])
    assert "braze: key" not in found


def test_behind_a_dead_proxy_doctor_names_the_variable_and_not_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:s3cret@127.0.0.1:9")
    result = run(session("https://rest.iad-01.braze.com", tmp_path, BRAZE_API_KEY=KEY), "--json")
    found = findings(result)
    assert result.exit_code == 4
    assert "the proxy in HTTPS_PROXY" in str(found["braze: name"]["saw"])
    assert "the proxy in HTTPS_PROXY" in str(found["braze: answer"]["fix"])
    assert "s3cret" not in result.output


def test_an_invalid_host_name_ends_with_4(tmp_path: Path) -> None:
    folder = tmp_path / "brand"
    shutil.copytree(DEFAULT_CONFIG.parent, folder)
    config = folder / "defs.yaml"
    text = config.read_text(encoding="utf-8")
    allowed = text.replace("    name: braze\n", "    name: braze\n    allow_other_host: true\n")
    config.write_text(allowed, encoding="utf-8")
    place = session("https://rest..braze.com", tmp_path, config=config, BRAZE_API_KEY=KEY)
    result = run(place, "--json")
    assert result.exit_code == 4
    assert findings(result)["braze: name"]["state"] == "fail"


def test_a_host_outside_braze_is_a_warning_if_the_configuration_allows_it(tmp_path: Path) -> None:
    folder = tmp_path / "brand"
    shutil.copytree(DEFAULT_CONFIG.parent, folder)
    config = folder / "defs.yaml"
    result = run(session("https://braze.invalid", tmp_path, config=config), "--json")
    assert result.exit_code == 2
    assert "allow_other_host" in str(findings(result)["configuration"]["fix"]) or (
        "allow_other_host" in str(findings(result)["configuration"]["saw"])
    )
    text = config.read_text(encoding="utf-8")
    allowed = text.replace("    name: braze\n", "    name: braze\n    allow_other_host: true\n")
    config.write_text(allowed, encoding="utf-8")
    result = run(session("https://braze.invalid", tmp_path, config=config), "--json")
    found = findings(result)["braze: host"]
    assert found["state"] == "warn"
    assert "braze.invalid is not the host of a Braze instance" in str(found["saw"])


def test_the_contract_and_what_follows_from_it_are_shown(sandbox: Sandbox) -> None:
    known = contract(destination(sandbox, contract="data_points"))
    assert known.state is State.OK
    assert (
        "/users/track: 3,000 requests in 3 s; 1,000,000 users take about 0.2 minutes" in known.saw
    )
    unknown = contract(destination(sandbox, rate_limit=UNKNOWN_LIMIT))
    assert unknown.state is State.WARN
    assert "150 requests in 3 s; 1,000,000 users take about 4.5 minutes" in unknown.saw
    hourly = RateLimit(requests=1000, seconds=3.0, requests_per_hour=5000, use_at_most=0.8)
    auto = contract(destination(sandbox, contract="mau", rate_limit=hourly, sends_to="auto"))
    assert "and 5,000 an hour, of which 80% is used" in auto.saw
    assert (
        "/users/track/bulk: 50 requests in 1 s; 1,000,000 users take about 0.3 minutes" in auto.saw
    )


@pytest.mark.parametrize(
    ("sends_to", "permitted", "state"),
    [
        ("track", False, None),
        ("auto", True, State.OK),
        ("auto", False, State.WARN),
        ("bulk", True, State.OK),
        ("bulk", False, State.FAIL),
    ],
)
def test_the_permission_for_bulk_is_asked_where_it_is_used(
    sends_to: str, permitted: bool, state: State | None
) -> None:
    keys = {KEY: {TRACK, BULK} if permitted else {TRACK}}
    with Sandbox(api_key=keys) as sandbox:
        found = states(
            access(
                destination(sandbox),
                {"BRAZE_API_KEY": KEY},
                used=set() if sends_to == "track" else {BULK},
                required={TRACK, BULK} if sends_to == "bulk" else {TRACK},
            )
        )
        assert found.get(BULK) is state
        asked = [one.path for one in sandbox.requests]
        assert ("/users/track/bulk" in asked) is (sends_to != "track")
        assert sandbox.profiles() == {}


def test_a_port_without_tls_is_not_braze(sandbox: Sandbox, tmp_path: Path) -> None:
    endpoint = sandbox.endpoint.replace("http://", "https://")
    result = run(session(endpoint, tmp_path, BRAZE_API_KEY=KEY), "--json")
    assert result.exit_code == 3
    assert "certificate" in str(findings(result)["braze: connection"]["saw"])
    assert sandbox.requests == []


def test_a_broken_configuration_ends_with_2_and_the_other_checks_still_run(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "defs.yaml"
    file.write_text(DEFAULT_CONFIG.read_text().replace("user_identifier:", "user_identifer:"))
    result = run(session(sandbox, tmp_path, config=file, BRAZE_API_KEY=KEY), "--json")
    found = findings(result)
    assert result.exit_code == 2
    assert found["configuration"]["state"] == "fail"
    assert "user_identifer" in str(found["configuration"]["saw"])
    assert found["disk"]["state"] == "ok"
    assert "of memory (60% of this" in str(found["memory"]["saw"])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (FaultKind.BAD_GATEWAY, 4),
        (FaultKind.UNAVAILABLE, 4),
        (FaultKind.RESET_BEFORE, 4),
        (FaultKind.THROTTLED, 0),
    ],
)
def test_answers_of_a_troubled_braze_are_classified(
    sandbox: Sandbox, fault: FaultKind, code: int
) -> None:
    sandbox.script([Fault(kind=fault, seconds=1)])
    found = access(destination(sandbox), {"BRAZE_API_KEY": KEY}, used=set())
    assert exit_code(found) == code
    assert states(found)["answer"] is (State.FAIL if code else State.WARN)


@pytest.mark.parametrize(
    "answer",
    [
        reply(404, b"<html>no such page</html>"),
        reply(200, b"<html>please log in</html>", {"Content-Type": "text/html"}),
        reply(401, b"<html>proxy login</html>"),
        reply(302, b"", {"Location": "http://127.0.0.1:1/login"}),
        reply(403, b"{}"),
    ],
)
def test_an_answer_that_is_not_from_braze_is_a_failure(answer: bytes) -> None:
    with FakeHttp(lambda request: answer) as server:
        d = DestinationSettings(name="braze", endpoint=server.endpoint)
        found = access(d, {"BRAZE_API_KEY": KEY}, used=set())
    assert found[0].name == "braze: answer"
    assert found[0].state is State.FAIL
    assert exit_code(found) in {3, 4}


def test_if_one_request_is_throttled_the_others_decide_about_the_key(
    sandbox: Sandbox,
) -> None:
    sandbox.script([FaultKind.THROTTLED_SILENTLY])
    found = states(access(destination(sandbox), {"BRAZE_API_KEY": KEY}, used=set()))
    assert (found["answer"], found["key"], found[TRACK]) == (State.WARN, State.OK, State.WARN)


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "ok"), (3, "ok"), (600, "warn"), (-600, "warn")]
)
def test_a_wrong_clock_is_a_warning(sandbox: Sandbox, seconds: int, state: str) -> None:
    found = access(
        destination(sandbox),
        {"BRAZE_API_KEY": KEY},
        used=set(),
        now=lambda: datetime.now(UTC) + timedelta(seconds=seconds),
    )
    assert states(found)["clock"] == state


def test_the_exit_code_of_several_failures_is_that_of_the_first_one_to_fix() -> None:
    found = [Finding("a", State.FAIL, "", "", 4), Finding("b", State.FAIL, "", "", 3)]
    assert exit_code(found) == 3
    assert exit_code([Finding("c", State.WARN, "", "x")]) == 0


def test_a_database_that_is_open_in_another_process_is_a_warning(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "warehouse.duckdb"
    code = (
        "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        result = run(session(sandbox, tmp_path, BRAZE_API_KEY=KEY), "--json")
        holder.communicate()
    assert result.exit_code == 0
    assert "open in another process" in str(findings(result)["database"]["saw"])


def test_a_file_that_is_not_a_database_ends_with_2(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "warehouse.duckdb").write_bytes(b"not a database" * 1000)
    result = run(session(sandbox, tmp_path, BRAZE_API_KEY=KEY), "--json")
    assert result.exit_code == 2
    assert findings(result)["database"]["state"] == "fail"


@pytest.mark.parametrize(("by", "code", "state"), [(1, 2, "fail"), (0, 0, "ok"), (-1, 0, "warn")])
def test_a_ledger_of_another_version_is_reported(
    sandbox: Sandbox, tmp_path: Path, by: int, code: int, state: str
) -> None:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        migrations.upgrade(con, "")
        con.execute("UPDATE ledger.meta SET schema_version = schema_version + ?", [by])
    result = run(session(sandbox, tmp_path, BRAZE_API_KEY=KEY), "--json")
    assert result.exit_code == code
    assert findings(result)["ledger schema"]["state"] == state
