"""What loading the code location costs, beside a bare Dagster project of the same size.

The bare project has as many assets, checks, jobs, schedules and sensors, all doing nothing. Both
are measured by turns, each time in a fresh process; the best of the turns counts, as clock time
and as processor time (of the process and its children).

Two things are measured: importing the definitions and resolving their jobs, and
``dagster definitions validate``. A run on an empty delta is not.
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

ROOT = Path(__file__).parent.parent
TARGET = 1.5

_BARE = """
import dagster as dg
days = dg.DailyPartitionsDefinition("2009-12-01")
counts = {counts!r}
def asset(n):
    # The checks are shared out over the assets; like ours, they are made inside of them.
    specs = [dg.AssetCheckSpec(f"check_{{c}}", asset=f"asset_{{n}}")
             for c in range(n, counts["checks"], counts["assets"])]
    @dg.asset(name=f"asset_{{n}}", partitions_def=days, check_specs=specs,
              deps=[f"asset_{{n - 1}}"] if n else [])
    def made():
        return None
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


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder:
        environ = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"}
        counted = subprocess.run(
            [sys.executable, "-c", _COUNT], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        print("as large as ours:", counted.strip())
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


Command = tuple[list[str], Path]


def compare(
    name: str, ours: Command, bare: Command, *, turns: int, environ: dict[str, str]
) -> None:
    """Both by turns; the best of each, and their ratio."""
    found = [(once(ours, environ), once(bare, environ)) for _ in range(turns)]
    for unit, k in (("clock", 0), ("CPU", 1)):
        mine, floor = min(o[k] for o, _ in found), min(b[k] for _, b in found)
        verdict = "met" if mine / floor <= TARGET else "MISSED"
        print(
            f"{name:9} {unit:5} ours {mine:6.2f} s  bare {floor:6.2f} s  "
            f"ratio {mine / floor:.2f}  (target {TARGET}: {verdict})"
        )


def once(command: Command, environ: dict[str, str]) -> tuple[float, float]:
    """Clock and processor seconds of one process."""
    arguments, folder = command
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(arguments, cwd=folder, env=environ, check=True, capture_output=True)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
