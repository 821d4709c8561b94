"""The cost of loading and running, compared with a bare Dagster project of the same size.

The bare project has as many assets, checks, jobs, schedules and sensors, but they do nothing. The two
are measured in turns, each time in a new process with its bytecode cached. The best turn counts, in
clock time and in CPU time (of the process and its children).

Three things are measured: importing the definitions and resolving their jobs; ``dagster definitions
validate``; and a run of all assets of a day in which nothing has changed, on a persistent instance.
The pipeline then reads a hundred customers, builds, validates and compares them, asks a sandbox on
loopback for its attributes, and sends nothing. With so few rows, what remains is the cost of the steps.
The bare run does nothing, so the ratio counts all of the pipeline's work as overhead, including the
loading of libraries. A second bare run imports the libraries that such a project usually needs (duckdb,
pandas, pandera, pyarrow, requests) in its steps: whatever is above that is the pipeline's own. DuckDB
imports pandas at the first query with a parameter, so hardly any such project avoids it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from braze_pipeline.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
TARGET = 1.5

_BARE = """
import importlib
import os
import dagster as dg
days = dg.DailyPartitionsDefinition("2009-12-01")
counts = {counts!r}
def asset(n):
    # The checks are spread over the assets and, as in the pipeline, run inside them.
    specs = [dg.AssetCheckSpec(f"check_{{c}}", asset=f"asset_{{n}}")
             for c in range(n, counts["checks"], counts["assets"])]
    @dg.asset(name=f"asset_{{n}}", partitions_def=days, check_specs=specs,
              deps=[f"asset_{{n - 1}}"] if n else [])
    def made():
        for library in os.environ.get("BARE_IMPORTS", "").split():
            importlib.import_module(library)
        return dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(check_name=s.name, passed=True) for s in specs])
    return made
jobs = [dg.define_asset_job(f"job_{{n}}") for n in range(counts["jobs"])]
def sensor(n):
    @dg.sensor(name=f"sensor_{{n}}", job=jobs[0])
    def made():
        return None
    return made
defs = dg.Definitions(
    assets=[*(asset(n) for n in range(counts["assets"])),
            *(dg.AssetSpec(f"spec_{{n}}") for n in range(counts["specs"]))],
    jobs=jobs,
    schedules=[dg.ScheduleDefinition(name=f"schedule_{{n}}", job=jobs[0], cron_schedule="0 3 * * *")
               for n in range(counts["schedules"])],
    sensors=[sensor(n) for n in range(counts["sensors"])],
    executor=dg.in_process_executor,
)
"""

_COUNT = """
import json
from braze_pipeline.definitions import defs
d = defs()
g = d.resolve_asset_graph()
r = d.get_repository_def()
made = len(g.materializable_asset_keys)
print(json.dumps({"assets": made, "specs": len(g.get_all_asset_keys()) - made,
    "checks": len(g.asset_check_keys), "jobs": len([j for j in d.jobs or ()]),
    "schedules": len(r.schedule_defs), "sensors": len(r.sensor_defs)}))
"""


_RUN = """
import dagster as dg
{load}
job = {definitions}.resolve_job_def("{job}")
with dg.DagsterInstance.get() as instance:
    result = job.execute_in_process(
        instance=instance, partition_key="{day}",
        run_config={{"loggers": {{"console": {{"config": {{"log_level": "CRITICAL"}}}}}}}})
assert result.success
"""

DAY = "2011-12-09"
CUSTOMERS = 100
LIBRARIES = "duckdb pandas pandera.pandas pyarrow requests"


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder:
        # Bytecode is cached, as for any program that runs twice; the count below fills the cache.
        environ = {
            k: v
            for k, v in os.environ.items()
            if k not in ("DAGSTER_HOME", "PYTHONDONTWRITEBYTECODE")
        } | {"PYTHONPYCACHEPREFIX": str(Path(folder, "bytecode"))}
        counted = subprocess.run(
            [sys.executable, "-c", _COUNT],
            cwd=ROOT,
            env=environ,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        print("size of the bare project:", counted.strip())
        bare = Path(folder, "bare.py")
        bare.write_text(_BARE.format(counts=json.loads(counted)))
        validate = [str(Path(sys.executable).parent / "dagster"), "definitions", "validate"]
        load = "list({}.resolve_all_job_defs())"
        compare(
            "import",
            (
                [
                    sys.executable,
                    "-c",
                    f"from braze_pipeline.definitions import defs\n{load.format('defs()')}",
                ],
                ROOT,
            ),
            ([sys.executable, "-c", f"from bare import defs\n{load.format('defs')}"], Path(folder)),
            turns=turns,
            environ=environ,
        )
        compare(
            "validate",
            (validate, ROOT),
            ([*validate, "-f", str(bare)], Path(folder)),
            turns=turns,
            environ=environ,
        )
        with Sandbox(assume_all=True) as braze:
            run(Path(folder), environ | small_brand(Path(folder, "brand"), braze), turns=turns)


def run(folder: Path, environ: dict[str, str], *, turns: int) -> None:
    """A run in which nothing has changed, because another run went before it."""
    home = folder / "home"
    home.mkdir()
    environ = environ | {"DAGSTER_HOME": str(home)}
    commands: list[Command] = []
    for load, definitions, job, place in (
        ("from braze_pipeline.definitions import defs", "defs()", "braze_daily", ROOT),
        ("from bare import defs", "defs", "job_0", folder),
    ):
        code = _RUN.format(load=load, definitions=definitions, job=job, day=DAY)
        commands.append(([sys.executable, "-c", code], place))
    ours, bare = commands
    compare("empty run", ours, bare, turns=turns, environ=environ)
    environ |= {"BARE_IMPORTS": LIBRARIES}
    compare("and with libraries", ours, bare, turns=turns, environ=environ)


def small_brand(folder: Path, braze: Sandbox) -> dict[str, str]:
    """Sources with a hundred customers, and the environment that points to them and to a sandbox."""
    folder.mkdir()
    tables = {
        "customers": "customer_id,given_name,surname,email,phone,city,country,birthdate,gender,"
        "loyalty_status",
        "orders": "order_id,customer_id,ordered_at,product_id,product_name,quantity,unit_price",
        "consents": "customer_id,channel,opted_in,changed_at",
    }
    rows = {
        "customers": "c{n},Ann,Lee,ann{n}@example.com,,Leeds,GB,1980-01-02,F,gold",
        "orders": "o{n},c{n},2011-12-09 10:00:00,p1,Mug,1,2000.00",
        "consents": "c{n},email,true,2011-12-01 00:00:00",
    }
    for name, header in tables.items():
        lines = [rows[name].format(n=n) for n in range(CUSTOMERS)]
        (folder / f"{name}.csv").write_text("\n".join([header, *lines, ""]))
    return {
        "BRAZE_PIPELINE_SOURCES": str(folder),
        "BRAZE_PIPELINE_DATABASE": str(folder / "warehouse.duckdb"),
        "BRAZE_REST_ENDPOINT": braze.endpoint,
        "BRAZE_API_KEY": braze.api_key,
    }


Command = tuple[list[str], Path]


def compare(
    name: str, ours: Command, bare: Command, *, turns: int, environ: dict[str, str]
) -> None:
    """Measure both in turns; print the best of each, and their ratio."""
    for command in (ours, bare):
        once(command, environ)  # so that no turn is the first
    found = [(once(ours, environ), once(bare, environ)) for _ in range(turns)]
    for unit, k in (("clock", 0), ("CPU", 1)):
        mine, floor = min(o[k] for o, _ in found), min(b[k] for _, b in found)
        result = "met" if mine / floor <= TARGET else "MISSED"
        print(
            f"{name:18} {unit:5} pipeline {mine:6.2f} s  bare {floor:6.2f} s  "
            f"ratio {mine / floor:.2f}  (target {TARGET}: {result})"
        )


def once(command: Command, environ: dict[str, str]) -> tuple[float, float]:
    """Clock and CPU seconds of one process."""
    arguments, folder = command
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(arguments, cwd=folder, env=environ, check=True, capture_output=True)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
