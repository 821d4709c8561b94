"""The database of an earlier version (see ``old/``), unpacked for a test."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.ledger import endpoint
from braze_pipeline.plan.overrides import Overrides
from braze_pipeline.plan.step import plan_days
from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline.sandbox import SANDBOX_API_KEY
from braze_pipeline.send.step import SendOutcome, send_days
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.ledger_world import day as first_of_january

MADE = datetime(2026, 11, 27, 10)  # noqa: DTZ001 - UTC without a time zone, as in the tables
"""A little after the database was made."""

MARCH = [first_of_january(58 + number) for number in range(32)]
"""The days of March 2026 by their number."""


def adopted(old: OldDatabase, t: TemplateSettings) -> None:
    """Adopt the template's endpoint for the ledger, because 0.1.0 did not record it."""
    with old.warehouse.connect() as con:
        endpoint.adopt(con, old.warehouse, t, reason="It was made with this Braze.")


@dataclass(frozen=True)
class OldDatabase:
    """A copy of an earlier version's configuration, sources and state.

    Attributes:
        folder: The folder it was unpacked to.
    """

    folder: Path

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.folder / "state" / "warehouse.duckdb")

    @property
    def environ(self) -> dict[str, str]:
        return {
            "BRAZE_API_KEY": SANDBOX_API_KEY,
            "BRAZE_PIPELINE_SOURCES": str(self.folder / "sources"),
        }

    def template(self, name: str, address: str = "http://127.0.0.1:1") -> TemplateSettings:
        """A template of the old configuration, sent to an endpoint."""
        environ = self.environ | {"BRAZE_REST_ENDPOINT": address}
        return next(
            t
            for config, place in load_configs(self.folder / "defs.yaml")
            for t in resolve(config, folder=self.folder, place=place, environ=environ)
            if t.name == name
        )

    def braze(self, destination: str) -> dict[str, dict[str, Any]]:
        """What the sandbox of a destination had at the end, by user."""
        text = (self.folder / "state" / f"{destination}.jsonl").read_text(encoding="utf-8")
        found = {}
        for line in text.splitlines():
            user = json.loads(line)
            name, custom = user.pop("external_id"), user.pop("custom_attributes", {})
            del user["braze_id"]
            found[name] = user | custom
        return found

    def plan(self, t: TemplateSettings, number: int) -> PlanSummary:
        """Plan a day of March."""
        return plan_days(
            self.warehouse, t, [MARCH[number]], run_id="new", now=MADE, environ=self.environ,
            overrides=Overrides(), log=lambda text: None,
        )  # fmt: skip

    def send(self, t: TemplateSettings, number: int) -> SendOutcome:
        """Send the newest plan of a day of March."""
        return send_days(
            self.warehouse, t, [MARCH[number]], run_id="new", environ=self.environ,
            log=lambda text: None,
        )  # fmt: skip


def unpack(version: str, folder: Path) -> OldDatabase:
    """Unpack a copy into a folder that does not exist yet."""
    source = Path(__file__).parent / "old" / version
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.tar.xz"))
    with tarfile.open(source / "state.tar.xz") as archive:
        archive.extractall(folder / "state", filter="data")
    return OldDatabase(folder)
