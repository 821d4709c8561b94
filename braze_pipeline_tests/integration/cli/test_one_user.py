"""Trying one user, and the history of one: by the command line, against the sandbox."""

from __future__ import annotations

import json
from datetime import date

import duckdb
import pytest

from braze_pipeline.errors import NotBuilt
from braze_pipeline.sandbox import FaultKind, Sandbox
from braze_pipeline_tests.commands import command
from braze_pipeline_tests.ledger_world import damage
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand

USER = "c7"


def attempt(brand: SmallBrand, *options: str, user: str = USER, code: int = 0) -> str:
    out = command(brand, "try", user, "--as-of", brand.day(0), *options)
    assert out.startswith(f"{code}\n"), out
    return out


def run(brand: SmallBrand, day: str) -> dict[str, object]:
    out = command(brand, "run", "--as-of", day, "--json")
    found: dict[str, object] = json.loads(out.splitlines()[-1])
    return found


def ledger(brand: SmallBrand) -> list[tuple[object, ...]]:
    with duckdb.connect(str(brand.folder / "warehouse.duckdb"), read_only=True) as con:
        return con.execute("SELECT * FROM ledger.braze_users ORDER BY user_id").fetchall()


def test_a_user_is_shown_masked_and_nothing_is_sent_or_kept_until_it_is_confirmed(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    out = attempt(brand)
    assert "Nothing was sent: pass --yes" in out
    assert f"POST {sandbox.endpoint}/users/track" in out
    assert '"email": "xxx9@xxxxxxx.xxx"' in out
    assert "ann7" not in out
    assert f'"{USER}"' not in out
    assert "Cost: 1 request, 3 attributes, 3 data points." in out
    assert sandbox.profiles() == {}
    assert ledger(brand) == []
    assert list((brand.folder / "warehouse.snapshots").iterdir()) == []
    with pytest.raises(NotBuilt, match="There is no plan yet"):
        command(brand, "plan")


def test_what_is_shown_with_values_is_what_braze_gets(brand: SmallBrand, sandbox: Sandbox) -> None:
    out = attempt(brand, "--show-values", "--yes")
    (line,) = (line for line in out.splitlines() if line.startswith("{"))
    (shown,) = json.loads(line)["attributes"]
    profile = sandbox.profile(USER)
    assert profile is not None
    assert {name: profile[name] for name in ("email", "Lifetime Orders")} == {
        name: shown[name] for name in ("email", "Lifetime Orders")
    }
    assert sandbox.attributes_sent(USER) == len(shown) - 2
    assert shown["email"] == "ann7@example.com"
    assert "1 user read back: Braze has what was sent." in out


def test_the_run_of_the_night_does_not_send_a_tried_user_again_and_its_account_holds(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    assert run(brand, brand.day(1))["accepted_users"] == CUSTOMERS
    attempt(brand, "--yes")
    assert sandbox.objects_sent(USER) == 2
    # An older day in between knows that the user is newer already.
    night = run(brand, brand.day(0))
    assert (night["planned_users"], night["unchanged_users"]) == (CUSTOMERS - 1, 1)
    assert sandbox.objects_sent(USER) == 2
    again = run(brand, brand.day(0))
    assert (again["planned_users"], again["unchanged_users"]) == (0, CUSTOMERS)
    assert {sandbox.objects_sent(user) for user in brand.users()} == {2}


def test_a_tried_day_does_not_count_as_carried_out_and_is_not_overwritten_by_an_older_one(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    attempt(brand, "--yes")
    older = run(brand, brand.day(1))
    # The others have never been sent. The tried user has a newer day.
    assert (older["planned_users"], older["superseded_users"]) == (CUSTOMERS - 1, 1)
    orders = {user: profile["Lifetime Orders"] for user, profile in sandbox.profiles().items()}
    assert orders[USER] == brand.orders_by(brand.day(0))
    assert orders["c8"] == brand.orders_by(brand.day(1))
    newest = run(brand, brand.day(0))
    assert (newest["planned_users"], newest["unchanged_users"]) == (CUSTOMERS - 1, 1)


def test_a_refusal_is_shown_and_a_user_who_has_everything_is_not_sent(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    sandbox.script([FaultKind.UNAUTHORIZED] * 50)
    assert "status 401" in attempt(brand, "--yes", code=3)
    assert "not sent" in command(brand, "history", USER)
    sandbox.faults.clear()
    attempt(brand, "--yes")
    assert "Nothing to send. Braze has acknowledged every value" in attempt(brand, "--yes")
    assert sandbox.objects_sent(USER) == 1


def test_who_has_no_profile_is_told_why(brand: SmallBrand, sandbox: Sandbox) -> None:
    consents = brand.folder / "sources" / "consents.csv"
    consents.write_text(consents.read_text().replace(f"{USER},email,true", f"{USER},email,false"))
    out = attempt(brand, "--yes")
    assert f"not in the audience of {brand.day(0)}: excluded by contactable" in out
    assert f"No row of {brand.day(0)} has this user" in attempt(brand, "--yes", user="nobody")
    assert sandbox.profiles() == {}


def test_a_user_that_braze_does_not_have_is_reported(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = brand.config.read_text()
    brand.config.write_text(config.replace("source: assume", "source: lookup"))
    with Sandbox(users=["c8"]) as sandbox:
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        out = attempt(brand, "--yes")
        assert "Braze does not have this user, so it ignored the update" in out
        # A user who is known is confirmed at once, and not sent again at night.
        assert "Braze has what was sent" in attempt(brand, "--yes", user="c8")
        assert run(brand, brand.day(0))["unchanged_users"] == 2
        assert sandbox.objects_sent("c8") == 1


def test_history_shows_what_was_sent_when_and_with_which_answer(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    assert "no plan is kept yet" in _history_before_any_plan(brand)
    run(brand, brand.day(1))
    attempt(brand, "--yes")
    out = command(brand, "history", USER)
    tried, planned = (line for line in out.splitlines() if "loyal, as of" in line)
    assert f"as of {brand.day(0)}, tried (changed): accepted at" in tried
    assert f"as of {brand.day(1)}, planned (new user): accepted at" in planned
    assert f"Lifetime Orders: {brand.orders_by(brand.day(0))}" in out
    assert 'email: "xxx9@xxxxxxx.xxx"' in out
    assert "ann7" not in out
    assert "ann7@example.com" in command(brand, "history", USER, "--show-values")
    assert "History begins" in out
    assert "Nothing was planned for this user" in command(brand, "history", "nobody")


def _history_before_any_plan(brand: SmallBrand) -> str:
    command(brand, "try", "nobody", "--as-of", brand.day(0))
    return command(brand, "history", USER)


def test_history_goes_back_as_far_as_keep_plans_says(brand: SmallBrand, sandbox: Sandbox) -> None:
    config = brand.config.read_text()
    brand.config.write_text(config.replace("  time_zone: UTC", "  time_zone: UTC\n  keep_plans: 2"))
    for days_ago in (3, 2, 1):
        run(brand, brand.day(days_ago))
    out = command(brand, "history", USER)
    days = [line.split("as of ")[1][:10] for line in out.splitlines() if "loyal, as of" in line]
    assert days == [brand.day(1), brand.day(2)]
    assert date.fromisoformat(days[0])


@pytest.mark.usefixtures("sandbox")
def test_a_damaged_plan_is_named_and_the_history_has_the_others(brand: SmallBrand) -> None:
    attempt(brand, "--yes")
    (first,) = (brand.folder / "warehouse.snapshots").iterdir()
    run(brand, brand.day(0))
    damage(first, "footer")
    out = command(brand, "history", "c8")
    assert ", planned (new user): accepted" in out
    assert f"Skipped, because they are damaged: {first.name}." in out


def test_a_forgotten_user_has_no_history(brand: SmallBrand, sandbox: Sandbox) -> None:
    attempt(brand, "--yes")
    command(brand, "ledger", "forget", USER, "--yes")
    assert USER not in command(brand, "history", USER)


def test_a_try_under_the_other_identifier_says_before_it_sends_what_the_next_run_costs(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    run(brand, brand.day(0))
    customers = brand.folder / "sources" / "customers.csv"
    header, *rows = customers.read_text().splitlines()
    named = [f"{row},b{number}" for number, row in enumerate(rows)]
    customers.write_text("\n".join([f"{header},braze_id", *named, ""]))
    text = brand.config.read_text()
    brand.config.write_text(text.replace("identifier: external_id", "identifier: braze_id"))
    out = attempt(brand, "--rebuild", user="b7")
    assert "Nothing was sent" in out
    assert "to its whole audience again (ledger braze)." in out
