"""Addresses in the configuration: the key goes to Braze, and no password into a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline_tests.unit.config.test_configuration_errors import document, line_of, load

ELSEWHERE = "name: braze\nrest_endpoint: https://braze.example.net\nuser_identifier: external_id\n"


def test_a_host_that_is_not_brazes_has_to_be_allowed(tmp_path: Path) -> None:
    text = document(destination=ELSEWHERE)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, 'rest_endpoint')}: " in str(caught.value)
    assert "braze.example.net is not the host of a Braze instance" in str(caught.value)
    assert "`allow_other_host: true`" in str(caught.value)
    (t,) = load(tmp_path, document(destination=ELSEWHERE + "allow_other_host: true\n"))
    assert t.destination.endpoint == "https://braze.example.net"


def test_also_where_the_environment_brings_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"variable BRAZE_REST_ENDPOINT: 10\.0\.0\.1 is"):
        load(tmp_path, document(), BRAZE_REST_ENDPOINT="https://10.0.0.1")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://crm:Planted-Pa55word@db.example.net/crm",
        "md:crm?motherduck_token=Planted-Pa55word",
        "host=db.example.net password = Planted-Pa55word",
        "https://crm:Planted-Pa55word@files.example.net/crm.duckdb",
        "s3://key:Planted-Pa55word@bucket/crm.duckdb",
        "abfss://shop:Planted-Pa55word@account.dfs.core.windows.net/crm",
        "https://files.example.net/crm.parquet?sv=2024-01-01&sig=Planted-Pa55word",
        "https://files.example.net/crm.parquet?X-Amz-Signature=Planted-Pa55word",
    ],
)
@pytest.mark.parametrize("key", ["database", "path"])
def test_an_address_where_a_file_is_wanted_is_refused_and_not_shown(
    tmp_path: Path, key: str, address: str
) -> None:
    relation = ", relation: customers" if key == "database" else ""
    text = document(more=f"sources: {{customers: {{{key}: '{address}'{relation}}}}}")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f"sources.customers.{key}: This is an address" in str(caught.value)
    assert "example" not in str(caught.value)
    assert "Planted" not in str(caught.value)


def test_the_container_in_an_address_of_azure_is_no_credential(tmp_path: Path) -> None:
    address = "abfss://shop@account.dfs.core.windows.net/orders"
    (t,) = load(tmp_path, document(more=f"sources: {{lines: {{path: '{address}'}}}}"))
    (place,) = (str(source.place) for source in t.sources if source.name == "lines")
    assert place == address


def test_an_address_in_the_environment_is_not_shown_either(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="BRAZE_PIPELINE_SOURCES") as caught:
        load(tmp_path, document(), BRAZE_PIPELINE_SOURCES="s3://key:Planted@bucket")
    assert "Planted" not in str(caught.value)


@pytest.mark.parametrize("path", ["exports/host=gb/user=1/orders.parquet", "C:/a b/crm.duckdb"])
def test_a_path_is_not_taken_for_an_address(tmp_path: Path, path: str) -> None:
    (t,) = load(tmp_path, document(more=f"sources: {{orders: {{path: '{path}'}}}}"))
    assert [source.path for source in t.sources if source.name == "orders"] == [tmp_path / path]
