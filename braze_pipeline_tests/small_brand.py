"""A brand so small that a run costs next to nothing, with days that end yesterday.

Customer n buys once a day, for n + 1 pounds, so counting shows what Braze should have after a day.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import dagster as dg
import pytest

from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.orchestration.destination import build_definitions
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.sandbox import Sandbox

PROJECT = Path(__file__).parent.parent
CUSTOMERS = 30
DAYS = 45

_CONFIG = """
type: braze_pipeline.orchestration.BrazeDestination
attributes:
  destination:
    name: braze
    rest_endpoint: {endpoint}
    user_identifier: external_id
    known_users: {{source: assume}}
    retry_budget_seconds: 1
  time_zone: UTC
  start_date: "{first}"
  schedule: {schedule}
  templates:
    - name: loyal
      audience: {{high_value: {{lifetime_value: 0}}}}
      attributes:
        - {{column: email}}
        - {{column: lifetime_orders, as: Lifetime Orders, type: integer}}
        - {{column: lifetime_value, as: Lifetime Value, type: float, precision: 2}}
"""

LOCATION = """
import os
from pathlib import Path

from braze_pipeline.config.load import load_configs
from braze_pipeline.orchestration.destination import build_definitions

FILE = Path(__file__).with_name("defs.yaml")
((config, place),) = load_configs(FILE)
defs = build_definitions(config=config, folder=FILE.parent, place=place, environ=os.environ)
"""


@dataclass(frozen=True)
class SmallBrand:
    """Configuration, sources and a code location in one folder.

    Attributes:
        folder: The folder.
        last: The last day with orders: yesterday.
    """

    folder: Path
    last: date

    @property
    def config(self) -> Path:
        return self.folder / "defs.yaml"

    @property
    def home(self) -> Path:
        """A DAGSTER_HOME with the settings of ``make ui``."""
        return self.folder / "home"

    def environ(self, endpoint: str, api_key: str) -> dict[str, str]:
        return {
            "BRAZE_API_KEY": api_key,
            "BRAZE_REST_ENDPOINT": endpoint,
            "BRAZE_PIPELINE_SOURCES": str(self.folder / "sources"),
            "BRAZE_PIPELINE_DATABASE": str(self.folder / "warehouse.duckdb"),
            "DAGSTER_HOME": str(self.home),
        }

    def enter(
        self,
        monkeypatch: pytest.MonkeyPatch,
        endpoint: str = "http://127.0.0.1:1",
        api_key: str = "key",
    ) -> None:
        """Set this brand's variables in the environment of the test."""
        for name, value in self.environ(endpoint, api_key).items():
            monkeypatch.setenv(name, value)

    def start(
        self,
        sandbox: Sandbox,
        *arguments: str,
        stderr: int = subprocess.PIPE,
        environ: Mapping[str, str] = {},
    ) -> subprocess.Popen[str]:
        """Start the command line for this brand in a process of its own."""
        command = str(Path(sys.executable).with_name("braze-pipeline"))
        ours = self.environ(sandbox.endpoint, sandbox.api_key)
        return subprocess.Popen(
            [command, "--config", str(self.config), *arguments],
            cwd=self.folder,
            env={**os.environ, **ours, **environ},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def call(
        self, sandbox: Sandbox, *arguments: str, environ: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line for this brand to its end."""
        with self.start(sandbox, *arguments, environ=environ) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def send_slowly(self) -> None:
        """Configure one user per request, and two requests at a time."""
        less = "    objects_per_request: 1\n    max_in_flight: 2\n"
        text = self.config.read_text()
        self.config.write_text(text.replace("    retry_budget", f"{less}    retry_budget"))

    def day(self, days_ago: int) -> str:
        """A day, counted back from the last one."""
        return (self.last - timedelta(days=days_ago)).isoformat()

    def orders_by(self, day: str) -> int:
        """How many orders each customer has at the end of a day."""
        return DAYS - (self.last - date.fromisoformat(day)).days

    def users(self) -> list[str]:
        return [f"c{number}" for number in range(CUSTOMERS)]

    def buy_again(self, *, hour: int) -> None:
        """Add an order for everybody on the last day, as late data; once for each ``hour``."""
        with (self.folder / "sources" / "orders.csv").open("a", encoding="utf-8") as file:
            file.writelines(_orders([self.last], hour=hour))


def materialize(
    brand: SmallBrand, wanted: Callable[[str], bool], *, day: str | None = None, strict: bool = True
) -> dg.ExecuteInProcessResult:
    """Materialize the wanted assets of a day on the instance, as the UI does.

    Args:
        brand: The brand.
        wanted: Whether an asset of this name is wanted.
        day: The day; by default the brand's last.
        strict: Raise the exception of a failed step, instead of only failing the run.
    """
    ((config, place),) = load_configs(brand.config)
    definitions = build_definitions(
        config=config, folder=brand.folder, place=place, environ=os.environ
    )
    (t,) = resolve(config, folder=brand.folder, place=place, environ=os.environ)
    keys = TemplateKeys.of(t)
    with dg.DagsterInstance.get() as instance:
        return definitions.resolve_job_def(keys.job("braze_daily")).execute_in_process(
            instance=instance,
            partition_key=day or brand.day(0),
            asset_selection=[key for key in keys.all if wanted(key.path[-1])],
            raise_on_error=strict,
        )


def small_brand(folder: Path, *, schedule: str = "null") -> SmallBrand:
    """Write a small brand into a folder."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    brand = SmallBrand(folder, last)
    brand.home.mkdir(parents=True)
    shutil.copy(PROJECT / ".dagster_home" / "dagster.yaml", brand.home / "dagster.yaml")
    shutil.copy(PROJECT / "braze_pipeline" / "defs" / "braze" / "customer_attributes.sql", folder)
    first = last - timedelta(days=DAYS - 1)
    brand.config.write_text(
        dedent(_CONFIG).format(endpoint="http://127.0.0.1:1", first=first, schedule=schedule)
    )
    (folder / "location.py").write_text(LOCATION)
    (folder / "workspace.yaml").write_text(
        "load_from:\n  - python_file: {relative_path: location.py, location_name: small}\n"
    )
    _write_sources(folder / "sources", [first + timedelta(days=n) for n in range(DAYS)])
    return brand


def _write_sources(folder: Path, days: list[date]) -> None:
    folder.mkdir()
    customers = [
        "customer_id,given_name,surname,email,phone,city,country,birthdate,gender,loyalty_status\n"
    ]
    consents = ["customer_id,channel,opted_in,changed_at\n"]
    for number in range(CUSTOMERS):
        customers.append(f"c{number},Ann,Lee,ann{number}@example.com,,Leeds,GB,1980-01-02,F,gold\n")
        consents += [f"c{number},email,true,{day} 00:00:00\n" for day in (days[0], days[-1])]
    header = "order_id,customer_id,ordered_at,product_id,product_name,quantity,unit_price\n"
    (folder / "customers.csv").write_text("".join(customers))
    (folder / "consents.csv").write_text("".join(consents))
    (folder / "orders.csv").write_text("".join([header, *_orders(days, hour=12)]))


def _orders(days: Iterable[date], *, hour: int) -> list[str]:
    return [
        f"o{number}-{day}-{hour},c{number},{day} {hour}:00:00,p1,Mug,1,{number + 1}.00\n"
        for day in days
        for number in range(CUSTOMERS)
    ]
