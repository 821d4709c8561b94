"""The data in ``data/``: the real part has its source's totals, the invented part is nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import duckdb
import phonenumbers
import pytest
from click.testing import CliRunner

from braze_pipeline import predicted_value
from braze_pipeline.attributes.result import AttributesSummary
from braze_pipeline.audience.build import build_audience
from braze_pipeline.settings import AudienceRules, HighValue, SourceSettings
from braze_pipeline.sources import SourceInfo, attach_sources
from braze_pipeline.storage import migrations, warehouse
from braze_pipeline_tests import shop
from scripts.sample_data.__main__ import make
from scripts.sample_data.phones import FICTIONAL, UNROUTABLE

DATA = Path(__file__).parents[2] / "data"
LAST = date(2011, 12, 9)
MIDDLE = date(2010, 12, 31)
REFIT = date(2011, 12, 1)
MONEY = "(quantity * unit_price)::DECIMAL(18, 2)"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        warehouse.prepare(connection)
        migrations.upgrade(connection, "memory")
        yield connection


@pytest.fixture(scope="module")
def sources(con: duckdb.DuckDBPyConnection) -> dict[str, SourceInfo]:
    settings = [
        SourceSettings(name=name, path=DATA) for name in ("customers", "orders", "consents")
    ]
    return {one.name: one for one in attach_sources(con, settings, time_zone="Europe/London")}


@pytest.fixture(scope="module")
def fit(con: duckdb.DuckDBPyConnection, sources: dict[str, SourceInfo]) -> predicted_value.Fit:
    """The demo's fit, and its predictions."""
    made = predicted_value.refit(con, REFIT, 365)
    predicted_value.score(con, made, "predicted")
    con.execute("CREATE TEMP VIEW predictions AS FROM predicted")
    return made


@pytest.fixture(scope="module")
def days(
    con: duckdb.DuckDBPyConnection, sources: dict[str, SourceInfo], fit: predicted_value.Fit
) -> dict[date, AttributesSummary]:
    return {day: shop.build(con, shop.template(), day) for day in (MIDDLE, LAST)}


def one(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = con.execute(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def test_the_sample_data_is_smaller_than_eight_megabytes() -> None:
    shipped = [file for file in DATA.iterdir() if not file.name.startswith("warehouse")]
    assert sum(file.stat().st_size for file in shipped if file.is_file()) < 8_000_000


def test_the_orders_are_all_of_the_real_lines(
    con: duckdb.DuckDBPyConnection, sources: dict[str, SourceInfo]
) -> None:
    assert sources["orders"].rows == 1_044_847
    assert one(con, "SELECT count(DISTINCT order_id) FROM orders") == 53_628
    assert one(con, "SELECT count(DISTINCT customer_id) FROM orders") == 5_942
    total = Decimal("18909744.10")
    assert one(con, f"SELECT sum({MONEY}) FROM orders") == total
    with_customer = f"SELECT sum({MONEY}) FROM orders WHERE customer_id IS NOT NULL"
    assert one(con, with_customer) == Decimal("16343651.02")
    assert one(con, "SELECT min(ordered_at)::DATE, max(ordered_at)::DATE FROM orders") == (
        date(2009, 12, 1),
        LAST,
    )


def test_the_attributes_add_up_to_the_totals_of_the_source(
    con: duckdb.DuckDBPyConnection, days: dict[date, AttributesSummary]
) -> None:
    built = days[LAST]
    assert (built.rows, built.lines, built.lines_after) == (6_000, 1_044_847, 0)
    assert built.lines_without_customer == 235_287
    assert (built.lines_of_unknown_customers, built.lines_incomplete) == (0, 0)
    buyers, once, recent, value = one(
        con,
        "SELECT count_if(lifetime_orders > 0), count_if(one_and_done), "
        "count_if(l12m_frequency > 0), sum(lifetime_value::DECIMAL(18, 2)) "
        f"FROM braze.customer_attributes WHERE __as_of = DATE '{LAST}'",
    )
    assert (buyers, recent, value) == (5_878, 4_264, Decimal("16343651.02"))
    assert round(100 * once / buyers, 2) == 27.61


def test_a_day_in_the_middle_does_not_use_later_data(
    con: duckdb.DuckDBPyConnection, days: dict[date, AttributesSummary]
) -> None:
    lines, after = one(
        con,
        f"SELECT count_if(ordered_at::DATE <= '{MIDDLE}'), count_if(ordered_at::DATE > '{MIDDLE}') "
        "FROM orders",
    )
    assert (days[MIDDLE].lines, days[MIDDLE].lines_after) == (lines, after)
    newest = one(con, "SELECT max(last_order_date), max(predicted_clv) "
                 f"FROM braze.customer_attributes WHERE __as_of = DATE '{MIDDLE}'")  # fmt: skip
    assert newest[0] <= MIDDLE
    assert newest[1] is None, "the predictions are from December 2011"


@pytest.mark.parametrize("day", [MIDDLE, LAST])
def test_real_customers_have_the_attributes_that_the_oracle_computes(
    con: duckdb.DuckDBPyConnection, days: dict[date, AttributesSummary], day: date
) -> None:
    chosen = [
        customer
        for (customer,) in con.execute(
            # A sample of all customers, with the largest, the smallest and those with returns.
            "SELECT customer_id FROM (SELECT customer_id, hash(customer_id) AS h, "
            f"row_number() OVER (ORDER BY sum({MONEY})) AS low, "
            f"row_number() OVER (ORDER BY sum({MONEY}) DESC) AS high FROM orders "
            "WHERE customer_id IS NOT NULL GROUP BY customer_id) "
            "WHERE h % 100 = 0 OR low <= 10 OR high <= 3 ORDER BY 1"
        ).fetchall()
    ]
    lines = con.execute(
        "SELECT order_id, customer_id, ordered_at, product_id, product_name, "
        f"quantity::INTEGER, 1, {MONEY} FROM orders WHERE customer_id IN (SELECT unnest(?))",
        [chosen],
    ).fetchall()
    everyone = shop.bought_by([_Real(*line) for line in lines], day)
    assert len(everyone) > 40
    found = con.execute(f"SELECT * FROM braze.customer_attributes WHERE __as_of = DATE '{day}'")
    names = [column[0] for column in found.description]
    rows = {row[1]: dict(zip(names, row, strict=True)) for row in found.fetchall()}
    for customer in chosen:
        wanted = shop.of_orders(everyone[customer], day)
        for name, value in wanted.items():
            assert shop.same(rows[customer][name], value), (customer, name)


class _Real(shop.Line):
    """A real line, with the amount charged instead of the unit price."""

    charged: Decimal

    def __new__(cls, *values: Any) -> Self:
        made = super().__new__(cls, *values[:7])
        made.charged = values[7]
        return made

    @property
    def amount(self) -> Decimal | None:
        return self.charged


def test_tiers_and_scores_follow_from_the_values(
    con: duckdb.DuckDBPyConnection, days: dict[date, AttributesSummary]
) -> None:
    rows = con.execute(
        "SELECT lifetime_value, lifetime_orders, last_order_date, value_tier, rfm_score "
        f"FROM braze.customer_attributes WHERE __as_of = DATE '{LAST}' AND lifetime_orders > 0"
    ).fetchall()
    values, counts, lasts = ([row[n] for row in rows] for n in range(3))
    tiers = [shop.border(values, share) for share in ("0.4", "0.75", "0.95")]
    fifths = [[shop.border(column, s) for s in shop.FIFTHS] for column in (lasts, counts, values)]
    for value, count, last, tier, score in rows:
        assert tier == shop.TIERS[sum(value > border for border in tiers)]
        wanted = [
            1 + sum(one > border for border in borders)
            for one, borders in zip((last, count, value), fifths, strict=True)
        ]
        assert score == "-".join(map(str, wanted))


def test_the_audience_of_the_sample_is_large_enough_for_a_demo(
    con: duckdb.DuckDBPyConnection, days: dict[date, AttributesSummary]
) -> None:
    rules = AudienceRules(
        high_value=HighValue(lifetime_value=1000, top_percent=25, predicted_value=500)
    )
    funnel = build_audience(con, shop.template(audience=rules), LAST)
    assert funnel.customers == 6_000
    assert all(count > 0 for count in funnel.excluded.values())
    assert funnel.audience > 1_000


def test_the_invented_part_belongs_to_the_real_customer_numbers(
    con: duckdb.DuckDBPyConnection, sources: dict[str, SourceInfo]
) -> None:
    missing = (
        "SELECT count(DISTINCT customer_id) FROM orders ANTI JOIN customers USING (customer_id) "
        "WHERE customer_id IS NOT NULL"
    )
    assert one(con, missing) == 0
    never = "SELECT count(*) FROM customers ANTI JOIN orders USING (customer_id)"
    assert one(con, never) == 58
    strangers = "SELECT count(*) FROM {} ANTI JOIN customers USING (customer_id)"
    assert one(con, strangers.format("consents")) == 0


def test_the_demo_publishes_predictions_that_beat_a_guess_for_everybody_who_bought(
    con: duckdb.DuckDBPyConnection, fit: predicted_value.Fit
) -> None:
    best = {candidate.name: candidate for candidate in fit.backtest}[fit.published or ""]
    assert best.rank_correlation > 0.5
    assert fit.backtest_days == 365
    assert one(con, "SELECT count(*), count(predicted_clv) FROM predictions") == (
        fit.customers, fit.customers
    )  # fmt: skip


def test_over_half_a_year_the_model_wins_and_over_a_whole_one_past_value(
    con: duckdb.DuckDBPyConnection, fit: predicted_value.Fit
) -> None:
    """As docs/decisions/0014 says."""
    half = predicted_value.refit(con, REFIT, 182)
    assert (half.published, half.backtest_days) == ("model", 182)
    ranks = {one.name: one.rank_correlation for one in half.backtest}
    assert ranks["model"] > max(rank for name, rank in ranks.items() if name != "model") + 0.01
    assert fit.published == "past_value"
    ranks = {one.name: one.rank_correlation for one in fit.backtest}
    assert ranks["model"] < ranks["past_value"]


def test_nothing_in_the_invented_part_can_reach_a_person(
    con: duckdb.DuckDBPyConnection, sources: dict[str, SourceInfo]
) -> None:
    addresses = con.execute("SELECT email FROM customers WHERE email IS NOT NULL").fetchall()
    assert len(addresses) > 5_000
    for (address,) in addresses:
        assert re.search(r"example\.(com|org|net)\s*$", address, re.IGNORECASE)
    ranges = [one for some in FICTIONAL.values() for one in some] + [UNROUTABLE]
    for phone, region in con.execute("SELECT phone, country FROM customers").fetchall():
        if phone is None or sum(character.isdigit() for character in phone) < 7:
            continue
        assert any(_within(phone, *one) for one in ranges), region


def _within(phone: str, start: str, first: int, last: int) -> bool:
    digits = len(str(last))
    country = phonenumbers.region_code_for_country_code(
        phonenumbers.parse(start + "0" * digits).country_code or 0
    )
    text = f"+{phone[2:]}" if phone.startswith("00") else phone
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return False
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    tail = e164.removeprefix(start)
    return tail != e164 and len(tail) == digits and first <= int(tail) <= last


def test_the_invented_part_is_as_messy_as_the_readme_says(
    con: duckdb.DuckDBPyConnection, sources: dict[str, SourceInfo]
) -> None:
    for condition, at_least in (
        ("email = upper(email)", 200),
        ("email NOT LIKE '%@%'", 10),
        ("phone LIKE '+%'", 1000),
        ("phone LIKE '0%'", 1000),
        ("length(country) = 2", 500),
        ("country IN ('EIRE', 'RSA', 'Channel Islands', 'Unspecified')", 10),
        ("birthdate IS NULL", 500),
        ("birthdate LIKE '31/02/%'", 10),
        (r"regexp_matches(surname, '[^\p{Latin}\p{Common}]')", 50),
        (r"regexp_matches(given_name, '\p{Greek}')", 5),
        ("given_name <> trim(given_name)", 50),
    ):
        query = f"SELECT count(*) FROM customers WHERE {condition}"
        assert one(con, query) >= at_least, condition
    shared = "SELECT count(*) - count(DISTINCT lower(trim(email))) FROM customers WHERE email <> ''"
    assert one(con, shared) > 10
    assert one(con, "SELECT count(DISTINCT gender) FROM customers") > 12
    assert one(con, "SELECT count_if(NOT opted_in) FROM consents") > 500


def test_the_generator_makes_the_same_people_each_time(tmp_path: Path) -> None:
    lines, names = tmp_path / "lines.parquet", tmp_path / "names"
    names.mkdir()
    duckdb.sql(
        "SELECT '53' || i AS invoice, 'P' AS stock_code, 'BAG' AS description, 2 AS quantity, "
        "TIMESTAMP '2010-01-01' + INTERVAL (i) DAY AS invoiced_at, 1.5 AS unit_price_gbp, "
        "12000 + i % 9 AS customer_id, 'United Kingdom' AS country FROM range(40) AS r(i)"
    ).write_parquet(str(lines))
    (names / "common-forenames-by-country.csv").write_text(
        "Country,Gender,Localized Name,Romanized Name\n"
        "GB,F,Ada,Ada\nGB,M,Alan,Alan\nGR,F,Μαρία,Maria\n",
        encoding="utf-8",
    )
    (names / "common-surnames-by-country.csv").write_text(
        "Country,Localized Name,Romanized Name\nGB,Smith,Smith\nUS,Jones,Jones\n", encoding="utf-8"
    )
    made = []
    for name in ("one", "two"):
        out = tmp_path / name
        arguments = ["--lines", str(lines), "--names", str(names), "--out", str(out)]
        result = CliRunner().invoke(make, arguments)
        assert result.exit_code == 0, result.output
        made.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"orders.parquet", "customers.csv", "consents.csv"}
    assert made[0]["customers.csv"].count(b"\n") == 1 + 9 + 58


def test_the_readme_says_what_is_real_and_what_is_invented(sources: dict[str, SourceInfo]) -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    for words in ("10.24432/C5CG6D", "CC BY 4.0", "Chen", "CC0", "16,343,651.02", "**invented**"):
        assert words in text
    for source in sources.values():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{source.name}."))
        assert row.endswith(f"| {source.rows:,} |")
