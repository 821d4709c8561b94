"""``template check`` says what a run would leave out."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from braze_pipeline.cli.main import cli
from braze_pipeline_tests.small_brand import small_brand


def test_the_check_names_the_consent_columns_that_are_never_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = small_brand(tmp_path / "brand")
    brand.enter(monkeypatch)
    text = brand.config.read_text(encoding="utf-8")
    consent = "- {column: newsletter, as: email_subscribe}"
    before, found, after = text.partition("- {column:")
    indent = before.rpartition("\n")[2]
    brand.config.write_text(f"{before}{consent}\n{indent}{found}{after}", encoding="utf-8")
    done = CliRunner().invoke(cli, ["--config", str(brand.config), "template", "check"])
    assert "newsletter: consent belongs to Braze; never sent." in done.stdout
