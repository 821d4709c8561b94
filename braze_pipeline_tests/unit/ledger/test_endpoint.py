"""A ledger is about one Braze endpoint; for another it proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from braze_pipeline.cli.main import cli
from braze_pipeline.errors import EndpointMismatch, NotBuilt, PlanOutdated, UsageError
from braze_pipeline.ledger import endpoint, known_users
from braze_pipeline.ledger.ledger import ledger_names, ledger_of
from braze_pipeline.operations import ledger_commands
from braze_pipeline.operations.bootstrap import import_export
from braze_pipeline.operations.transfer import import_ledger
from braze_pipeline.plan import stored_plans
from braze_pipeline.settings import TemplateSettings, replace
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.ledger_world import World, attribute, day, exported, template

Make = Callable[..., World]

HERE = "https://rest.iad-01.braze.com"
THERE = "https://rest.fra-01.braze.eu"


def at(address: str, known: str = "assume") -> TemplateSettings:
    t = template(attribute("Tier"), known=known)
    return replace(t, destination=replace(t.destination, endpoint=address))


@pytest.fixture
def sent(world: Make) -> World:
    """A world whose one user was sent, to HERE."""
    w = world(at(HERE), "a")
    w.profiles(day(1), {"a": {"Tier": "x"}})
    w.run(day(1))
    return w


def test_a_plan_for_another_endpoint_is_stopped_with_both_addresses_and_the_choices(
    sent: World,
) -> None:
    with pytest.raises(EndpointMismatch) as found:
        sent.plan(day(1), t=at(THERE))
    said = str(found.value)
    for part in (HERE, THERE, "1 users", "w.duckdb", "ledger adopt", "BRAZE_PIPELINE_DATABASE"):
        assert part in said
    assert sent.plan(day(1)).planned_users == 0  # the ledger is as it was


@pytest.mark.parametrize(
    "same", ["https://REST.iad-01.Braze.com", f"{HERE}/", f"{HERE}:443", f" {HERE}:443/ "]
)
def test_case_trailing_slash_and_default_port_make_no_other_endpoint(
    sent: World, same: str
) -> None:
    assert sent.plan(day(1), t=at(same)).planned_users == 0


@pytest.mark.parametrize("other", [f"{HERE}:8443", "http://rest.iad-01.braze.com"])
def test_another_port_or_scheme_is_another_endpoint(sent: World, other: str) -> None:
    with pytest.raises(EndpointMismatch):
        sent.plan(day(1), t=at(other))


def test_an_empty_ledger_is_about_the_endpoint_that_it_is_planned_for(world: Make) -> None:
    w = world(at(HERE), "a")
    w.profiles(day(1), {"a": {"Tier": "x"}})
    assert w.plan(day(1), t=at(THERE)).planned_users == 1
    w.run(day(1))
    with pytest.raises(EndpointMismatch, match=THERE):
        w.plan(day(1), t=at(THERE))


def test_a_send_that_failed_before_anything_was_acknowledged_binds_nothing(world: Make) -> None:
    w = world(at(HERE), "a")
    w.profiles(day(1), {"a": {"Tier": "x"}})
    w.send(w.plan(day(1)), stop_after=0)
    assert w.plan(day(1), t=at(THERE)).planned_users == 1


def test_a_send_that_has_not_ended_binds_the_ledger(world: Make) -> None:
    w = world(at(HERE), "a")
    w.profiles(day(1), {"a": {"Tier": "x"}})
    w.send(w.plan(day(1)), stop_after=0, leave_running=True)
    with pytest.raises(EndpointMismatch):
        w.plan(day(1), t=at(THERE))


def test_users_looked_up_in_one_braze_are_not_known_to_another(world: Make) -> None:
    w = world(at(HERE, "lookup"), "a")
    w.profiles(day(1), {"a": {"Tier": "x"}})
    w.plan(day(1))
    known_users.record_look_up(ledger_of(w.con, w.t), ["a"], {"a"}, now=w.now)
    with pytest.raises(EndpointMismatch):
        w.plan(day(1), t=at(THERE, "lookup"))


def from_0_1_0(w: World) -> None:
    """The ledger as after an upgrade from version 0.1.0, which recorded no endpoint."""
    w.con.execute("DELETE FROM ledger.endpoints")


def test_a_ledger_that_does_not_record_its_endpoint_is_adopted_once_with_a_reason(
    sent: World,
) -> None:
    from_0_1_0(sent)
    with pytest.raises(EndpointMismatch, match="does not record"):
        sent.plan(day(1))
    endpoint.adopt(sent.con, sent.warehouse, sent.t, reason="it is the one we always had")
    assert sent.con.execute("SELECT ledger, endpoint, reason FROM ledger.endpoints").fetchall() == [
        ("braze", HERE, "it is the one we always had")
    ]
    assert sent.plan(day(1)).planned_users == 0


def test_an_empty_ledger_of_an_older_version_asks_for_nothing(world: Make) -> None:
    w = world(at(HERE), "a")
    from_0_1_0(w)
    w.profiles(day(1), {"a": {"Tier": "x"}})
    assert w.run(day(1)).planned_users == 1


def test_an_adopted_ledger_counts_for_the_new_endpoint_and_outdates_older_plans(
    sent: World,
) -> None:
    sent.profiles(day(2), {"a": {"Tier": "y"}})
    old = sent.plan(day(2))
    endpoint.adopt(sent.con, sent.warehouse, at(THERE), reason="moved to another cluster")
    with pytest.raises(PlanOutdated):
        stored_plans.check_sendable(sent.con, sent.warehouse, at(THERE), old.plan_id)
    assert sent.plan(day(1), t=at(THERE)).planned_users == 0
    with pytest.raises(EndpointMismatch):
        sent.plan(day(1))


def test_there_is_nothing_to_adopt_before_the_first_run(world: Make) -> None:
    w = world(at(HERE))
    with pytest.raises(NotBuilt, match="ledger braze does not exist"):
        endpoint.adopt(w.con, w.warehouse, w.t, reason="why not")


def test_a_reset_for_another_endpoint_empties_the_ledger(sent: World) -> None:
    there = at(THERE)
    with pytest.raises(EndpointMismatch):
        ledger_commands.reset(sent.con, sent.warehouse, there, ["Tier"])
    assert ledger_commands.reset(sent.con, sent.warehouse, there) == ("Tier",)
    assert sent.ledger() == []
    sent.profiles(day(0), {"a": {"Tier": "older"}})
    plan = sent.run(day(0), t=there)  # nothing newer is there
    assert (sent.sent(plan), plan.first_send) == ({"a": {"Tier": "older"}}, True)
    assert sent.run(day(1), t=there).planned_users == 1
    assert sent.plan(day(1), t=there).planned_users == 0


def test_a_bootstrap_from_another_endpoint_is_stopped(sent: World, tmp_path: Path) -> None:
    with pytest.raises(EndpointMismatch):
        import_export(sent.con, sent.warehouse, at(THERE), [tmp_path / "x.json"], now=sent.now)


def test_the_endpoint_travels_with_an_export(sent: World, tmp_path: Path) -> None:
    file = exported(sent, tmp_path)
    there = Warehouse(tmp_path / "there.duckdb")
    with there.connect() as con:
        with pytest.raises(EndpointMismatch, match=HERE):
            import_ledger(con, there, [at(THERE)], file)
        assert ledger_names(con) == []
        import_ledger(con, there, [at(HERE)], file)
        assert endpoint.bound_to(ledger_of(con, at(HERE))) == HERE
        with pytest.raises(EndpointMismatch):
            endpoint.claim(con, there, at(THERE))


def test_an_export_of_an_older_version_is_accepted_and_must_be_adopted(
    sent: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent.con.execute("DELETE FROM ledger.endpoints")
    file = exported(sent, tmp_path)
    there = Warehouse(tmp_path / "there.duckdb")
    with there.connect() as con:
        import_ledger(con, there, [at(HERE)], file)
        with pytest.raises(EndpointMismatch, match="does not record"):
            endpoint.claim(con, there, at(HERE))
    monkeypatch.setenv("BRAZE_PIPELINE_DATABASE", str(there.path))
    done = CliRunner().invoke(cli, ["ledger", "import", str(file), "--replace"])
    assert "does not record the Braze endpoint" in done.output
    assert "ledger adopt" in done.output


def test_a_file_of_a_destination_that_is_not_configured_is_refused(
    sent: World, tmp_path: Path
) -> None:
    file = exported(sent, tmp_path)
    t = at(HERE)
    other = replace(t, destination=replace(t.destination, name="kiosk"))
    there = Warehouse(tmp_path / "there.duckdb")
    with (
        there.connect() as con,
        pytest.raises(UsageError, match="kiosk"),
    ):
        import_ledger(con, there, [other], file)
