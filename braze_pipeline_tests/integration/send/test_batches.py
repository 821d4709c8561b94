"""A snapshot as requests: all of its objects, in order, whichever piece of the file they are in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from braze_pipeline.errors import NotBuilt
from braze_pipeline.send.batches import Batch, batches, users_in
from braze_pipeline_tests.integration.send.plans import users, write_snapshot


def ids_of(batch: Batch) -> list[str]:
    return [entry["external_id"] for entry in json.loads(bytes(batch.body))["attributes"]]


@pytest.mark.parametrize("size", [1, 7, 75])
def test_every_object_is_in_its_request_over_all_pieces_of_the_file(
    tmp_path: Path, size: int
) -> None:
    ids = users(31_003)
    found = list(batches(write_snapshot(tmp_path / "plan.parquet", ids, size=size), {}))
    assert [user for batch in found for user in ids_of(batch)] == ids
    assert [batch.request_no for batch in found] == list(range(len(found)))
    assert {len(batch) for batch in found[:-1]} == {size}


def test_answered_objects_are_skipped(tmp_path: Path) -> None:
    ids = users(20)
    snapshot = write_snapshot(tmp_path / "plan.parquet", ids, size=10)
    done = {0: [(0, 10)], 1: [(2, 3), (7, 1)]}
    found = list(batches(snapshot, done))
    assert [(b.request_no, b.first, len(b)) for b in found] == [(1, 0, 2), (1, 5, 2), (1, 8, 2)]
    assert [user for batch in found for user in ids_of(batch)] == [
        ids[10 + place] for place in (0, 1, 5, 6, 8, 9)
    ]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_snapshot_that_is_gone_or_damaged_is_named(tmp_path: Path, *, damaged: bool) -> None:
    if damaged:
        (tmp_path / "plan.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(NotBuilt, match=r"plan\.parquet cannot be read"):
        users_in(tmp_path / "plan.parquet")


def test_a_part_has_the_objects_of_its_range(tmp_path: Path) -> None:
    ids = users(9)
    [whole] = batches(write_snapshot(tmp_path / "plan.parquet", ids, size=9), {})
    left, right = whole.halves()
    assert (ids_of(left), ids_of(right), right.first) == (ids[:4], ids[4:], 4)
    assert json.loads(bytes(whole.body_of([1, 8])))["attributes"][1]["external_id"] == ids[8]
