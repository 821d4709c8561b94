"""Which hosts are Braze's instances, which are this machine, and which are neither."""

from __future__ import annotations

import pytest

from braze_pipeline.braze.instances import INSTANCES, is_unencrypted, other_host_warning


def test_every_instance_is_one_of_brazes_hosts() -> None:
    assert not any(other_host_warning(endpoint) for endpoint in INSTANCES.values())


@pytest.mark.parametrize(
    "endpoint", ["https://REST.FRA-03.BRAZE.EU.", "https://rest.fra-02.braze.eu/"]
)
def test_however_it_is_written(endpoint: str) -> None:
    assert other_host_warning(endpoint) == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "[::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_nobody_else(scheme: str, host: str) -> None:
    assert other_host_warning(f"{scheme}://{host}:8421") == ""
    assert not is_unencrypted(f"{scheme}://{host}:8421")


@pytest.mark.parametrize(
    "host",
    [
        "braze.com", "evilbraze.com", "rest.iad-01.braze.com.example.net", "braze.eu.example.net",
        "braze.example.net", "localhost.example.net", "127.0.0.1.example.net", "10.0.0.1",
        "0.0.0.0", "2130706433", "rest.new-01.braze.com", "dashboard-01.braze.com",
    ],
)  # fmt: skip
def test_all_others_are_warned_of_by_name(host: str) -> None:
    warning = other_host_warning(f"https://{host}")
    assert warning.startswith(f"{host} is not the host of a Braze instance that this version knows")
    assert is_unencrypted(f"http://{host}")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:80", "//localhost", ""])
def test_only_http_stays_on_this_machine(url: str) -> None:
    assert is_unencrypted(url)
