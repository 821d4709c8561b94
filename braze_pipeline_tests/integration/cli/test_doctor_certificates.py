"""Which certificates ``doctor`` trusts: those that a run trusts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from braze_pipeline.operations.doctor.connection import reach
from braze_pipeline.operations.doctor.finding import State
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.settings import DestinationSettings
from braze_pipeline_tests.certificates import certificate
from braze_pipeline_tests.fake_http import FakeHttp


@pytest.mark.parametrize(
    ("bundle", "problem"),
    [
        ("certificate.pem", None),
        ("prepared", None),
        ("folder", "self-signed certificate"),
        (None, "self-signed certificate"),
        ("missing.pem", "The certificates in REQUESTS_CA_BUNDLE cannot be used"),
        ("empty.pem", "The certificates in REQUESTS_CA_BUNDLE cannot be used"),
    ],
)
def test_a_certificate_is_trusted_as_a_run_would_trust_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: str | None, problem: str | None
) -> None:
    _, context = certificate(tmp_path)
    (tmp_path / "empty.pem").touch()
    for folder, name in (("folder", "any.pem"), ("prepared", "cb12e286.0")):  # openssl's hash
        (tmp_path / folder).mkdir()
        shutil.copy(tmp_path / "certificate.pem", tmp_path / folder / name)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    if bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / bundle))
    with FakeHttp(tls=context) as server:
        d = DestinationSettings(name="braze", endpoint=server.endpoint)
        found = reach(d)[-1]
    assert found.name == "braze: connection"
    assert found.state is (State.FAIL if problem else State.OK)
    assert (problem or "trusted certificate") in found.saw


def test_certificates_that_cannot_be_used_do_not_matter_to_a_sandbox_without_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    with Sandbox() as sandbox:
        found = reach(DestinationSettings(name="braze", endpoint=sandbox.endpoint))
    assert {one.state for one in found} == {State.OK}
