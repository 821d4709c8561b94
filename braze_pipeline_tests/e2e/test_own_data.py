"""The examples of docs/sources.md, as they stand there, in an empty Dagster project."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from braze_pipeline.sandbox import SANDBOX_API_KEY, Sandbox
from braze_pipeline_tests.e2e.test_other_project import DEFINITIONS, PYPROJECT
from braze_pipeline_tests.object_store import object_store
from braze_pipeline_tests.postgres import postgres

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"

pytestmark = pytest.mark.e2e

RUN = """\
from acme.definitions import defs

run = defs().resolve_job_def("braze_daily").execute_in_process(
    partition_key="2024-02-03",
    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
)
assert run.success
"""


def example(heading: str) -> dict[str, str]:
    """The files of an example, by the name that stands before each."""
    section = PAGE.read_text(encoding="utf-8").partition(f"### {heading}\n")[2]
    section = re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0]
    return dict(
        re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    )


@dataclass(frozen=True)
class Project:
    """An empty project with the files of one example, and what its processes need."""

    folder: Path
    environ: Mapping[str, str]

    def call(self, *command: str) -> str:
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("BRAZE_", "DAGSTER_"))}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**ours, **self.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for secret in ("s3cret", "home:1", "home%3A1"):
            assert secret not in done.stdout + done.stderr
        return done.stdout

    def first_day(self) -> None:
        """The job, as Dagster loads it from the project."""
        self.call(sys.executable, "-W", "ignore", "-c", RUN)

    def second_day(self) -> dict[str, int | str]:
        """The next day, by the command line; what it did."""
        out = self.call(
            str(Path(sys.executable).with_name("braze-pipeline")),
            *("--config", "acme/defs/braze/defs.yaml", "run", "--as-of", "2024-02-04", "--json"),
        )
        found: dict[str, int | str] = json.loads(out.splitlines()[-1])
        return found


def project(folder: Path, heading: str, sandbox: Sandbox, environ: Mapping[str, str]) -> Project:
    files = {f"acme/defs/braze/{name}": text for name, text in example(heading).items()}
    assert sorted(Path(file).name for file in files) == ["customer_attributes.sql", "defs.yaml"]
    files |= {
        "acme/__init__.py": "",
        "acme/definitions.py": DEFINITIONS,
        "pyproject.toml": PYPROJECT,
    }
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    ours = {"BRAZE_REST_ENDPOINT": sandbox.endpoint, "BRAZE_API_KEY": SANDBOX_API_KEY}
    return Project(folder, {**environ, **ours})


def test_a_brand_with_tables_in_postgres(tmp_path: Path) -> None:
    with postgres() as server, Sandbox(users=["c1", "c2", "c3"]) as sandbox:
        server.run(
            "CREATE TABLE accounts AS SELECT * FROM (VALUES ('c1', 'ann@example.com', 'GB'), "
            "('c2', 'bob@example.com', 'GB'), ('c3', 'eve@example.com', 'FR')) AS t "
            "(id, email, country)",
            "CREATE TABLE order_lines (account_id text, order_id int, placed_at timestamptz, "
            "quantity int, price numeric(12, 2))",
            "INSERT INTO order_lines VALUES ('c1', 1, '2024-02-01 10:00Z', 2, 6.25), "
            "('c2', 2, '2024-02-02 10:00Z', 1, 20), ('c2', 3, '2024-02-04 10:00Z', 3, 10), "
            "('c3', 4, '2024-02-02 10:00Z', 1, 99)",
        )
        brand = project(tmp_path, "Tables in Postgres", sandbox, {"SHOP_URI": server.uri()})
        brand.first_day()
        first = sandbox.profile("c1") or {}
        assert (first["email"], first["Orders"], first["Lifetime Value"]) == (
            "ann@example.com",
            1,
            12.5,
        )
        assert "Orders" not in (sandbox.profile("c3") or {})  # not in the audience
        found = brand.second_day()
        assert (found["planned_users"], found["accepted_users"], found["status"]) == (1, 1, "sent")
        assert (sandbox.profile("c2") or {})["Lifetime Value"] == 50.0
        assert sandbox.objects_sent("c1") == 1


def test_a_brand_with_parquet_on_s3(tmp_path: Path) -> None:
    def orders(*lines: tuple[str, str, str]) -> pa.Table:
        return pa.table(
            {
                "order_id": [line[0] for line in lines],
                "member": [line[1] for line in lines],
                "placed_at": pa.array([line[2] for line in lines]).cast(pa.timestamp("us")),
                "product_id": ["p"] * len(lines),
                "product_name": ["Mug"] * len(lines),
                "quantity": [1] * len(lines),
                "unit_price": [5.0] * len(lines),
            }
        )

    with object_store() as bucket, Sandbox(users=["m1", "m2"]) as sandbox:
        members = {"member": ["m1", "m2"], "email": ["ann@example.com", "bob@example.com"]}
        bucket.put_parquet("members/part-0.parquet", pa.table(members))
        bucket.put_parquet(
            "orders/2024-02-02.parquet",
            orders(("o1", "m1", "2024-02-01 10:00:00"), ("o2", "m2", "2024-02-02 11:00:00")),
        )
        brand = project(tmp_path, "Parquet on S3", sandbox, bucket.environ)
        brand.first_day()
        assert str((sandbox.profile("m1") or {})["Last Order"]).startswith("2024-02-01")
        bucket.put_parquet("orders/2024-02-04.parquet", orders(("o3", "m2", "2024-02-04 09:00:00")))
        found = brand.second_day()
        assert (found["planned_users"], found["accepted_users"], found["status"]) == (1, 1, "sent")
        assert (sandbox.profile("m2") or {})["Orders"] == 2
        assert sandbox.objects_sent("m1") == 1
