"""Another Dagster project installs the package and declares its own destinations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from braze_pipeline.sandbox import SANDBOX_API_KEY, Sandbox

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.e2e

DEFINITIONS = """\
from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""

PYPROJECT = """\
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "acme"
"""

SQL = """\
SELECT
    customer_id, braze_id, email, phone, country,
    NULL::VARCHAR AS tier,
    count(o.order_id) AS orders,
    coalesce(sum(o.quantity * o.unit_price), 0)::DOUBLE AS lifetime_value,
    NULL::DOUBLE AS predicted_clv,
    ($as_of - max(o.ordered_at)::DATE)::BIGINT AS l12m_recency,
    true AS email_opted_in,
    false AS sms_opted_in
FROM customers
LEFT JOIN orders AS o USING (customer_id)
WHERE o.ordered_at < $as_of + INTERVAL 1 DAY OR o.ordered_at IS NULL
GROUP BY ALL
"""


def declared(name: str, *templates: tuple[str, str]) -> str:
    """A destination whose templates have one attribute each."""
    head = dedent(
        f"""\
        type: braze_pipeline.orchestration.BrazeDestination
        attributes:
          destination:
            name: {name}
            instance: EU-01
            api_key_env: ACME_BRAZE_KEY
            user_identifier: external_id
            known_users: {{source: assume}}
          start_date: "2024-01-01"
          templates:
        """
    )
    body = "".join(
        f"    - name: {template}\n"
        "      audience: {high_value: {lifetime_value: 0}}\n"
        f"      attributes: [{{column: orders, as: {attribute}, type: integer}}]\n"
        for template, attribute in templates
    )
    return head + body


def scaffold(folder: Path) -> None:
    """Write a project with two destinations, one of them with two templates."""
    package = folder / "acme"
    for place, text in {
        "__init__.py": "",
        "definitions.py": DEFINITIONS,
        "defs/main/defs.yaml": declared("braze", ("orders", "Orders"), ("again", "Orders Again")),
        "defs/main/customer_attributes.sql": SQL,
        "defs/second/defs.yaml": declared("braze_us", ("orders", "Orders")),
        "defs/second/customer_attributes.sql": SQL,
    }.items():
        (package / place).parent.mkdir(parents=True, exist_ok=True)
        (package / place).write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    sources = folder / "sources"
    sources.mkdir()
    (sources / "customers.csv").write_text(
        "customer_id,given_name,surname,email,phone,city,country,birthdate,gender,loyalty_status\n"
        "c1,A,B,a@example.org,,,GB,,,\nc2,A,B,b@example.org,,,GB,,,\n",
        encoding="utf-8",
    )
    (sources / "orders.csv").write_text(
        "order_id,customer_id,ordered_at,product_id,product_name,quantity,unit_price\n"
        "o1,c1,2024-02-01,p,P,2,5.0\no2,c2,2024-02-02,p,P,1,5.0\n",
        encoding="utf-8",
    )
    (sources / "consents.csv").write_text(
        "customer_id,channel,opted_in,changed_at\nc1,email,true,2024-01-01\n", encoding="utf-8"
    )


RUN = """\
import json

from acme.definitions import defs
import braze_pipeline

loaded = defs()
keys = sorted(key.to_user_string() for key in loaded.resolve_asset_graph().get_all_asset_keys())
jobs = ["braze_daily", "again_braze_daily", "braze_us_braze_daily"]
done = [
    loaded.resolve_job_def(job).execute_in_process(
        partition_key="2024-02-03",
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    ).success
    for job in jobs
]
print(json.dumps({"keys": keys, "done": done, "package": braze_pipeline.__file__}))
"""


def run(folder: Path, *command: str, **environ: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("BRAZE_", "DAGSTER_"))},
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_project_that_installs_the_package_runs_two_destinations_side_by_side(
    tmp_path: Path,
) -> None:
    installed, project = tmp_path / "site", tmp_path / "project"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(
        tmp_path,
        *(*pip, "--no-deps", "--no-build-isolation", "--target", str(installed), str(ROOT)),
    )
    scaffold(project)
    with Sandbox(users=["c1", "c2"]) as sandbox:
        output = run(
            project,
            *(sys.executable, "-W", "ignore", "-c", RUN),
            PYTHONPATH=f"{installed}{os.pathsep}{project}",
            BRAZE_PIPELINE_SOURCES=str(project / "sources"),
            BRAZE_PIPELINE_DATABASE=str(tmp_path / "acme.duckdb"),
            BRAZE_REST_ENDPOINT=sandbox.endpoint,
            ACME_BRAZE_KEY=SANDBOX_API_KEY,
        )
        found = json.loads(output.splitlines()[-1])
        assert Path(found["package"]).is_relative_to(installed)
        assert found["done"] == [True, True, True]
        for key in ("braze_send", "again/braze_send", "braze_us/braze_send", "braze_us/customers"):
            assert key in found["keys"]
        assert sandbox.profile("c1") is not None
        assert {"Orders", "Orders Again"} <= set(sandbox.profile("c1") or {})
        assert sandbox.objects_sent("c1") == 3


SHOP = """\
import dagster as dg


@dg.asset(key=["shop", "orders"])
def orders() -> None:
    pass
"""


def test_a_project_whose_own_asset_feeds_two_destinations_passes_dagsters_checks(
    tmp_path: Path,
) -> None:
    scaffold(tmp_path)
    package = tmp_path / "acme"
    (package / "defs" / "shop.py").write_text(SHOP, encoding="utf-8")
    for name in ("main", "second"):
        file = package / "defs" / name / "defs.yaml"
        file.write_text(
            file.read_text(encoding="utf-8").replace(
                "  templates:\n",
                "  sources: {orders: {path: ../../../sources/orders.csv, "
                "asset_key: [shop, orders]}}\n  automation: on_source_update\n  templates:\n",
            ),
            encoding="utf-8",
        )
    binaries = Path(sys.executable).parent
    environ = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "PATH": f"{binaries}:/usr/bin:/bin"}
    for command in (
        ("dg", "check", "yaml"),
        ("dg", "check", "defs"),
        ("dagster", "definitions", "validate", "-m", "acme.definitions"),
    ):
        run(tmp_path, str(binaries / command[0]), *command[1:], **environ)
