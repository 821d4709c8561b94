"""What the commands that look at the records show, over a database that a run has written."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.cli.context import session
from braze_pipeline_tests.commands import command
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand, small_brand

LONG = "A custom attribute with a name that is longer than most"


@pytest.fixture(scope="module")
def brand(tmp_path_factory: pytest.TempPathFactory) -> SmallBrand:
    """A dry run of one day, on which two customers have an e-mail address that is none."""
    made = small_brand(tmp_path_factory.mktemp("records") / "brand")
    text = made.config.read_text().replace("as: Lifetime Value,", f"as: {LONG},")
    made.config.write_text(text)
    customers = made.folder / "sources" / "customers.csv"
    text = customers.read_text()
    for user in ("ann3", "ann4"):
        text = text.replace(f"{user}@example.com", f"{user} at example")
    customers.write_text(text)
    return made


@pytest.fixture(autouse=True)
def environ(brand: SmallBrand, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in brand.environ("http://127.0.0.1:1", "key").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COLUMNS", raising=False)
    if not Path(brand.folder / "warehouse.duckdb").exists():
        assert command(brand, "run", "--as-of", brand.day(0), "--dry-run").startswith("0")


def test_rejections_are_counted_by_day_and_reason_with_the_mask_and_why(brand: SmallBrand) -> None:
    _, day, line, *more = command(brand, "rejections").splitlines()
    assert day == f"{brand.day(0)}, profiles:"
    assert line.startswith("         2  email: email_unreadable (xxx9 xx xxxxxxx): ")
    assert more == []


def test_rejections_by_row_name_the_customer_and_mask_the_value(brand: SmallBrand) -> None:
    _, day, *lines = command(brand, "rejections", "--rows").splitlines()
    assert day == f"{brand.day(0)}, profiles:"
    assert [line.split()[0] for line in lines] == ["c3", "c4"]
    assert "at example" not in "".join(lines)


def test_no_name_is_cut_off_in_a_table_that_goes_into_a_file(brand: SmallBrand) -> None:
    said = command(brand, "plan")
    assert LONG in said
    assert "by run " in said


def test_a_plan_that_sends_nothing_shows_a_sentence_instead_of_an_empty_table(
    brand: SmallBrand,
) -> None:
    ours = session(brand.config, None)
    with ours.warehouse.connect() as con:
        con.execute(
            "UPDATE records.plans SET summary = json_merge_patch(summary, "
            f"{{'planned_users': 0, 'unchanged_users': {CUSTOMERS}}}::JSON)"
        )
    assert f"It sends nothing: {CUSTOMERS} users unchanged, 0 superseded" in command(brand, "plan")
