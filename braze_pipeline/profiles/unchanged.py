"""The customers whose row is not the same as on an earlier day: only these are read.

The earlier day is the last one before this day whose profiles were made by the same template and
software (`made_from`), and whose attributes and audience are still those that they were made from.
Where there is none, every row is read, and so it is where that day lacks an outcome of an unchanged
row. A customer's row is unchanged if every column that the outcome depends on has the same value.

The values themselves are compared, with the rows that the customer attributes table has of that
day anyway. A stored hash would cost less, but where two values have one hash a person would get
the outdated one, and no later run would notice. Equal in SQL is not always the same: -0.0 and 0.0,
or intervals of 30 days and of a month, differ as text. So other types must also have equal text.

Two things are not decided by the row alone. Rows that a rule rejected which follows the as-of date
are read again; so is every row whose user identifier occurs twice on this day or did on that day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles import made_from
from braze_pipeline.profiles.contract import DUPLICATE
from braze_pipeline.profiles.parts import STAGE, TABLE
from braze_pipeline.profiles.rules import codes_by_day
from braze_pipeline.profiles.staging import DIFFERENT
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.storage import rejections
from braze_pipeline.storage.partitions import columns_of
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import family, literal, name_key, quote
from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import duckdb

    from braze_pipeline.profiles.staging import StagedColumn
    from braze_pipeline.settings import TemplateSettings

_SAME_TEXT: Final = frozenset(
    {"text", "json", "boolean", "integer", "decimal", "date", "timestamp", "instant", "binary"}
)
"""Families of types whose equal values are the same in every way."""


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """The rows of a day that need not be read.

    Attributes:
        since: The earlier day; None where every row is read.
        rows: Their number.
        rejected: How many of them are rejected as a whole.
        made_from: What to store with this day, so that later days may be compared with it.
    """

    since: date | None
    rows: int
    rejected: int
    made_from: str | None


def find(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[StagedColumn, ...],
    types: Mapping[str, str],
    as_of: date,
) -> Unchanged:
    """Make ``DIFFERENT``: the customers to be read, and those that are no longer there.

    It says nothing where ``since`` of the result is None: every row must be read.
    """
    digest = made_from.digest(t, columns, types)
    tables = {"attributes": t.table("customer_attributes"), "audience": t.table("audience")}
    (this,) = single_row(
        con, read_sql("profiles", "made_from"), tables | {"digest": digest, "day": as_of}
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE {DIFFERENT} (customer_id VARCHAR, here BOOLEAN)")
    earlier = con.execute(
        read_sql("profiles", "earlier_day"),
        tables | {"digest": digest, "day": as_of, "profiles": t.table(TABLE)},
    ).fetchone()
    if earlier is not None and columns_of(con, t, TABLE):
        (since,) = earlier
        _compare(con, t, columns, types, day=as_of, since=since)
        (same,) = single_row(
            con,
            f"SELECT count(*) - (SELECT count(DISTINCT customer_id) FROM {DIFFERENT} WHERE here) "
            f"FROM {t.table('audience')} WHERE __as_of = ? AND left_out_by IS NULL",
            [as_of],
        )
        rows, rejected = _outcomes(con, t, since)
        if rows == same:
            return Unchanged(since=since, rows=rows, rejected=rejected, made_from=this)
    return Unchanged(since=None, rows=0, rejected=0, made_from=this)


def _outcomes(con: duckdb.DuckDBPyConnection, t: TemplateSettings, since: date) -> tuple[int, int]:
    query = read_sql(
        "profiles", "outcomes", profiles=t.table(TABLE), rejections=rejections.TABLE,
        different=DIFFERENT,
    )  # fmt: skip
    rows, rejected = single_row(con, query, _of_template(t, since))
    return rows, rejected


def _of_template(t: TemplateSettings, since: date) -> dict[str, object]:
    return {
        "since": since, "destination": t.destination.name, "template": t.name, "stage": STAGE,
    }  # fmt: skip


def _compare(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[StagedColumn, ...],
    types: Mapping[str, str],
    *,
    day: date,
    since: date,
) -> None:
    names = made_from.columns_of_row(t, columns)
    type_of = {name_key(name): type_ for name, type_ in types.items()}
    same = [_same(quote(name), type_of[name_key(name)]) for name in names]
    if t.groups:
        same.append("today.__groups IS NOT DISTINCT FROM before.__groups")
    by_day = [
        f"(attribute = {literal(one.attribute.name)} AND reason = {literal(code)})"
        for one in columns
        for code in codes_by_day(one.attribute)
    ]
    parts = {
        "attributes": t.table("customer_attributes"),
        "audience": t.table("audience"),
        "customer": CUSTOMER,
    }
    repeated = ""
    # The customer attributes have one row for each customer.
    if name_key(t.identifier_column) != CUSTOMER:
        identifier = quote(t.identifier_column)
        query = read_sql("profiles", "repeated_today", identifier=identifier, **parts)
        repeated = f"UNION FROM ({query})"
    query = read_sql(
        "profiles", "different", different=DIFFERENT, rejections=rejections.TABLE,
        columns=", ".join(map(quote, names)), same=" AND ".join(same),
        again=" OR ".join([f"reason = {literal(DUPLICATE)}", *by_day]), repeated=repeated,
        **parts,
    )  # fmt: skip
    con.execute(query, {"day": day} | _of_template(t, since))


def _same(column: str, type_: str) -> str:
    today, before = f"today.{column}", f"before.{column}"
    same = f"{today} IS NOT DISTINCT FROM {before}"
    if family(type_) == "double":
        return f"{same} AND signbit({today}) IS NOT DISTINCT FROM signbit({before})"
    if family(re.sub(r"(\[\d*\])+$", "", type_)) in _SAME_TEXT:
        return same
    return f"{same} AND {today}::VARCHAR IS NOT DISTINCT FROM {before}::VARCHAR"
