"""The ledger leaves as one file and comes back bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.cli.summary import summary
from braze_pipeline.errors import PlanOutdated, UsageError
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.operations.report import Report
from braze_pipeline.operations.transfer import export_ledger, import_ledger
from braze_pipeline.plan import stored_plans
from braze_pipeline.settings import ValueType, replace
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.ledger_world import World, attribute, day, exported, restored, template

Make = Callable[..., World]
T = template(
    attribute("S"),
    *(attribute(kind.value, kind) for kind in ValueType),
    known="none",
)
ROW: dict[str, Any] = {
    "S": "é\u0000\n'\"😀",
    "string": "",
    "integer": -(2**63),
    "float": 0.1 + 0.2,
    "boolean": False,
    "date": date(987, 1, 2),
    "time": datetime.fromisoformat("1969-12-31T23:59:59.999001"),
    "array": ["", "a", "ä"],
    "object": '{"a":1}',
    "array_of_objects": "[]",
}


def contents(con: duckdb.DuckDBPyConnection) -> list[Any]:
    wide = 'ledger."braze_users"'
    names = [r[0] for r in con.execute("SHOW TABLES FROM ledger").fetchall() if r[0] != "changes"]
    found: list[Any] = [(n, con.execute(f'SELECT * FROM ledger."{n}"').fetchall()) for n in names]
    return [con.execute(f"DESCRIBE {wide}").fetchall(), *found]


def sent_and_exported(world: Make, folder: Path) -> tuple[World, Path]:
    """A ledger with three users, and its export."""
    w = world(T, "a b c")
    w.profiles(day(1), {"a": ROW, "b": {"S": "x"}, "c": {"integer": 1}})
    w.run(day(1))
    return w, exported(w, folder)


def test_export_and_import_restore_everything(world: Make, tmp_path: Path) -> None:
    w = world(T, "a b c")
    w.profiles(day(1), {"a": ROW, "b": {"S": "x"}, "c": {}, "d": {"S": "bad"}})
    w.run(day(1), refuse=["d"])
    w.profiles(day(2), {"b": {"S": "y"}})
    w.send(w.plan(day(2)), stop_after=0)
    w.apply_acknowledgements()
    w.con.execute(
        "INSERT INTO ledger.removed_attributes VALUES ('braze', 'main', 'Gone', '2026-01-01')"
    )
    file = tmp_path / "out" / "ledger.parquet"
    assert export_ledger(w.con, w.warehouse, w.t, file) == 3
    other = Warehouse(tmp_path / "other.duckdb")
    with other.connect() as con:
        assert import_ledger(con, other, [T], file).ledger == "braze"
        version = ledger_of(con, w.t).version()
        assert contents(con) == contents(w.con)
        assert version == ledger_of(w.con, w.t).version()
        again = tmp_path / "again.parquet"
        export_ledger(con, other, w.t, again)
        assert again.read_bytes() == file.read_bytes()


def test_folders_and_files_that_are_named_like_patterns_are_those(tmp_path: Path) -> None:
    folder = tmp_path / "shop[1]"
    folder.mkdir()
    w = World(folder, T, users=["a"])
    for number, name in ((1, "ledger[1].parquet"), (2, "ledger1.parquet")):
        w.profiles(day(number), {"a": {"S": str(number)}})
        w.run(day(number))
        export_ledger(w.con, w.warehouse, w.t, tmp_path / name)
    other = Warehouse(tmp_path / "other.duckdb")
    with other.connect() as con:
        import_ledger(con, other, [T], tmp_path / "ledger[1].parquet")
        assert con.execute("SELECT value_1 FROM ledger.braze_users").fetchall() == [("1",)]
    w.close()


def test_a_ledger_that_has_users_is_replaced_only_on_demand(world: Make, tmp_path: Path) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    for number in (2, 3, 4):
        w.profiles(day(number), {"a": {"S": str(number)}})
        w.run(day(number))
    w.profiles(day(5), {"a": {"S": "5"}})
    old = w.plan(day(5))
    with pytest.raises(UsageError, match="not empty"):
        import_ledger(w.con, w.warehouse, [T], file)
    import_ledger(w.con, w.warehouse, [T], file, replace=True)
    with pytest.raises(PlanOutdated):
        stored_plans.check_sendable(w.con, w.warehouse, T, old.plan_id)
    w.profiles(day(2), {"a": {"S": "1"}})
    assert w.run(day(2)).planned_users == 0


def test_other_files_and_unknown_ledgers_are_refused(world: Make, tmp_path: Path) -> None:
    w = world(T)
    with pytest.raises(UsageError, match="no ledger braze"):
        export_ledger(w.con, w.warehouse, T, tmp_path / "x.parquet")
    w.con.execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/plain.parquet' (FORMAT parquet)")
    (tmp_path / "text.parquet").write_text("no", encoding="utf-8")
    for name in ("plain", "text", "none"):
        with pytest.raises(UsageError, match=rf"{name}\.parquet"):
            import_ledger(w.con, w.warehouse, [T], tmp_path / f"{name}.parquet")


def damages(whole: bytes, folder: Path, *, step: int) -> Iterator[Path]:
    """Files with a bit that is another, or with a part that is zeros, all over it."""
    folder.mkdir()
    for at in range(0, len(whole), step):
        for part in (bytes([whole[at] ^ 1]), bytes(64)):
            damaged = (whole[:at] + part + whole[at + len(part) :])[: len(whole)]
            if damaged != whole:
                file = folder / f"{at}-{len(part)}.parquet"  # DuckDB remembers files by their name
                file.write_bytes(damaged)
                yield file


def test_a_damaged_file_is_refused_and_the_ledger_stays_as_it_was(
    world: Make, tmp_path: Path
) -> None:
    w, file = sent_and_exported(world, tmp_path)
    before, whole = contents(w.con), file.read_bytes()
    for damaged in damages(whole, tmp_path / "damaged", step=41):
        if b'"digest"' not in damaged.read_bytes():
            continue  # it says that there is none: the rest of the ledger is whole, or not JSON
        with pytest.raises(UsageError, match="it is damaged"):
            restored(w, damaged)
    assert contents(w.con) == before


def test_damage_that_is_noticed_in_a_file_of_before_digests_is_named(
    world: Make, tmp_path: Path
) -> None:
    w, file = sent_and_exported(world, tmp_path)
    whole = file.read_bytes().replace(b'"digest"', b'"no_one"')
    for damaged in damages(whole, tmp_path / "damaged", step=499):
        with suppress(UsageError):
            restored(w, damaged)
    (tmp_path / "old.parquet").write_bytes(whole)
    assert restored(w, tmp_path / "old.parquet").ledger == "braze"


@pytest.mark.parametrize("place", ["folder", "/dev/null", "file/ledger.parquet"])
def test_an_export_replaces_nothing_but_files(world: Make, tmp_path: Path, place: str) -> None:
    w = world(T)
    w.profiles(day(1), {})
    w.plan(day(1))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    kind = (tmp_path / place).stat().st_mode if place != "file/ledger.parquet" else None
    with pytest.raises(UsageError, match=place):
        export_ledger(w.con, w.warehouse, w.t, tmp_path / place)
    assert kind is None or (tmp_path / place).stat().st_mode == kind
    assert not list(tmp_path.glob("*.draft"))


def test_an_export_never_replaces_the_database_itself(world: Make) -> None:
    w = world(T)
    w.profiles(day(1), {})
    w.plan(day(1))
    before = w.warehouse.path.read_bytes()
    with pytest.raises(UsageError, match="is not a Parquet file, and is not replaced"):
        export_ledger(w.con, w.warehouse, w.t, w.warehouse.path)
    assert w.warehouse.path.read_bytes() == before


def test_an_export_replaces_what_a_killed_one_left(world: Make, tmp_path: Path) -> None:
    w, file = sent_and_exported(world, tmp_path)
    file.with_name(f"{file.name}.draft").write_bytes(b"PAR1 cut off")
    export_ledger(w.con, w.warehouse, w.t, file)
    assert not list(tmp_path.glob("*.draft"))
    assert restored(w, file).ledger == "braze"


def test_an_export_to_a_link_writes_what_it_points_to(world: Make, tmp_path: Path) -> None:
    w = world(T)
    w.profiles(day(1), {})
    w.plan(day(1))
    (tmp_path / "link.parquet").symlink_to(tmp_path / "ledger.parquet")
    export_ledger(w.con, w.warehouse, w.t, tmp_path / "link.parquet")
    assert (tmp_path / "link.parquet").is_symlink()
    assert restored(w, tmp_path / "ledger.parquet").ledger == "braze"


def test_attributes_may_come_go_and_be_renamed(world: Make) -> None:
    one = template(attribute("Old"), attribute("Stays"))
    w = world(one, "a")
    w.profiles(day(1), {"a": {"Old": "o", "Stays": "s"}}, t=one)
    assert set(w.run(day(1), t=one).new_attributes) == {"Old", "Stays"}
    two = replace(one, attributes=(attribute("Stays"), attribute("New")))
    w.profiles(day(2), {"a": {"Stays": "s", "New": "n"}}, t=two)
    plan = w.run(day(2), t=two)
    assert w.sent(plan) == {"a": {"New": "n"}}
    assert (plan.new_attributes, plan.retired_attributes) == (("New",), ("Old",))
    said = summary(Report(days=(day(2),), plan=plan), dry_run=True, resend_days=7)
    assert "  removed from the template: Old (Braze keeps its values)" in said
    w.profiles(day(3), {"a": {"Old": "o", "Stays": "s"}}, t=one)
    assert w.plan(day(3), t=one).planned_users == 0
    assert w.braze.profiles["a"] == {"Old": "o", "Stays": "s", "New": "n"}
