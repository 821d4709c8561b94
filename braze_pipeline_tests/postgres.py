"""A real PostgreSQL in a temporary folder, on loopback: started, and gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

_DEBIAN = "/usr/lib/postgresql"
_PASSWORD = "s3cret/of%postgres@home:1"


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        port: On 127.0.0.1.
        password: Of its superuser ``brand``.
    """

    port: int
    password: str

    def uri(
        self, *, user: str = "brand", password: str | None = None, database: str = "brand"
    ) -> str:
        """An address with its credential."""
        secret = quote(password or self.password, safe="")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def run(self, *statements: str) -> None:
        """Execute statements as the superuser."""
        import adbc_driver_postgresql.dbapi as driver

        with driver.connect(self.uri(), autocommit=True) as handle, handle.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def load(self, table: str, rows: Any) -> None:
        """Make a table of an Arrow table."""
        import adbc_driver_postgresql.dbapi as driver

        with driver.connect(self.uri(), autocommit=True) as handle, handle.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            cursor.adbc_ingest(table, rows, mode="create")


def _binary(name: str) -> str | None:
    found = sorted(Path(_DEBIAN).glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server of its own; skipped where there is none, unless the environment asks for it."""
    initdb, server = _binary("initdb"), _binary("postgres")
    if initdb is None or server is None:
        if os.environ.get("BRAZE_PIPELINE_POSTGRES_REQUIRED"):
            pytest.fail("There is no PostgreSQL, and BRAZE_PIPELINE_POSTGRES_REQUIRED is set.")
        pytest.skip("there is no PostgreSQL (Debian's package postgresql)")
    # Not below pytest's own folders, which it closes to other users whenever it starts.
    with (
        tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder,
        _started(Path(folder), initdb, server) as running,
    ):
        yield running


@contextmanager
def _started(folder: Path, initdb: str, server: str) -> Iterator[Postgres]:
    password = folder / "password"
    password.write_text(_PASSWORD)
    # The server refuses to run as root.
    user = {}
    if os.getuid() == 0:
        other = pwd.getpwnam("postgres")
        user = {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []}
        for one in (folder, password):
            os.chown(one, other.pw_uid, other.pw_gid)
    data = folder / "data"

    def call(*arguments: Sequence[str] | str) -> None:
        subprocess.run(arguments, check=True, capture_output=True, cwd=folder, **user)  # type: ignore[call-overload]

    call(
        initdb,
        "-D",
        str(data),
        "-U",
        "brand",
        "-A",
        "scram-sha-256",
        "--pwfile",
        str(password),
        "--no-sync",
        "-E",
        "UTF8",
        "--locale",
        "C.UTF-8",
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "log"
    with log.open("w") as opened:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [server, "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1",
             "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"],
            cwd=folder, stdout=opened, stderr=opened, **user,
        )  # fmt: skip
    try:
        running = Postgres(port, password.read_text())
        _wait(running, process, log)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(running: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    import adbc_driver_postgresql.dbapi as driver

    deadline = time.monotonic() + 60
    while True:
        try:
            with (
                driver.connect(running.uri(database="postgres"), autocommit=True) as handle,
                handle.cursor() as cursor,
            ):
                cursor.execute("CREATE DATABASE brand")
        except driver.Error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from None
            time.sleep(0.2)
        else:
            return
