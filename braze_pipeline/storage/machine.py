"""How much memory and how many threads DuckDB may use: what this machine or container really has.

DuckDB's own defaults are 80 % of the memory and every core, of each of the databases that a process
has open. It reads the limit of the process's own cgroup, but not those of the groups above it, and
not the cores that the process is bound to (tried with DuckDB 1.5).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

MEMORY_VARIABLE: Final = "BRAZE_PIPELINE_MEMORY"
THREADS_VARIABLE: Final = "BRAZE_PIPELINE_THREADS"

SHARE: Final = 0.6
"""The rest is for Python, for the Arrow batches on their way to and from it, and for what DuckDB
does not count."""

_MB: Final = 1024**2
_GB: Final = 1024**3

# The files of a limit, by the version of cgroups: https://docs.kernel.org/admin-guide/cgroup-v2.html
# and cgroup-v1/memory.html. In the second version `high` slows a process down long before `max`.
_MEMORY_FILES: Final = {
    "cgroup2": ("memory.max", "memory.high"),
    "cgroup": ("memory.limit_in_bytes",),
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the process may use.

    Attributes:
        memory: In bytes.
        cores: At least 1.
        processor: The processor time that it may take, in cores: less than 1 in a small container.
        contained: Whether a control group (a container, a systemd unit) sets the limit of memory.
    """

    memory: int
    cores: int
    processor: float
    contained: bool


@dataclass(frozen=True, kw_only=True)
class DuckdbLimits:
    """What DuckDB may use.

    Attributes:
        memory: As DuckDB's setting ``memory_limit``.
        threads: As its setting ``threads``.
        reasons: Where each of them comes from, for people.
    """

    memory: str
    threads: str
    reasons: tuple[str, str]

    def sentence(self) -> str:
        """For the log and for ``doctor``."""
        memory, threads = self.reasons
        return (
            f"DuckDB uses up to {self.memory} of memory ({memory}), and {self.threads} "
            f"thread{'' if self.threads == '1' else 's'} ({threads})."
        )


def limits(environ: Mapping[str, str] | None = None, *, root: Path = Path("/")) -> DuckdbLimits:
    """The limits of every DuckDB that the pipeline opens.

    Args:
        environ: May set either limit (default: the process's environment). The values are not
            checked here: DuckDB does so.
        root: The folder with ``proc`` and ``sys``; for tests.
    """
    environ = os.environ if environ is None else environ
    found = machine(root)
    memory, threads = (
        environ.get(name, "").strip() for name in (MEMORY_VARIABLE, THREADS_VARIABLE)
    )
    whose = "this container's" if found.contained else "this machine's"
    return DuckdbLimits(
        memory=memory or _size(found.memory * SHARE),
        threads=threads or str(found.cores),
        reasons=(
            MEMORY_VARIABLE if memory else f"{SHARE:.0%} of {whose} {_size(found.memory)}",
            THREADS_VARIABLE if threads else "one for each core that it may use",
        ),
    )


def machine(root: Path = Path("/")) -> Machine:
    """What the process may use: of the machine, and of every control group that it is in."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # macOS cannot bind a process to cores.
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory, cores = [total], [float(bound or 1)]
    for version, group in _groups(root):
        memory += [
            int(text) for file in _MEMORY_FILES[version] if (text := _read(group / file)).isdigit()
        ]
        cores += _quota(version, group)
    return Machine(
        memory=min(memory),
        cores=max(1, math.ceil(min(cores))),
        processor=min(cores),
        contained=min(memory) < total,
    )


def _quota(version: str, group: Path) -> Iterator[float]:
    """The cores of a group: CPU time over the period in which it may be used."""
    if version == "cgroup2":
        quota, _, period = _read(group / "cpu.max").partition(" ")
    else:
        quota, period = (_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if quota.isdigit() and period.isdigit():  # without a limit it is "max" or -1
        yield int(quota) / int(period)


def _groups(root: Path) -> Iterator[tuple[str, Path]]:
    """The folders of the process's groups, and of those above them, each with its version."""
    own = [line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines()]
    for line in _read(root / "proc/self/mountinfo").splitlines():
        # ID, parent, device, root, mount point, options, further fields, "-", type, source, options
        before, _, after = line.partition(" - ")
        version, _, options = after.split(" ", 2)
        if version not in _MEMORY_FILES:
            continue
        mounted, point = (PurePosixPath(one) for one in before.split()[3:5])
        for _, controllers, path in own:
            named = set(controllers.split(",")) if controllers else set()
            if (version == "cgroup2") == (not named) and named <= set(options.split(",")):
                yield from _upwards(
                    version, root / point.relative_to("/"), PurePosixPath(path), mounted
                )


def _upwards(
    version: str, point: Path, path: PurePosixPath, mounted: PurePosixPath
) -> Iterator[tuple[str, Path]]:
    # A container may see only its own group, mounted as if it were the root.
    inner = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath()
    for folder in (inner, *inner.parents):
        yield version, point / folder


def _read(file: Path) -> str:
    """The text of a file of the system; empty if it is not there."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _size(size: float) -> str:
    """An amount as DuckDB reads it, and people."""
    return f"{size / _GB:.1f} GiB" if size >= _GB else f"{size / _MB:.0f} MiB"
