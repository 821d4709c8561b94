"""The limits of a request hold by construction."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braze_pipeline.braze.track_endpoints import track_endpoint
from braze_pipeline.plan.build import plan_user
from braze_pipeline.plan.preflight import Preflight
from braze_pipeline.plan.snapshot import _Requests
from braze_pipeline.settings import replace
from braze_pipeline_tests.ledger_world import World, attribute, day, smaller_requests, template

Make = Callable[..., World]
T = template(attribute("Tier"), attribute("Note"))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    sizes=st.lists(st.integers(0, 700), min_size=1, max_size=60),
    objects=st.integers(1, 75),
    limit=st.integers(1000, 3000),
)
def test_no_request_is_over_its_limits_and_every_user_is_in_one_or_rejected(
    sizes: list[int], objects: int, limit: int
) -> None:
    with TemporaryDirectory() as folder:
        w = World(Path(folder), smaller_requests(T, objects, max_body_bytes=limit))
        rows = {f"u{n}": {"Tier": "é" * size} for n, size in enumerate(sizes)}
        w.profiles(day(1), rows)
        plan = w.plan(day(1))
        requests: dict[int, list[str]] = {}
        for n, row in enumerate(w.rows(plan)):
            requests.setdefault(row["__request"], []).append(row["__object"])
            assert row["__index"] == len(requests[row["__request"]]) - 1, n
        bodies = ['{"attributes":[' + ",".join(found) + "]}" for found in requests.values()]
        assert all(len(found) <= objects for found in requests.values())
        assert all(len(body.encode()) <= limit for body in bodies)
        assert sum(len(body.encode()) for body in bodies) == plan.bytes
        assert list(requests) == list(range(len(requests)))
        sent = [json.loads(text)["external_id"] for found in requests.values() for text in found]
        too_large = [
            user
            for (user,) in w.con.execute(
                "SELECT user_id FROM records.rejections WHERE reason = 'object_too_large'"
            ).fetchall()
        ]
        assert sorted(sent + too_large) == sorted(rows)
        assert (plan.planned_users, plan.held_back_users) == (len(sent), len(too_large))
        assert plan.requests == len(requests)
        w.close()


def test_an_object_that_fits_a_request_is_sent_and_one_that_is_a_byte_too_long_is_not(
    world: Make,
) -> None:
    w = world(smaller_requests(T, 1, max_body_bytes=1000))
    rest = len('{"attributes":[{"external_id":"a","_update_existing_only":true,"Tier":""}]}')
    w.profiles(day(1), {"a": {"Tier": "x" * (999 - rest)}, "b": {"Tier": "x" * (1001 - rest)}})
    assert set(w.sent(w.plan(day(1)))) == {"a"}


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=40),
    cuts=st.sets(st.integers(1, 39)),
    small=st.integers(1, 7),
    large=st.integers(1, 7),
    large_from=st.integers(1, 50),
)
def test_requests_are_numbered_and_measured_the_same_however_the_rows_arrive(
    sizes: list[int], cuts: set[int], small: int, large: int, large_from: int
) -> None:
    destination = T.destination
    of_small, of_large = (
        track_endpoint(replace(destination, objects_per_request=objects), "track")
        for objects in (small, large)
    )
    numbers = _Requests((of_small, of_large), large=large_from)
    ends = [*sorted(cut for cut in cuts if cut < len(sizes)), len(sizes)]
    places: list[tuple[int, int]] = []
    texts: list[str] = []

    def write(numbered: Iterable[tuple[tuple[pa.Array, pa.Array], pa.RecordBatch]]) -> None:
        for place, rows in numbered:
            places.extend(zip(*(part.to_pylist() for part in place), strict=True))
            texts.extend(rows["__object"].to_pylist())

    for begin, end in zip([0, *ends], ends, strict=False):
        given = pa.array(["x" * size for size in sizes[begin:end]], pa.string())
        write(numbers.number(pa.record_batch({"__object": given})))
    write(numbers.end())
    objects = large if small == large or len(sizes) >= large_from else small
    assert numbers.endpoint.objects == objects
    assert [len(text) for text in texts] == sizes
    assert places == [divmod(n, objects) for n in range(len(sizes))]
    requests = [sizes[n : n + objects] for n in range(0, len(sizes), objects)]
    assert numbers.largest == max(sum(found) + len(found) for found in requests)


def test_the_file_is_in_order_and_appears_whole(world: Make) -> None:
    w = world(smaller_requests(T, 3))
    w.profiles(day(1), {f"u{n}": {"Tier": "x"} for n in range(20)})
    plan = w.plan(day(1))
    file = pq.read_table(w.warehouse.snapshot(plan.plan_id))
    places = list(zip(file["__request"].to_pylist(), file["__index"].to_pylist(), strict=True))
    assert places == [(n // 3, n % 3) for n in range(20)]
    assert [path.name for path in w.warehouse.snapshots.iterdir()] == [
        w.warehouse.snapshot(plan.plan_id).name
    ]


def test_only_the_newest_snapshots_are_kept(world: Make) -> None:
    w = world(T)
    for number in range(6):
        w.profiles(day(number), {"a": {"Tier": str(number)}})
        plan = w.plan(day(number))
    names = {path.name for path in w.warehouse.snapshots.iterdir()}
    assert len(names) == 3
    assert w.warehouse.snapshot(plan.plan_id).name in names


def test_what_a_killed_process_left_is_removed_by_the_next_plan(world: Make) -> None:
    w = world(T)
    w.profiles(day(0), {"a": {"Tier": "0"}})
    w.warehouse.snapshots.mkdir(parents=True, exist_ok=True)
    for suffix in ("draft", "staged", "cut"):
        (w.warehouse.snapshots / f"{T.name}-2026-01-01-killed.{suffix}").write_bytes(b"values")
    plan = w.plan(day(0))
    names = [path.name for path in w.warehouse.snapshots.iterdir()]
    assert names == [w.warehouse.snapshot(plan.plan_id).name]


def test_a_plan_that_waits_for_a_confirmation_is_kept_for_a_day(world: Make) -> None:
    w = world(T)
    w.profiles(day(0), {"a": {"Tier": "0"}, "b": {"Tier": "0"}})
    tried = plan_user(
        w.con, w.warehouse, T, day(0), "a", run_id="try", now=datetime(2026, 6, 1),  # noqa: DTZ001
        preflight=Preflight(),
    )  # fmt: skip
    snapshot = w.warehouse.snapshot(tried.plan_id)
    for _ in range(4):
        w.plan(day(0))
    assert snapshot.exists()
    os.utime(snapshot, times=(0, 0))
    w.plan(day(0))
    assert not snapshot.exists()


def test_the_snapshot_of_a_broken_send_is_kept_until_something_else_went_out(world: Make) -> None:
    w = world(smaller_requests(T, 1))
    w.profiles(day(0), {"a": {"Tier": "0"}, "b": {"Tier": "0"}})
    broken = w.plan(day(0))
    w.send(broken, stop_after=1)
    for number in range(1, 5):
        w.profiles(day(number), {"a": {"Tier": str(number)}})
        last = w.plan(day(number))
    assert w.warehouse.snapshot(broken.plan_id).exists()
    w.send(last)
    w.plan(day(4))
    assert not w.warehouse.snapshot(broken.plan_id).exists()


def test_the_snapshot_of_a_send_under_way_is_kept_although_others_planned_before_it_began(
    world: Make,
) -> None:
    w = world(smaller_requests(T, 1))
    w.profiles(day(0), {"a": {"Tier": "0"}, "b": {"Tier": "0"}})
    plan = w.plan(day(0))
    w.plan(day(0))
    w.send(plan, stop_after=1, leave_running=True)
    for _ in range(4):
        w.plan(day(0))
    w.send(plan)
    assert w.apply_acknowledgements().accepted == 1


def test_a_plan_is_the_same_with_little_memory(world: Make) -> None:
    w = world(replace(T, destination=replace(T.destination, objects_per_request=75)))
    w.profiles(day(1), {})
    w.con.execute(
        f"INSERT INTO {T.table('profiles')} SELECT DATE '2026-01-02', 'u' || i, 'u' || i, [], "
        "'tier ' || i, repeat('note ' || i, 20) FROM range(200_000) t(i)"
    )
    w.con.execute("SET memory_limit = '200MB'")
    plan = w.plan(day(1))
    assert plan.planned_users == 200_000
    file = pq.read_table(w.warehouse.snapshot(plan.plan_id), columns=["__request", "__index"])
    places = zip(file["__request"].to_pylist(), file["__index"].to_pylist(), strict=True)
    assert list(places) == [divmod(n, 75) for n in range(200_000)]
    w.acknowledge(plan)
    assert w.apply_acknowledgements().accepted == 200_000
    assert w.plan(day(1)).planned_users == 0
