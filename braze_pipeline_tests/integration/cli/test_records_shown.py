"""What the commands that look at the records show, over a database that a run has written."""

from __future__ import annotations

import time
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
    _, day, header, _, line, end = command(brand, "rejections").splitlines()
    assert day.strip() == f"{brand.day(0)}, profiles"
    assert header.split("  ")[:3] == ["values", "attribute", "reason"]
    assert line.startswith("     2  email      email_unreadable  xxx9 xx xxxxxxx ")
    assert end == ""


def test_rejections_by_row_name_the_customer_and_mask_the_value(brand: SmallBrand) -> None:
    _, day, header, _, *lines, end = command(brand, "rejections", "--rows").splitlines()
    assert day.strip() == f"{brand.day(0)}, profiles"
    assert header.startswith("customer")
    assert [line.split()[0] for line in lines] == ["c3", "c4"]
    assert end == ""
    assert "at example" not in "".join(lines)


def test_records_that_are_empty_are_reported_in_a_sentence(brand: SmallBrand) -> None:
    assert command(brand, "sends") == "0\nNo sends yet.\n"
    missing = f"0\nNo rejections as of {brand.day(9)}.\n"
    assert command(brand, "rejections", "--as-of", brand.day(9)) == missing


def test_sends_fit_a_narrow_terminal_with_local_times_and_name_what_slowed_them(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = session(brand.config, None)
    with ours.warehouse.connect() as con:
        columns = {
            "destination": "braze", "template": "loyal", "newest_day": brand.day(0),
            "planned_users": 1234, "accepted_users": 1230, "rejected_users": 1,
            "requests": 17, "seconds": 2.5, "bytes": 1,
            "latency_p50": 0.1, "latency_p95": 0.2, "latency_p99": 0.3, "refused": "{}",
        }  # fmt: skip
        for run, status, left, throttled, retries, hour in (
            ("11111111-a", "sent", 0, 0.0, "{}", 3),
            ("22222222-a", "interrupted", 3, 1.5, '{"rate limit": 2}', 4),
            ("33333333-a", "sent", 3, 0.0, "{}", 5),  # a person paused the destination
        ):
            row = columns | {
                "run_id": run, "plan_id": run, "status": status, "retries": retries,
                "not_attempted_users": left,
                "throttled_seconds": throttled, "ended_at": f"2026-01-15 0{hour}:30:59",
            }  # fmt: skip
            marks = ", ".join("?" * len(row))
            con.execute(
                f"INSERT INTO records.send_outcomes ({', '.join(row)}) VALUES ({marks})",
                list(row.values()),
            )
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        lines = command(brand, "sends").splitlines()
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert max(len(line) for line in lines if not line.startswith("Run ")) <= 80
    assert [line.split() for line in lines if line.startswith("2026-01-14")] == [
        ["2026-01-14", "23:30", brand.day(0), "1,234", "1,230", "1", "3", "22222222"],
        ["2026-01-14", "22:30", brand.day(0), "1,234", "1,230", "1", "0", "11111111"],
    ]
    paused, why = (line for line in lines if line.startswith("Run "))
    assert paused.startswith("Run 33333333 (sent): 17 requests")
    assert why == (
        "Run 22222222 (interrupted): 17 requests in 2.5 s, throttled 1.5 s, 95% of answers within "
        "200 ms; retries: 2 x rate limit"
    )
    assert len(command(brand, "sends", "--json").splitlines()) == 4


def test_a_narrow_terminal_cuts_no_id_and_no_reason_off(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    said = command(brand, "rejections", "--rows")
    assert "email_unreadable" not in said, "or the terminal is not narrow"
    assert "\u2026" not in said


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
    assert f"nothing to send: {CUSTOMERS} users unchanged, 0 superseded" in command(brand, "plan")


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("plan", "--limit", "-1"), "-1 is not in the range x>=0"),
        (("rejections", "--limit", "0"), "0 is not in the range x>=1"),
        (("sends", "--limit", "0"), "0 is not in the range x>=1"),
        (("ui", "--port", "65536"), "65536 is not in the range 0<=x<=65535"),
        (("sandbox", "--port", "0", "--latency", "-1"), "-1.0 is not in the range x>=0"),
    ],
)
def test_a_number_that_an_option_cannot_have_is_named_with_those_it_can(
    brand: SmallBrand, arguments: tuple[str, ...], wrong: str
) -> None:
    shown = command(brand, *arguments)
    assert shown.startswith("2\n")
    assert wrong in shown


def test_of_several_days_the_newest_rejections_come_first_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = small_brand(tmp_path / "brand")
    customers = mine.folder / "sources" / "customers.csv"
    customers.write_text(customers.read_text().replace("ann3@example.com", "ann3 at example"))
    for name, value in mine.environ("http://127.0.0.1:1", "key").items():
        monkeypatch.setenv(name, value)
    days = [mine.day(back) for back in (1, 0)]
    for day in days:
        assert command(mine, "run", "--as-of", day, "--dry-run").startswith("0")

    def shown(*more: str) -> list[str]:
        lines = command(mine, "rejections", *more).splitlines()
        return [line.strip()[:10] for line in lines if line.strip().endswith(", profiles")]

    assert shown() == days[::-1]
    assert shown("--limit", "1") == shown("--rows", "--limit", "1") == days[1:]
