"""The attributes from order lines in Polars, as `customer_attributes.sql` defines them."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any


def attributes(folder: Path, day: date, file: Path) -> dict[str, Any]:
    import polars as pl

    col = pl.col
    # Whole pence, half a penny away from zero: exact, as in decimals.
    exact = col("quantity").cast(pl.Int64) * (col("unit_price") * 10_000).round().cast(pl.Int64)
    start = col("product_id").str.slice(0, 1)
    lines = (
        pl.scan_parquet(folder / "orders" / "*.parquet")
        .filter(col("customer_id").is_not_null() & (col("ordered_at") < day + timedelta(days=1)))
        .with_columns(
            amount=exact.sign() * ((exact.abs() + 50) // 100),
            product_name=col("product_name").str.strip_chars(" "),
            is_product=((start >= "0") & (start <= "9")).fill_null(value=False),
        )
    )
    month = pl.lit(day).dt.offset_by("-12mo")
    invoices = (
        lines.group_by("customer_id", "order_id")
        .agg(
            day=col("ordered_at").min().dt.date(),
            net=col("amount").sum(),
            bought=col("amount").filter(col("is_product") & (col("quantity") > 0)).sum(),
            returned=-col("amount").filter(col("is_product") & (col("quantity") < 0)).sum(),
        )
        .with_columns(
            purchase=(col("net") > 0) & ~col("order_id").str.starts_with("C"),
            recent=col("day") > month,
        )
    )
    totals = (
        invoices.group_by("customer_id")
        .agg(
            lifetime=col("net").sum(),
            l12m=col("net").filter(col("recent")).sum(),
            l12m_frequency=(col("recent") & col("purchase")).sum().cast(pl.Int64),
            lifetime_orders=col("purchase").sum().cast(pl.Int64),
            purchased=col("net").filter(col("purchase")).sum(),
            first_order_date=col("day").filter(col("purchase")).min(),
            last_order_date=col("day").filter(col("purchase")).max(),
            second=col("day").filter(col("purchase")).bottom_k(2).max(),
            bought=col("bought").sum(),
            returned=col("returned").sum(),
        )
        .filter(col("lifetime_orders") > 0)
        .collect(engine="streaming")
    )
    favourites = (
        lines.filter(col("is_product") & (col("amount") > 0) & (col("product_name") != ""))
        .group_by("customer_id", "product_name")
        .agg(times=pl.len(), pieces=col("quantity").sum())
        .sort("times", "pieces", "product_name", descending=[True, True, False])
        .group_by("customer_id", maintain_order=True)
        .agg(favourite_products=col("product_name").head(5))
        .collect(engine="streaming")
    )
    fifths = (0.2, 0.4, 0.6, 0.8)
    orders, value = col("lifetime_orders"), col("lifetime")
    scores = [
        (_score(totals, name, fifths) + 1).cast(pl.String)
        for name in ("last_order_date", "lifetime_orders", "lifetime")
    ]
    tier = _score(totals, "lifetime", (0.40, 0.75, 0.95))
    first, last = col("first_order_date"), col("last_order_date")
    result = totals.join(favourites, on="customer_id", how="left").select(
        "customer_id",
        l12m_monetary=col("l12m") / 100,
        l12m_frequency=col("l12m_frequency"),
        l12m_recency=(pl.lit(day) - last).dt.total_days(),
        lifetime_value=value / 100,
        lifetime_orders=orders,
        average_order_value=col("purchased") / 100 / orders,
        first_order_date=first,
        last_order_date=last,
        one_and_done=orders == 1,
        early_repeat_purchaser=(orders > 1) & ((col("second") - first).dt.total_days() <= 90),
        value_tier=tier.replace_strict(
            {0: "Bronze", 1: "Silver", 2: "Gold", 3: "Platinum"}, return_dtype=pl.String
        ),
        rfm_score=pl.concat_str(scores, separator="-"),
        return_rate=pl.when(col("bought") > 0).then(
            (col("returned") / col("bought")).clip(upper_bound=1)
        ),
        favourite_products=col("favourite_products"),
        days_between_orders=pl.when(orders > 1).then((last - first).dt.total_days() / (orders - 1)),
    )
    result.write_parquet(file)
    return {"rows": len(result)}


def _score(totals: Any, name: str, shares: tuple[float, ...]) -> Any:
    """How many of the borders at these shares a value is above."""
    import polars as pl

    ranked = totals.get_column(name).sort()
    borders = [ranked[max(math.ceil(share * len(ranked)), 1) - 1] for share in shares]
    return pl.sum_horizontal((pl.col(name) > pl.lit(border)).cast(pl.Int64) for border in borders)
