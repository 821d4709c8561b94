"""The sandbox's own pages, and a sandbox as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.sandbox import Sandbox, serve
from braze_pipeline_tests.integration.sandbox.conftest import Post, objects


def get(sandbox: Sandbox, path: str) -> requests.Response:
    return requests.get(sandbox.endpoint + path, timeout=20)


def test_the_page_needs_nothing_from_elsewhere(sandbox: Sandbox) -> None:
    page = get(sandbox, "/")
    assert page.status_code == 200
    assert "<h1>Sandbox</h1>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "https://" not in page.text


def test_counts_profiles_and_requests_are_available_as_json(sandbox: Sandbox, post: Post) -> None:
    post(sandbox, "/users/track", objects("1", "nobody", tier="Gold"))
    counts = get(sandbox, "/sandbox/state.json").json()
    assert counts == sandbox.counts()
    assert (counts["requests"], counts["objects_applied"], counts["objects_ignored"]) == (1, 1, 1)
    assert counts["answers"] == {"201": 1}

    page = get(sandbox, "/sandbox/profiles.json?offset=2&limit=3").json()
    assert (page["total"], [one["id"] for one in page["profiles"]]) == (9, ["3", "4", "5"])
    found = get(sandbox, "/sandbox/profiles.json?search=gOLD").json()
    assert [one["id"] for one in found["profiles"]] == ["1"]

    user = get(sandbox, "/sandbox/profile/1.json").json()
    assert user["profile"]["custom_attributes"] == {"tier": "Gold"}
    by_braze_id = get(sandbox, f"/sandbox/profile/{user['profile']['braze_id']}.json").json()
    assert by_braze_id == user
    assert get(sandbox, "/sandbox/profile/nobody.json").status_code == 404

    [request] = get(sandbox, "/sandbox/requests.json").json()["requests"]
    assert (request["status"], request["objects"], request["ignored"]) == (201, 2, 1)
    assert get(sandbox, "/sandbox/overlaps.json").json() == {"overlaps": []}


def test_another_process_can_control_a_sandbox(sandbox: Sandbox, post: Post) -> None:
    users = sandbox.endpoint + "/sandbox/users"
    seeded = requests.post(users, json=["a", {"external_id": "b", "tier": "gold"}], timeout=20)
    assert seeded.json() == {"profiles": 11}
    assert sandbox.profile("b") == {"tier": "gold"}
    for bad in ({"a": 1}, [{"tier": "gold"}], [{"external_id": 5}]):
        assert requests.post(users, json=bad, timeout=20).status_code == 400
    assert requests.post(users, data=b"{", timeout=20).status_code == 400

    faults = sandbox.endpoint + "/sandbox/faults"
    script = ["503", "429 with X-Ratelimit-Retry-After", None, "500"]
    assert requests.post(faults, json=script, timeout=20).status_code == 200
    body = objects("a", tier="gold")
    answers = [post(sandbox, "/users/track", body) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 429, 201, 500]
    for unknown in (["no such fault"], [["503"]], "503", {"503": 1}):
        assert requests.post(faults, json=unknown, timeout=20).status_code == 400

    requests.delete(users, timeout=20)
    assert sandbox.profiles() == {}
    assert sandbox.counts()["requests"] == 0


def test_pages_answer_for_the_loopback_address_only(sandbox: Sandbox) -> None:
    for path in ("/", "/sandbox/state.json"):
        answer = requests.get(sandbox.endpoint + path, headers={"Host": "example.com"}, timeout=20)
        assert answer.status_code == 400


SERVE = """
import sys
from pathlib import Path
from braze_pipeline.sandbox import serve
folder = Path(sys.argv[1])
serve(
    0,
    record=folder / "requests.jsonl",
    state=folder / "state.jsonl",
    users=folder / "users.csv",
    announce=lambda text: print(text, flush=True),
)
"""


def test_a_sandbox_process_ends_cleanly_and_keeps_its_profiles(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("external_id\n1\n2\n", encoding="utf-8")
    body = objects("1", "3", tier="gold")
    for number, stop in enumerate((signal.SIGTERM, signal.SIGINT), start=1):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout is not None
            address = process.stdout.readline().split()[4]
            before = requests.get(address + "/sandbox/profile/1.json", timeout=20).json()
            assert ("custom_attributes" in before["profile"]) == (number == 2)
            answer = requests.post(
                address + "/users/track",
                json=body,
                headers={"Authorization": "Bearer any"},
                timeout=20,
            )
            assert answer.status_code == 201
            process.send_signal(stop)
            assert process.wait(20) == 0
    lines = (tmp_path / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["body"] for line in lines] == [body, body]


def test_an_unusable_port_or_file_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"port {sandbox.port}"):
        serve(sandbox.port)
    with pytest.raises(ConfigurationError, match=r"missing\.csv"):
        serve(0, users=tmp_path / "missing.csv")
    (tmp_path / "broken.jsonl").write_text('{"customer": "secret', encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        serve(0, users=tmp_path / "broken.jsonl")
    assert "secret" not in str(error.value)
