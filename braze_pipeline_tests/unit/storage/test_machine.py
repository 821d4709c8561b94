"""DuckDB gets what the machine or container really has: no more, and not all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.storage.machine import limits, machine
from braze_pipeline.storage.warehouse import Warehouse, prepare

_GB = 1024**3
_NOTHING: dict[str, str] = {}

_V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
_V1 = """32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd"""


def system(folder: Path, *, groups: str, mounts: str, files: dict[str, object]) -> Path:
    """A folder that looks like the root of a Linux system, as far as control groups go."""
    for name, text in {
        "proc/self/cgroup": groups,
        "proc/self/mountinfo": f"23 1 8:1 / / rw,relatime - ext4 /dev/root rw\n{mounts}\n",
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="utf-8")
    return folder


def test_without_control_groups_it_is_the_machine(tmp_path: Path) -> None:
    found = machine(tmp_path)
    assert found.memory == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found.cores == found.processor == len(os.sched_getaffinity(0))
    assert "60% of this machine's" in limits(_NOTHING, root=tmp_path).sentence()


def test_a_group_of_version_2_and_every_group_above_it_count(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        groups="0::/pods/pod/app",
        mounts=_V2,
        files={
            "pods/memory.max": 4 * _GB,
            "pods/pod/memory.max": 1 * _GB,
            "pods/pod/app/memory.max": "max",
            "pods/pod/app/memory.high": "max",
            "pods/cpu.max": "50000 100000",
            "pods/pod/app/cpu.max": "max 100000",
        },
    )
    found = machine(root)
    assert (found.memory, found.cores, found.contained) == (1 * _GB, 1, True)
    assert found.processor == 0.5
    said = limits(_NOTHING, root=root).sentence()
    assert "up to 614 MiB of memory (60% of this container's 1.0 GiB), and 1 thread " in said


def test_memory_high_is_a_limit_because_a_process_above_it_hardly_moves(tmp_path: Path) -> None:
    files: dict[str, object] = {"memory.max": 8 * _GB, "memory.high": 2 * _GB}
    root = system(tmp_path, groups="0::/", mounts=_V2, files=files)
    assert machine(root).memory == 2 * _GB


@pytest.mark.parametrize("seen_from", ["host", "container"])
def test_a_group_of_version_1(tmp_path: Path, seen_from: str) -> None:
    # A container sees its own group mounted as the root, and the path as it is on the host.
    under = "docker/abc/" if seen_from == "host" else ""
    root = system(
        tmp_path,
        groups="9:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/",
        mounts=_V1.format(root="/" if seen_from == "host" else "/docker/abc"),
        files={
            "memory/memory.limit_in_bytes": 9223372036854771712 if under else 3 * _GB,
            f"memory/{under}memory.limit_in_bytes": 3 * _GB,
            f"cpu,cpuacct/{under}cpu.cfs_quota_us": 20000,
            f"cpu,cpuacct/{under}cpu.cfs_period_us": 100000,
        },
    )
    found = machine(root)
    assert (found.memory, found.cores, found.contained) == (3 * _GB, 1, True)
    assert found.processor == 0.2


def test_no_limit_of_version_1_is_no_limit(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": 9223372036854771712, "cpu/cpu.cfs_quota_us": -1}
    root = system(
        tmp_path, groups="9:memory:/\n3:cpu:/", mounts=_V1.format(root="/"), files=dict(files)
    )
    assert not machine(root).contained


def test_every_connection_has_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAZE_PIPELINE_MEMORY", "300MiB")
    monkeypatch.setenv("BRAZE_PIPELINE_THREADS", "1")
    setting = "SELECT current_setting('memory_limit'), current_setting('threads')"
    with Warehouse(tmp_path / "warehouse.duckdb").connect() as con:
        assert con.execute(setting).fetchall() == [("300.0 MiB", 1)]
    assert "BRAZE_PIPELINE_MEMORY" in limits().sentence()


@pytest.mark.parametrize(
    ("name", "value"),
    [("BRAZE_PIPELINE_MEMORY", "much"), ("BRAZE_PIPELINE_THREADS", "0")],
)
def test_a_limit_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with duckdb.connect() as con, pytest.raises(ConfigurationError, match=name):
        prepare(con)


_MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def group() -> Iterator[Path]:
    """A real control group of 1 GB, with one inside it that has no limit of its own."""
    outer = _MEMORY / f"braze-pipeline-test-{os.getpid()}"
    inner = outer / "inner"
    try:
        inner.mkdir(parents=True)
        (outer / "memory.limit_in_bytes").write_text(str(_GB), encoding="utf-8")
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    yield inner
    for folder in (inner, outer):
        folder.rmdir()


def test_a_process_in_a_real_group_is_kept_to_it_although_duckdb_would_not_be(group: Path) -> None:
    script = (
        "import os, sys, duckdb\n"
        "from braze_pipeline.storage.warehouse import prepare\n"
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "with duckdb.connect() as con:\n"
        "    prepare(con)\n"
        "    print(con.execute(\"SELECT current_setting('memory_limit')\").fetchone()[0])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(group / "cgroup.procs")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert ran.stdout.strip() == "614.0 MiB"
