"""A real Spark cluster on loopback: a master, two workers and a Spark Connect server.

Spark itself comes from an environment of its own (``examples/spark``),
which ``make spark`` installs): it is 500 MB, and the pipeline needs only its small client.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REQUIRED = "BRAZE_PIPELINE_SPARK_REQUIRED"
_VENV = Path(__file__).parents[1] / "examples" / "spark" / ".venv"
# Java's second compiler takes longer than these small queries run.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
CONF: Mapping[str, str] = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "768m",
    "spark.driver.extraJavaOptions": _JAVA,
    "spark.executor.memory": "640m",
    "spark.executor.extraJavaOptions": _JAVA,
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
}


def spark_home() -> Path:
    """The folder of Spark; the test is skipped where there is none, unless it is asked for."""
    given = os.environ.get("SPARK_HOME")
    found = [Path(given)] if given else sorted(_VENV.glob("lib/python*/site-packages/pyspark"))
    java = shutil.which("java") or os.environ.get("JAVA_HOME")
    if found and (found[0] / "jars").is_dir() and java:
        return found[0]
    missing = "Java" if not java else "Spark (`make spark` installs it)"
    if os.environ.get(REQUIRED):
        pytest.fail(f"There is no {missing}, and {REQUIRED} is set.")
    pytest.skip(f"there is no {missing}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@dataclass
class Cluster:
    """A running cluster.

    Attributes:
        home: The folder of Spark.
        folder: With logs, and ``lake``: what both sides reach.
    """

    home: Path
    folder: Path
    master_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def master(self) -> str:
        return f"spark://127.0.0.1:{self.master_port}"

    @property
    def remote(self) -> str:
        return f"sc://127.0.0.1:{self.port}"

    @property
    def location(self) -> Path:
        return self.folder / "lake"

    def start(self, name: str, *command: str) -> None:
        """Start one of Spark's processes, which writes into a log of its own."""
        environ = {
            **os.environ,
            "SPARK_HOME": str(self.home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
            "SPARK_DAEMON_MEMORY": "768m" if name == "server" else "128m",
            "SPARK_DAEMON_JAVA_OPTS": f"{_JAVA} -Dspark.master.rest.enabled=false",
        }
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                [self.home / "bin" / "spark-class", *command],
                env=environ, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def start_worker(self, name: str) -> None:
        self.start(
            name, "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1",
            "--memory", "768m", "--webui-port", "0", "--work-dir", str(self.folder / name),
            self.master,
        )  # fmt: skip

    def stop(self, name: str) -> None:
        """End a process, and what it started."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)

    def wait(self, port: int, name: str) -> None:
        deadline = time.monotonic() + 180
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / f"{name}.log").read_text()[-4000:])
            time.sleep(0.1)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster of its own."""
    home = spark_home()
    with tempfile.TemporaryDirectory(prefix="spark-", ignore_cleanup_errors=True) as folder:
        running = Cluster(home, Path(folder))
        running.location.mkdir()
        try:
            running.start(
                "master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1",
                "--port", str(running.master_port), "--webui-port", "0",
            )  # fmt: skip
            running.wait(running.master_port, "master")
            for worker in ("worker1", "worker2"):
                running.start_worker(worker)
            conf = {
                **CONF,
                "spark.connect.grpc.binding.address": "127.0.0.1",
                "spark.connect.grpc.binding.port": str(running.port),
                "spark.sql.warehouse.dir": str(running.folder / "warehouse"),
            }
            running.start(
                "server", "org.apache.spark.deploy.SparkSubmit",
                "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
                "--name", "lake", "--master", running.master,
                *(part for key, value in conf.items() for part in ("--conf", f"{key}={value}")),
                "spark-internal",
            )  # fmt: skip
            running.wait(running.port, "server")
            yield running
        finally:
            for name in list(running.processes):
                running.stop(name)
