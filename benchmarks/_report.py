"""What `scale.py` measured, on the terminal and as Markdown: tables, targets, and the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from _measure import Cost

NIGHTS = ("first", "second", "third")
_TITLES = ("First night: everything is new", "Second night: 1 % of the customers ordered",
           "Third night: nothing changed")  # fmt: skip
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_FLOORS = {
    "attributes": "one aggregate of the lines",
    "audience": "a scan of its rules' columns",
    "profiles": "their schema over one frame",
    "plan": "one join with the ledger",
    "send": "the same bodies, posted",
    "apply": "one join with the ledger",
}


class Night(NamedTuple):
    """What each step cost, the floor of each, and what they counted."""

    steps: dict[str, Cost]
    floors: dict[str, Cost]
    found: dict[str, Any]

    def total(self, *, without: tuple[str, ...] = ()) -> Cost:
        """All steps together; memory is the highest."""
        steps = [cost for name, cost in self.steps.items() if name not in without]
        return Cost(
            sum(cost.clock for cost in steps),
            sum(cost.cpu for cost in steps),
            max(cost.peak for cost in steps),
            sum(cost.written for cost in steps),
        )


class Size(NamedTuple):
    """The nights of one size."""

    customers: int
    nights: tuple[Night, ...]


class Peer(NamedTuple):
    """Another way to do the same: what it cost, and how its result compares."""

    name: str
    cost: Cost | None
    note: str


Peers = Mapping[int, Mapping[str, Sequence[Peer]]]


def report(sizes: Sequence[Size], peers: Peers, note: str) -> str:
    """Everything as Markdown."""
    return "\n".join(_report(sizes, peers, note))


def write_markdown(file: Path, shown: str) -> None:
    """Replace what is between the two marks of a file.

    Raises:
        SystemExit: the file does not have them.
    """
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{file} needs the lines {BEGIN} and {END}.")
    file.write_text(f"{before}{BEGIN}\n{shown}\n{END}{after}", encoding="utf-8")


def _report(sizes: Sequence[Size], peers: Peers, note: str) -> Iterator[str]:
    yield from ("", f"{_machine()} {note}".strip(), "")
    for size in sizes:
        yield from _tables(size)
    if sizes:
        yield from ("### Targets", "", "| target | measured | met |", "|---|---|---|")
        for target, measured, met in _targets(sizes):
            yield f"| {target} | {measured} | {'yes' if met else 'no'} |"
        yield ""
    for customers, groups in peers.items():
        yield from (f"### Beside others, {customers:,} customers", "")
        for title, rows in groups.items():
            yield from (f"| {title} | clock s | CPU s | peak MB | CPU, of ours | |",
                        "|---|---:|---:|---:|---:|---|")  # fmt: skip
            ours = rows[0].cost
            for row in rows:
                if row.cost is None or ours is None:
                    yield f"| {row.name} | | | | | {row.note} |"
                else:
                    yield (
                        f"| {row.name} | {row.cost.clock:,.1f} | {row.cost.cpu:,.1f} | "
                        f"{row.cost.peak:,.0f} | {row.cost.cpu / ours.cpu:.2f} | {row.note} |"
                    )
            yield ""


def _tables(size: Size) -> Iterator[str]:
    yield from (f"### {size.customers:,} customers, {size.customers * 10:,} order lines", "")
    for title, night in zip(_TITLES, size.nights, strict=True):
        counted = ", ".join(
            f"{night.found[key]:,} {name}"
            for key, name in (
                ("audience", "in the audience"), ("unchanged", "profiles copied"),
                ("users", "users to send"), ("values", "values"),
            )
        )  # fmt: skip
        yield from (f"**{title}** ({counted})", "")
        yield "| step | clock s | CPU s | peak MB | written MB | CPU, x floor | floor |"
        yield "|---|---:|---:|---:|---:|---:|---|"
        for name, cost in night.steps.items():
            # A step that has nothing to do is not compared.
            idle = name in {"send", "apply"} and not night.found["users"]
            ratio = "" if idle else f"{cost.cpu / max(night.floors[name].cpu, 0.01):.1f}"
            yield _line(name, cost, ratio, _FLOORS[name])
        yield _line("**all**", night.total(), "", "")
        yield ""


def _line(name: str, cost: Cost, ratio: str, floor: str) -> str:
    return (
        f"| {name} | {cost.clock:,.1f} | {cost.cpu:,.1f} | {cost.peak:,.0f} | "
        f"{cost.written:,.0f} | {ratio} | {floor} |"
    )


def _targets(sizes: Sequence[Size]) -> Iterator[tuple[str, str, bool]]:
    """Each target with what was measured; of the largest size, and CPU time, if not said."""
    largest = sizes[-1]
    first, second, _ = largest.nights
    where = f"{largest.customers:,} customers"
    for name, cost, of, most in (
        ("attributes", first.steps["attributes"].cpu, first.floors["attributes"].cpu, 6),
        ("profiles, first night", first.steps["profiles"].cpu, first.floors["profiles"].cpu, 5),
        ("profiles, 1 % changed", second.steps["profiles"].cpu, second.floors["profiles"].cpu, 1),
        ("plan and apply, first night", first.steps["plan"].cpu + first.steps["apply"].cpu,
         first.floors["plan"].cpu, 12),
    ):  # fmt: skip
        ratio = cost / of
        yield f"{name}: at most {most} x its floor ({where})", f"{ratio:.1f} x", ratio <= most
    night = second.total(without=("send",))
    ratio = night.clock / second.steps["attributes"].clock
    yield (
        f"second night without the network: at most 2 x its attributes, by the clock ({where})",
        f"{ratio:.2f} x",
        ratio <= 2,
    )
    peak = max(night.total().peak for night in largest.nights)
    yield f"peak memory: at most 6 GiB ({where})", f"{peak / 1024:.1f} GiB", peak <= 6 * 1024
    for small, large in pairwise(sizes):
        allowed = 1.1 * large.customers / small.customers
        grown = large.nights[1].total(without=("send",)).clock
        grown /= small.nights[1].total(without=("send",)).clock
        limit = f"at most {allowed:.0f} x the time of {small.customers:,}"
        yield (
            f"second night: {large.customers:,} customers in {limit}",
            f"{grown:.1f} x",
            grown <= allowed,
        )


def _machine() -> str:
    """The machine and the versions, in one line."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "model name" in (text := cpuinfo.read_text(encoding="utf-8")):
        model = text.split("model name")[1].split(":", 1)[1].split("\n", 1)[0].strip()
    packages = ", ".join(
        f"{name} {found}"
        for name in (
            "duckdb",
            "pyarrow",
            "pandas",
            "pandera",
            "polars",
            "pyspark",
            "braze-client-p311",
        )
        if (found := _version(name))
    )
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {model}, {os.cpu_count()} cores, {memory:.0f} GB "
        f"of memory, {platform.system()}, Python {platform.python_version()}; {packages}."
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
