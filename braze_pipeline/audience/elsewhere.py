"""What a warehouse counted when it applied the audience's rules itself (``run_in``).

The rows of the customers that it excluded stay there; their numbers are kept here, in the same
transaction as the day's rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braze_pipeline.audience.rules import rule_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE: Final = "records.counted_elsewhere"
ATTRIBUTES: Final = "customer_attributes"
GROUPS: Final = "__recipient_groups"
"""The column of the customer attributes table with a campaign's groups, where they were decided
elsewhere."""


@dataclass(frozen=True, kw_only=True)
class CountedElsewhere:
    """One day's customers, as the warehouse counted them.

    Attributes:
        customers: All of them, counted before the rules.
        excluded: By the first rule that excluded them, in the order of the rules.
        rules: The rules that were applied (``rules_of``).
    """

    customers: int
    excluded: Mapping[str, int]
    rules: str


def rules_of(t: TemplateSettings) -> str:
    """Everything that decides who is in the audience."""
    groups = [[group.name, group.where] for group in t.groups]
    return json.dumps({"audience": t.audience.model_dump(), "kind": t.kind, "groups": groups})


def replace_counts(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    day: date,
    counted: CountedElsewhere | None,
) -> None:
    """Replace a day's counts, in the open transaction; None where DuckDB has every customer.

    Counts of days that the customer attributes table has no longer are dropped.
    """
    name = t.table(ATTRIBUTES)
    con.execute(
        f"DELETE FROM {TABLE} AS c WHERE table_name = $name AND (as_of = $day OR NOT EXISTS "
        "(FROM records.days AS d WHERE d.table_name = c.table_name AND d.as_of = c.as_of))",
        {"name": name, "day": day},
    )
    if counted is None:
        return
    numbers = [(None, counted.customers), *counted.excluded.items()]
    con.executemany(
        f"INSERT INTO {TABLE} (table_name, as_of, rules, excluded_by, customers) "
        "VALUES (?, ?, ?, ?, ?)",
        [[name, day, counted.rules, rule, number] for rule, number in numbers],
    )


def counted_elsewhere(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, day: date
) -> CountedElsewhere | None:
    """A day's counts; None where its rules are applied here."""
    rows = con.execute(
        f"SELECT excluded_by, customers, rules FROM {TABLE} WHERE table_name = ? AND as_of = ?",
        [t.table(ATTRIBUTES), day],
    ).fetchall()
    if not rows:
        return None
    numbers = {rule: number for rule, number, _ in rows}
    customers = numbers.pop(None)
    order = rule_names(t)
    return CountedElsewhere(
        customers=customers,
        excluded={rule: numbers[rule] for rule in (*order, *numbers) if rule in numbers},
        rules=rows[0][2],
    )


def excluded_elsewhere(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date]
) -> dict[str, int]:
    """The customers of several days whose rows stayed in the warehouse, by rule."""
    return dict(
        con.execute(
            f"SELECT excluded_by, sum(customers)::BIGINT FROM {TABLE} WHERE table_name = ? "
            "AND as_of IN (SELECT unnest(?::DATE[])) AND excluded_by IS NOT NULL "
            "GROUP BY excluded_by",
            [t.table(ATTRIBUTES), list(days)],
        ).fetchall()
    )
