"""From a lost database back to a ledger that knows what Braze has, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from braze_pipeline.sandbox import Sandbox
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.commands import command
from braze_pipeline_tests.small_brand import CUSTOMERS, small_brand


@pytest.mark.parametrize(("words", "in_doubt"), [((), 1), (("--all-users",), 0)])
def test_an_export_of_all_users_ends_the_doubt_after_a_lost_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], in_doubt: int
) -> None:
    brand = small_brand(tmp_path / "brand")
    warehouse, kept = Warehouse(brand.folder / "warehouse.duckdb"), tmp_path / "kept.parquet"
    file = tmp_path / "users.json"
    with Sandbox(assume_all=True) as sandbox:
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        command(brand, "run", "--as-of", brand.day(1))
        command(brand, "ledger", "export", str(kept))
        command(brand, "run", "--as-of", brand.day(0))
        warehouse.path.unlink()
        assert "everything is sent again" in command(brand, "ledger", "import", str(kept))
        users = [
            {"external_id": user, "custom_attributes": profile}
            for user, profile in sandbox.profiles().items()
        ]
        file.write_text("".join(json.dumps(one) + "\n" for one in users), encoding="utf-8")
        said = command(brand, "ledger", "bootstrap", *words, str(file))
        assert f"Imported {CUSTOMERS} users" in said
    with warehouse.connect() as con:
        found = con.execute("SELECT count(*) FROM ledger.in_doubt WHERE user_id = ''").fetchone()
    assert found == (in_doubt,)
