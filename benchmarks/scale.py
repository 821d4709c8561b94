"""Three nights of a shop of any size, step by step, as ratios to the least that could be done instead.

    make bench-scale N="100000 1000000" PEERS=100000
    python benchmarks/scale.py --customers 100000 1000000 --peers 100000 --markdown docs/performance.md

A first night, a second one on which 1 % of the customers have a new order, and a third on which nothing
has changed (`_shop.py` makes the tables, `_night.py` runs the steps). Each step runs in its own process,
so that its peak memory and what it writes can be measured. Floors are measured in the same run; the
best of three counts.

``--peers`` does the same work at this size with what is used elsewhere (`_peers.py`).
``--markdown`` replaces the tables between the two marks in that file.

Disk: 1 GB for each million customers.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import _night
import _peers
import _shop
from _measure import Cost, measure
from _report import NIGHTS, Night, Size, report, write_markdown
from send import served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, nargs="+", default=[100_000])
    parser.add_argument("--peers", type=int, nargs="*", default=[], help="sizes, in customers")
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's)")
    parser.add_argument("--tables", type=Path, help="where made tables are kept, for other runs")
    parser.add_argument("--markdown", type=Path, help="the file whose tables are replaced")
    parser.add_argument("--note", default="", help="a sentence about this run, above the tables")
    options = parser.parse_args()
    sizes, peers = [], {}
    for customers in sorted({*options.customers, *options.peers}):
        with served() as endpoint, tempfile.TemporaryDirectory(dir=options.folder) as folder:
            print(
                f"== {customers:,} customers, {customers * _shop.LINES:,} order lines", flush=True
            )
            work = Path(folder)
            _tables(work, customers, options.tables)
            night = _night_of(work, endpoint, 0)
            if customers in options.peers:
                peers[customers] = _peers.compare(work, endpoint, night)
            if customers in options.customers:
                later = _later_nights(work, endpoint, customers)
                sizes.append(Size(customers, (night, *later)))
            size = sum(file.stat().st_size for file in work.glob("warehouse*") if file.is_file())
            print(f"database: {size / 1e6:,.0f} MB", flush=True)
    text = report(sizes, peers, options.note)
    print(text)
    if options.markdown:
        write_markdown(options.markdown, text)


def _tables(work: Path, customers: int, kept: Path | None) -> None:
    """The shop's tables in ``work``, made or as they were kept. Later nights add files."""
    if kept is None:
        measure("(making the tables)", _shop.make, work, customers)
        return
    made = kept / str(customers)
    if not made.exists():
        part = kept / f"{customers}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        measure("(making the tables)", _shop.make, part, customers)
        part.rename(made)
    shutil.copytree(made, work, dirs_exist_ok=True)


def _later_nights(folder: Path, endpoint: str, customers: int) -> list[Night]:
    measure("(one customer in 100 orders)", _shop.add_orders, folder, customers, _day(1))
    return [_night_of(folder, endpoint, number) for number in (1, 2)]


def _day(number: int) -> Any:
    return _shop.LAST + timedelta(days=number)


def _night_of(folder: Path, endpoint: str, number: int) -> Night:
    """Every step of a night, and the floors: those of the ledger once it has rows."""
    day = _day(number)
    print(f"-- {NIGHTS[number]} night", flush=True)
    steps: dict[str, Cost] = {}
    found: dict[str, Any] = {}

    def step(name: str, work: Callable[..., Any]) -> None:
        steps[name], result = measure(name, work, folder, endpoint, day)
        found.update(result)

    floors = {"attributes": _least("plain aggregate", _night.plain_aggregate, folder)}
    step("attributes", _night.attributes)
    step("audience", _night.audience)
    step("profiles", _night.profiles)
    step("plan", _night.plan)
    floors["send"] = _least("plain send", _night.plain_send, folder, endpoint, day)
    step("send", _night.send)
    step("apply", _night.apply)
    floors["audience"] = _least("plain scan", _night.plain_audience, folder, endpoint, day)
    file = folder / "mapped.parquet"
    measure("(the profiles as a file)", _night.mapped, folder, endpoint, day, file)
    floors["profiles"] = _least("plain pass", _night.plain_validation, folder, endpoint, day, file)
    floors["plan"] = _least("plain join", _night.plain_join, folder, endpoint, day)
    floors["apply"] = floors["plan"]
    return Night(steps, floors, found)


def _least(name: str, work: Callable[..., Any], *arguments: Any) -> Cost:
    costs = [measure(name, work, *arguments)[0] for _ in "123"]
    return Cost(*(min(values) for values in zip(*costs, strict=True)))


if __name__ == "__main__":
    main()
