"""The heading of an error says what kind of trouble it is, before anybody reads the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from braze_pipeline.cli.main import cli
from braze_pipeline.errors import PipelineError
from braze_pipeline_tests.small_brand import small_brand

INPUT = "Invalid input"
MISSING = "Earlier step missing"


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("run --as-of 2011-13-01", INPUT),
        ("run --as-of 2011-12-09 --until 2011-12-01", INPUT),
        ("run --as-of 1999-01-01 --dry-run", INPUT),
        ("run --as-of 2011-12-09 --let-through changed_share", INPUT),
        ("--template nobody template describe", INPUT),
        ("template check --as-of yesterday", INPUT),
        ("actions resolve 7", INPUT),
        ("actions close 7 --reason done", INPUT),
        ("ledger reset", INPUT),
        ("ledger reset --all --attribute email", INPUT),
        ("ledger reset --attribute Nothing", MISSING),
        ("ledger export ledger.parquet", MISSING),
        ("ledger import nowhere.parquet", INPUT),
        ("ledger bootstrap nowhere.json", INPUT),
        ("plan", MISSING),
        ("plan --as-of 2011-12-09", MISSING),
    ],
)
def test_a_mistyped_command_is_invalid_input_and_what_was_not_made_yet_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, title: str
) -> None:
    brand = small_brand(tmp_path / "brand")
    brand.enter(monkeypatch)
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(cli, ["--config", str(brand.config), *words.split()]).exception
    assert isinstance(error, PipelineError)
    assert (error.title, error.exit_code) == (title, 2)
    assert error.what
    assert error.fix
