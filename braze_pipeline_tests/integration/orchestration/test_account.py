"""The accounting of a run is a proof: where one side of an equation is falsified, it fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from braze_pipeline.ledger.apply import open_ledger
from braze_pipeline.ledger.ledger import Ledger
from braze_pipeline.orchestration.checks import ACCOUNTING
from braze_pipeline.plan import diff, payload
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.send import SendResult, send_plan
from braze_pipeline_tests.small_brand import SmallBrand, materialize, small_brand


@dataclass
class Books:
    """A small brand whose day is planned and then sent, with a falsification in between."""

    brand: SmallBrand

    def run(self, *, send: bool) -> dg.AssetCheckEvaluation | None:
        """Build and plan the day, or send the plan; what the accounting check found."""
        result = materialize(self.brand, lambda name: (name == "braze_send") is send, strict=False)
        found = [c for c in result.get_asset_check_evaluations() if c.check_name == ACCOUNTING]
        return found[0] if found else None

    def falsify(self, statement: str) -> None:
        with duckdb.connect(self.brand.folder / "warehouse.duckdb") as con:
            con.execute(statement)

    @property
    def journal(self) -> Path:
        return self.brand.folder / "warehouse.journal.sqlite"


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    brand = small_brand(tmp_path / "brand")
    with Sandbox(assume_all=True) as sandbox:
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        yield Books(brand)


Falsify = Callable[[Books, pytest.MonkeyPatch], None]


def lose_a_customer(books: Books, _: pytest.MonkeyPatch) -> None:
    books.falsify("DELETE FROM braze.customer_attributes WHERE customer_id = 'c1'")


def lose_an_excluded_customer(books: Books, _: pytest.MonkeyPatch) -> None:
    books.falsify("DELETE FROM braze.audience WHERE customer_id = 'c1'")


def lose_a_profile(books: Books, _: pytest.MonkeyPatch) -> None:
    books.falsify("DELETE FROM braze.profile_rows WHERE __user_id = 'c1'")


def lose_an_answer(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    def cheat(*given: Any, **more: Any) -> SendResult:
        result = send_plan(*given, **more)
        with closing(sqlite3.connect(books.journal)) as journal, journal:
            journal.execute("UPDATE acknowledgements SET count = count - 1")
        return result

    monkeypatch.setattr("braze_pipeline.send.step.send_plan", cheat)


def lose_an_acceptance_in_the_ledger(_: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    def cheat(con: duckdb.DuckDBPyConnection, *more: Any) -> Ledger:
        ledger = open_ledger(con, *more)
        con.execute("UPDATE records.plans SET accepted_users = accepted_users - 1")
        return ledger

    monkeypatch.setattr("braze_pipeline.send.step.open_ledger", cheat)


@pytest.mark.parametrize(
    ("falsify", "says"),
    [
        (lose_a_customer, "customers, but"),
        (lose_an_excluded_customer, "audience + "),
        (lose_a_profile, "profiles + rejected"),
        (lose_an_answer, "accepted + rejected + not attempted"),
        (lose_an_acceptance_in_the_ledger, "in the ledger"),
    ],
)
def test_a_falsified_count_fails_the_check_of_the_send(
    books: Books, monkeypatch: pytest.MonkeyPatch, falsify: Falsify, says: str
) -> None:
    books.run(send=False)
    falsify(books, monkeypatch)
    found = books.run(send=True)
    assert found is not None
    assert not found.passed
    assert found.blocking
    assert says in (found.description or "")


def test_without_a_falsified_count_the_account_holds(books: Books) -> None:
    books.run(send=False)
    found = books.run(send=True)
    assert found is not None
    assert found.passed, found.description


def test_a_changed_user_missing_from_the_diff_fails_the_check(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = diff._stage_sql

    def without(*given: Any, **more: Any) -> str:
        return f"SELECT * FROM ({whole(*given, **more)}) WHERE __user_id <> 'c1'"

    monkeypatch.setattr(diff, "_stage_sql", without)
    books.run(send=False)
    found = books.run(send=True)
    assert found is not None
    assert not found.passed
    assert "planned + unchanged" in (found.description or "")


def test_an_attribute_that_is_planned_but_not_in_the_object_fails_the_check(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = payload.object_sql
    monkeypatch.setattr(
        payload, "object_sql", lambda destination, columns: whole(destination, columns[1:])
    )
    books.run(send=False)
    found = books.run(send=True)
    assert found is not None
    assert not found.passed
    assert "planned attributes" in (found.description or "")
