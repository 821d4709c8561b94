"""The package's SQL for Spark, all 31 columns, in local mode with every core.

`_peers.py` starts it with the Python of `make spark`: pandera loads Spark wherever it is installed, which
would add to the figures of our own steps. Prints what Spark's Java process cost: CPU seconds, and peak
memory and bytes written in MB.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(sql: Path, folder: Path, day: str, file: Path) -> None:
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "12g")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.constraintPropagation.enabled", "false")
        .config("spark.local.dir", str(folder / "spark"))
        .getOrCreate()
    )
    for name in ("customers", "orders", "consents", "predictions"):
        place = folder / (name if name == "orders" else f"{name}.parquet")
        spark.read.parquet(str(place)).createOrReplaceTempView(name)
    text = sql.read_text(encoding="utf-8").replace("$as_of", f"DATE '{day}'")
    spark.sql(text).write.parquet(str(file))
    print(json.dumps(_cost_of(spark.sparkContext._gateway.proc.pid)))  # noqa: SLF001
    spark.stop()


def _cost_of(pid: int) -> tuple[float, float, float]:
    """Of another process, so far: proc(5)."""
    process = Path(f"/proc/{pid}")
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    peak = (process / "status").read_text().split("VmHWM:")[1].split()[0]
    written = (process / "io").read_text().split("\nwrite_bytes:")[1].split()[0]
    cpu = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return cpu, int(peak) / 1024, int(written) / 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
