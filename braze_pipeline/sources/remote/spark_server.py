"""A Spark Connect server for one run, for a connection that names the master of a cluster.

It comes from the Spark in SPARK_HOME, listens on loopback alone, asks for a token that only this
process knows, and ends with the run.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import ConfigurationError, SourceUnavailable

if TYPE_CHECKING:
    from braze_pipeline.settings.places import Connection

_CLASS: Final = "org.apache.spark.sql.connect.service.SparkConnectServer"
_ENDS: Final = 15.0


@contextmanager
def running(connection: Connection, environ: Mapping[str, str]) -> Iterator[str]:
    """Start a server, and give its address with the token.

    Raises:
        ConfigurationError: there is no Spark in SPARK_HOME.
        SourceUnavailable: it does not start.
    """
    submit = Path(environ.get("SPARK_HOME", "")) / "bin" / "spark-submit"
    if not environ.get("SPARK_HOME") or not submit.is_file():
        raise ConfigurationError(
            f"The connection {connection.name} has a `master`, and SPARK_HOME has no Spark.",
            fix="Set SPARK_HOME to the folder of Spark 4 (with bin/spark-submit), or give `remote` "
            "of a Spark Connect server.",
        )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_urlsafe(32)
    given = {
        "spark.ui.enabled": "false",
        **connection.conf,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    options = [part for key, value in given.items() for part in ("--conf", f"{key}={value}")]
    process = subprocess.Popen(  # noqa: S603 - the program of SPARK_HOME
        [submit, "--class", _CLASS, "--name", "braze-pipeline", "--master", connection.master or "",
         *options, "spark-internal"],
        # Not in the arguments, which every user of the machine can read.
        env={**environ, "SPARK_CONNECT_AUTHENTICATE_TOKEN": token},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        _wait(connection, process, port)
        yield f"sc://localhost:{port}/;token={token}"
    finally:
        _end(process)


def _wait(connection: Connection, process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + connection.connect_seconds
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise SourceUnavailable(
        f"The connection {connection.name} (spark): no Spark Connect server started for the master "
        f"{connection.master} within {connection.connect_seconds:,.0f} s.",
        fix="Check that the master is right and reachable, that Java 17 or newer is installed, and "
        "`conf`; start $SPARK_HOME/sbin/start-connect-server.sh by hand to see what Spark says.",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDS)
            return
