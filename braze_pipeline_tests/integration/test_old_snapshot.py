"""A plan under way and an export from before ledger schema 3 (``old/ledger_schema_2``)."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.operations.transfer import import_ledger
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.rows import plan_preview
from braze_pipeline.settings import ValueType
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.ledger_world import World, attribute, day, smaller_requests, template

OLD = Path(__file__).parents[1] / "old" / "ledger_schema_2"
T = smaller_requests(
    template(
        attribute("Tier"), attribute("Spend", ValueType.FLOAT), attribute("Day", ValueType.DATE)
    ),
    2,
)
USERS = [f"u{number}" for number in range(7)]
LEFT_FOR_3_JANUARY: dict[str, dict[str, object]] = {
    "u5": {"Tier": "new"},
    "u3": {"Tier": "new", "Spend": 1.5, "Day": "2026-01-04"},
}
"""What the last request of the plan sends."""


@pytest.fixture
def w(tmp_path: Path) -> World:
    with tarfile.open(OLD / "state.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return World(tmp_path, T, users=USERS)


def test_answers_from_before_the_upgrade_are_applied_from_the_old_snapshot(w: World) -> None:
    applied = w.apply_acknowledgements()
    assert (applied.sends, applied.accepted, applied.skipped) == (1, 2, 0)
    values = {
        user: (tier, spend)
        for user, tier, spend in w.con.execute(
            "SELECT user_id, value_1, value_2 FROM ledger.braze_users"
        ).fetchall()
    }
    assert values == {
        "u0": ("new", 0.0), "u1": ("new", 0.5), "u2": ("new", 1.0), "u4": ("new", 2.0),
        "u5": ("t", 2.5), "u6": ("t", 3.0),
    }  # fmt: skip
    in_doubt = w.con.execute("SELECT user_id, columns FROM ledger.in_doubt").fetchall()
    assert sorted(in_doubt) == [("u3", [1, 2, 3]), ("u5", [1])]


def test_the_old_plan_can_be_looked_at_and_its_send_resumed(w: World) -> None:
    w.apply_acknowledgements()
    plan = stored_plans.latest(w.con, T)
    assert plan is not None
    shown = plan_preview(w.con, w.warehouse, plan, limit=100)
    assert len(shown) == plan.planned_attributes == 11
    of_u0 = [(r.attribute, r.old, r.new, r.reason) for r in shown if r.user_id == "u0"]
    assert sorted(of_u0) == [
        ("Day", '"2026-01-01"', None, "cleared"),
        ("Tier", '"t"', '"new"', "changed"),
    ]
    stored_plans.check_sendable(w.con, w.warehouse, T, plan.plan_id)
    w.send(plan)
    assert {user: set(values) for user, values in w.braze.profiles.items()} == {
        user: set(values) for user, values in LEFT_FOR_3_JANUARY.items()
    }
    assert w.apply_acknowledgements().accepted == 2
    assert stored_plans.load(w.con, plan.plan_id).status == "sent"
    state = ledger_of(w.con, T).template("main")
    assert state is not None
    assert (state.as_of, state.evaluations) == (day(2), 2)
    w.profiles(
        day(2),
        {
            user: {
                "Tier": "new", "Spend": number / 2, "Day": day(number) if number % 2 else None,
            }
            for number, user in enumerate(USERS[:6])
        },
    )  # fmt: skip
    assert w.plan(day(2)).planned_users == 0


def test_an_old_export_is_imported_under_the_names_of_today(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "other.duckdb")
    with warehouse.connect() as con:
        found = import_ledger(con, warehouse, [T], OLD / "ledger.parquet")
        assert (found.ledger, found.in_doubt, found.resent) == ("braze", 4, False)
        ledger = ledger_of(con, T)
        assert ledger.count_users() == 6
        names = con.execute(f"SELECT * FROM {ledger.users_table}").description
        assert [name for name, *_ in names] == [
            "user_id", "known", "known_how", "known_at", "evaluated_1", "full_at_1",
            "unconfirmed_1", "value_1", "ack_1", "value_2", "ack_2", "value_3", "ack_3",
        ]  # fmt: skip
        assert con.execute("SELECT * FROM ledger.pending_watermarks").fetchall()[0][1:] == (
            "u6", None,
        )  # fmt: skip
        assert len(con.execute("SELECT * FROM ledger.applied_sends").fetchall()) == 2
