"""The attributes from order lines in pandas, as `customer_attributes.sql` defines them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any


def attributes(folder: Path, day: date, file: Path) -> dict[str, Any]:
    import numpy as np
    import pandas as pd

    as_of = pd.Timestamp(day)
    lines = pd.read_parquet(folder / "orders")
    lines = lines[
        lines["customer_id"].notna() & (lines["ordered_at"] < as_of + pd.Timedelta(days=1))
    ]
    # Whole pence, half a penny away from zero: exact, as in decimals.
    price = (lines["unit_price"] * 10_000).round().astype("int64")
    ten_thousandths = lines["quantity"].astype("int64") * price
    amount = np.sign(ten_thousandths) * ((ten_thousandths.abs() + 50) // 100)
    lines = lines.assign(amount=amount, product_name=lines["product_name"].str.strip())
    is_product = lines["product_id"].str[:1].between("0", "9").fillna(value=False).astype(bool)
    lines["bought"] = amount.where(is_product & (lines["quantity"] > 0))
    lines["returned"] = -amount.where(is_product & (lines["quantity"] < 0))

    invoices = lines.groupby(["customer_id", "order_id"], sort=False, as_index=False).agg(
        day=("ordered_at", "min"), net=("amount", "sum"),
        bought=("bought", "sum"), returned=("returned", "sum"),
    )  # fmt: skip
    invoices["day"] = invoices["day"].dt.normalize()
    invoices["purchase"] = (invoices["net"] > 0) & ~invoices["order_id"].str.startswith("C")
    recent = invoices["day"] > as_of - pd.DateOffset(months=12)
    invoices["recent_net"] = invoices["net"].where(recent, 0)
    invoices["recent_purchase"] = invoices["purchase"] & recent
    out = invoices.groupby("customer_id").agg(
        lifetime_pence=("net", "sum"), l12m_pence=("recent_net", "sum"),
        l12m_frequency=("recent_purchase", "sum"), bought=("bought", "sum"),
        returned=("returned", "sum"),
    )  # fmt: skip
    purchases = invoices[invoices["purchase"]].sort_values("day", kind="stable")
    bought = purchases.groupby("customer_id").agg(
        lifetime_orders=("net", "size"), purchase_pence=("net", "sum"),
        first_order_date=("day", "first"), last_order_date=("day", "last"),
    )  # fmt: skip
    bought["second"] = purchases.groupby("customer_id")["day"].nth(1).set_axis(
        purchases.groupby("customer_id")["customer_id"].nth(1)
    )  # fmt: skip
    out = out.join(bought, how="inner")  # those who never bought have no dates to compare

    wanted = lines[is_product & (lines["amount"] > 0) & (lines["product_name"] != "")]
    products = wanted.groupby(["customer_id", "product_name"], as_index=False).agg(
        times=("quantity", "size"), pieces=("quantity", "sum")
    )
    products = products.sort_values(
        ["times", "pieces", "product_name"], ascending=[False, False, True]
    )
    best = products.groupby("customer_id", sort=False).head(5)
    out["favourite_products"] = best.groupby("customer_id", sort=False)["product_name"].agg(list)

    value, orders = out["lifetime_pence"], out["lifetime_orders"]
    last = out["last_order_date"]
    scores = [_score(column, (0.2, 0.4, 0.6, 0.8)) + 1 for column in (last, orders, value)]
    tiers = np.array(["Bronze", "Silver", "Gold", "Platinum"])
    span = (last - out["first_order_date"]).dt.days
    result = pd.DataFrame(
        {
            "l12m_monetary": out["l12m_pence"] / 100,
            "l12m_frequency": out["l12m_frequency"].astype("int64"),
            "l12m_recency": (as_of - last).dt.days,
            "lifetime_value": value / 100,
            "lifetime_orders": orders.astype("int64"),
            "average_order_value": out["purchase_pence"] / 100 / orders,
            "first_order_date": out["first_order_date"].dt.date,
            "last_order_date": last.dt.date,
            "one_and_done": orders == 1,
            "early_repeat_purchaser": (out["second"] - out["first_order_date"]).dt.days <= 90,
            "value_tier": tiers[_score(value, (0.40, 0.75, 0.95))],
            "rfm_score": scores[0].astype(str) + "-" + scores[1].astype(str) + "-" + scores[2].astype(str),
            "return_rate": (out["returned"] / out["bought"]).clip(upper=1).where(out["bought"] > 0),
            "favourite_products": out["favourite_products"],
            "days_between_orders": (span / (orders - 1)).where(orders > 1),
        },
        index=out.index,
    )  # fmt: skip
    result.reset_index().to_parquet(file)
    return {"rows": len(result)}


def _score(values: Any, shares: tuple[float, ...]) -> Any:
    """How many of the borders at these shares a value is above."""
    import math

    ranked = values.sort_values()
    borders = [ranked.iloc[max(math.ceil(share * len(ranked)), 1) - 1] for share in shares]
    return sum((values > border).astype("int64") for border in borders)
