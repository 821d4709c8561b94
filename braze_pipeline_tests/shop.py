"""A small shop: source tables from Python rows, and an independent computation of the attributes.

This oracle computes one customer at a time, in plain Python, and shares nothing with the SQL.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from braze_pipeline.attributes.build import compute, store
from braze_pipeline.attributes.result import AttributesSummary
from braze_pipeline.settings import (
    AudienceRules,
    DestinationSettings,
    HighValue,
    SourceSettings,
    TemplateSettings,
)
from braze_pipeline.sources import TABLES

SQL_FILE = Path(__file__).parent.parent / "braze_pipeline" / "defs" / "braze" / (
    "customer_attributes.sql"
)  # fmt: skip


class Line(NamedTuple):
    """An order line; money in pence or fractions of a penny, so that the oracle is exact."""

    order_id: str
    customer_id: str | None
    ordered_at: datetime
    product_id: str | None
    product_name: str | None
    quantity: int | None
    pence: int | Decimal | None

    @property
    def amount(self) -> Decimal | None:
        if self.quantity is None or self.pence is None:
            return None
        return (self.quantity * Decimal(self.pence) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


class Consent(NamedTuple):
    customer_id: str
    channel: str
    opted_in: bool | None
    changed_at: datetime | None


class Prediction(NamedTuple):
    customer_id: str
    predicted_on: date
    predicted_clv: float | None


@dataclass
class Shop:
    """The source tables."""

    customers: Sequence[str] = ()
    lines: Sequence[Line] = ()
    consents: Sequence[Consent] = ()
    predictions: Sequence[Prediction] = ()

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create tables with the columns and types of the source views."""
        people = [(c, *[None] * (len(TABLES["customers"].columns) - 1)) for c in self.customers]
        lines = [
            (*line[:6], None if line.pence is None else float(line.pence) / 100)
            for line in self.lines
        ]
        missing = [None] * (len(TABLES["predictions"].columns) - len(Prediction._fields))
        rows: dict[str, Sequence[Sequence[Any]]] = {
            "customers": people,
            "orders": lines,
            "consents": self.consents,
            "predictions": [(*one, *missing) for one in self.predictions],
        }
        for name, table in TABLES.items():
            columns = ", ".join(f"{c.name} {c.type}" for c in table.columns)
            con.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({columns})")
            if rows[name]:
                marks = ", ".join("?" for _ in table.columns)
                values = ", ".join(f"({marks})" for _ in rows[name])
                con.execute(
                    f"INSERT INTO {name} VALUES {values}",
                    [value for row in rows[name] for value in row],
                )


def template(sql: Path = SQL_FILE, **more: Any) -> TemplateSettings:
    """A template that sends nothing, over a SQL file."""
    more.setdefault("audience", AudienceRules(high_value=HighValue(lifetime_value=0)))
    more.setdefault("attributes", ())
    return TemplateSettings(
        name="main",
        destination=DestinationSettings(name="braze", endpoint="http://127.0.0.1:1"),
        db_schema="braze",
        attributes_sql=sql,
        sources=tuple(SourceSettings(name=name) for name in TABLES),
        **more,
    )


def build(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    day: date,
    *,
    now: datetime | None = None,
) -> AttributesSummary:
    """Build a day of the attributes, with sources and warehouse on one connection."""
    summary = compute(con, t, day, "computed", now=now)
    try:
        store(con, t, day, "computed", now=now)
    finally:
        con.execute("DROP TABLE computed")
    return summary


@dataclass
class Bought:
    """What the oracle knows about a customer's orders."""

    value: Decimal = Decimal(0)
    purchases: list[tuple[date, Decimal]] = field(default_factory=list)
    l12m_value: Decimal = Decimal(0)
    bought: Decimal | None = None
    returned: Decimal = Decimal(0)
    times: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))


def a_year_before(day: date) -> date:
    """The same day of the last year; 28 February for 29 February."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


def bought_by(lines: Sequence[Line], as_of: date) -> dict[str, Bought]:
    """What each customer with an order line bought, up to the end of a day."""
    invoices: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.customer_id is not None and line.ordered_at.date() <= as_of:
            invoices[line.customer_id, line.order_id].append(line)
    found: dict[str, Bought] = defaultdict(Bought)
    for (customer, order), of_order in invoices.items():
        one = found[customer]
        net = sum((line.amount or Decimal(0) for line in of_order), Decimal(0))
        day = min(line.ordered_at for line in of_order).date()
        one.value += net
        if day > a_year_before(as_of):
            one.l12m_value += net
        if net > 0 and not order.startswith("C"):
            one.purchases.append((day, net))
        for line in of_order:
            _product(one, line)
    return found


def _product(one: Bought, line: Line) -> None:
    amount, quantity = line.amount, line.quantity
    if amount is None or quantity is None or not (line.product_id or "").startswith(
        tuple("0123456789")
    ):  # fmt: skip
        return
    if quantity > 0:
        one.bought = (one.bought or Decimal(0)) + amount
    elif quantity < 0:
        one.returned -= amount
    name = (line.product_name or "").strip(" ")
    if amount > 0 and name:
        one.times[name][0] += 1
        one.times[name][1] += quantity


def border(values: Sequence[Any], share: str) -> Any:
    """The smallest value that at least this share of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * Fraction(share)) - 1)]


def above(value: Any, values: Sequence[Any], shares: Sequence[str]) -> int:
    """How many of the thresholds a value is above."""
    return sum(value > border(values, share) for share in shares)


FIFTHS = ("0.2", "0.4", "0.6", "0.8")
TIERS = {0: "Bronze", 1: "Silver", 2: "Gold", 3: "Platinum"}


def expected(shop: Shop, as_of: date) -> dict[str, dict[str, Any]]:
    """The attributes of each customer of the shop."""
    everyone = bought_by(shop.lines, as_of)
    buyers = [one for one in everyone.values() if one.purchases]
    values = [one.value for one in buyers]
    counts = [len(one.purchases) for one in buyers]
    lasts = [max(day for day, _ in one.purchases) for one in buyers]
    found = {}
    for customer in shop.customers:
        one = everyone.get(customer, Bought())
        row = of_orders(one, as_of)
        row["value_tier"] = row["rfm_score"] = None
        if one.purchases:
            row["value_tier"] = TIERS[above(one.value, values, ("0.4", "0.75", "0.95"))]
            scores = (
                above(row["last_order_date"], lasts, FIFTHS),
                above(len(one.purchases), counts, FIFTHS),
                above(one.value, values, FIFTHS),
            )
            row["rfm_score"] = "-".join(str(1 + score) for score in scores)
        row["email_opted_in"] = opted_in(shop.consents, customer, "email", as_of)
        row["sms_opted_in"] = opted_in(shop.consents, customer, "sms", as_of)
        known = [
            (p.predicted_on, p.predicted_clv)
            for p in shop.predictions
            if p.customer_id == customer and p.predicted_on <= as_of and p.predicted_clv is not None
        ]
        row["predicted_clv"] = max(known)[1] if known else None
        found[customer] = row
    return found


def of_orders(one: Bought, as_of: date) -> dict[str, Any]:
    """The attributes of one customer that do not depend on other customers."""
    days = sorted(day for day, _ in one.purchases)
    n = len(days)
    paid = sum((net for _, net in one.purchases), Decimal(0))
    names = sorted(one.times, key=lambda name: (*(-n for n in one.times[name]), name))
    return {
        "l12m_monetary": float(one.l12m_value),
        "l12m_frequency": sum(day > a_year_before(as_of) for day in days),
        "l12m_recency": (as_of - days[-1]).days if days else None,
        "lifetime_value": float(one.value),
        "lifetime_orders": n,
        # A quotient of money is exact enough to be rounded to whole pence.
        "average_order_value": float(round(Fraction(paid) / n, 6)) if n else None,
        "first_order_date": days[0] if days else None,
        "last_order_date": days[-1] if days else None,
        "one_and_done": n == 1,
        "early_repeat_purchaser": n > 1 and days[1] - days[0] <= timedelta(days=90),
        "return_rate": (
            min(float(one.returned / one.bought), 1.0) if one.bought and one.bought > 0 else None
        ),
        "favourite_products": names[:5] or None,
        "days_between_orders": (days[-1] - days[0]).days / (n - 1) if n > 1 else None,
    }


def opted_in(consents: Sequence[Consent], customer: str, channel: str, as_of: date) -> bool:
    """The last change counts; of changes at the same instant, the withdrawal.

    A withdrawal without a date counts as the last, and an opt-in without one does not count.
    """
    mine = [c for c in consents if c.customer_id == customer and c.channel == channel]
    if any(c.changed_at is None and not c.opted_in for c in mine):
        return False
    known = [
        (c.changed_at, c.opted_in is not True)
        for c in mine
        if c.changed_at and c.changed_at.date() <= as_of
    ]
    return bool(known) and not max(known)[1]


def same(found: Any, wanted: Any) -> bool:
    """Whether values are equal; floats may differ in the last digits."""
    if isinstance(wanted, float) and isinstance(found, float):
        return math.isclose(found, wanted, rel_tol=1e-12, abs_tol=1e-12)
    return bool(found == wanted)
