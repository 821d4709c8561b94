"""The day's profiles and rejections into their tables, together or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles.contract import FAILURES, ROW, in_group_sql
from braze_pipeline.profiles.reasons import message
from braze_pipeline.profiles.staging import MAPPED, Staged
from braze_pipeline.storage import rejections
from braze_pipeline.storage.partitions import SchemaChange, replace_partition
from braze_pipeline.storage.warehouse import literal, quote

if TYPE_CHECKING:
    from datetime import date, datetime

    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE: Final = "profiles"
STAGE: Final = "profiles"

ROWS: Final = "__profiles_rows"
"""Rows with failures: the names they hold back, and whether they are rejected whole."""


def write(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[Staged, ...],
    as_of: date,
    *,
    run_id: str,
    now: datetime,
) -> None:
    """Replace the day's profiles and rejections in one transaction."""
    _mark_rows(con, columns)

    def then(fitted: SchemaChange) -> None:
        _hold_new_columns(con, t, as_of, (*fitted.added, *fitted.retyped))
        rejections.clear(
            con, destination=t.destination.name, template=t.name, stage=STAGE, as_of=as_of
        )
        _reject(con, t, columns, as_of, run_id=run_id, now=now)

    replace_partition(con, t, TABLE, as_of, _profiles_query(con, t, columns), then=then)


def _hold_new_columns(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date, names: tuple[str, ...]
) -> None:
    """Other days do not know a new attribute: their NULL means "leave it", never "clear it"."""
    if names:
        con.execute(
            f"UPDATE {t.table(TABLE)} SET __held = list_distinct(list_concat(__held, ?)) "
            "WHERE __as_of <> ?",
            [list(names), as_of],
        )


def _mark_rows(con: duckdb.DuckDBPyConnection, columns: tuple[Staged, ...]) -> None:
    """Make ``ROWS``."""
    required = ", ".join(str(c.number) for c in columns if c.attribute.required)
    whole = f"number = {ROW}" + (f" OR number IN ({required})" if required else "")
    names = " ".join(f"WHEN {c.number} THEN {literal(c.attribute.name)}" for c in columns)
    name = f"CASE number {names} END" if names else "NULL::VARCHAR"
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE {ROWS} AS
        SELECT __rid, bool_or({whole}) AS rejected,
            list_sort(coalesce(list({name}) FILTER (number <> {ROW}), [])) AS held
        FROM {FAILURES} GROUP BY __rid
    """)


def _profiles_query(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, columns: tuple[Staged, ...]
) -> str:
    """The rows that leave, each value as it is or, where it is held back, NULL."""
    failed = {
        int(number)
        for (number,) in con.execute(f"SELECT DISTINCT number FROM {FAILURES}").fetchall()
    }
    values, held = [], ["coalesce(r.held, [])"]
    for one in columns:
        name = quote(one.attribute.name)
        out = []
        if one.number in failed:
            out.append(f"list_contains(r.held, {literal(one.attribute.name)})")
        if t.groups:
            outside = f"NOT {in_group_sql(t, one.attribute.name)}"
            out.append(outside)
            held.append(f"CASE WHEN {outside} THEN [{literal(one.attribute.name)}] ELSE [] END")
        condition = " OR ".join(out)
        values.append(
            f"CASE WHEN {condition} THEN NULL ELSE b.{name} END AS {name}"
            if condition
            else f"b.{name} AS {name}"
        )
    return (
        "SELECT b.__user_id, b.__customer_id, "
        f"list_concat({', '.join(held)})::VARCHAR[] AS __held"
        + "".join(f", {value}" for value in values)
        + f" FROM {MAPPED} b "
        f"LEFT JOIN {ROWS} r USING (__rid) WHERE NOT coalesce(r.rejected, false)"
    )


def _reject(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[Staged, ...],
    as_of: date,
    *,
    run_id: str,
    now: datetime,
) -> None:
    found = con.execute(f"SELECT DISTINCT code FROM {FAILURES}").fetchall()
    if not found:
        return
    words = " ".join(f"WHEN {literal(code)} THEN {literal(message(code))}" for (code,) in found)
    names = " ".join(f"WHEN {c.number} THEN {literal(c.attribute.name)}" for c in columns)
    name = f"CASE f.number {names} END" if names else "NULL"
    whole = [str(number) for number in (ROW, *(c.number for c in columns if c.attribute.required))]
    con.execute(
        f"""
        INSERT INTO {rejections.TABLE} (
            as_of, destination, template, stage, customer_id, user_id, attribute, reason,
            message, masked_value, row_rejected, run_id, rejected_at
        )
        SELECT ?, ?, ?, ?, b.__customer_id, b.__user_id, {name}, f.code,
            CASE f.code {words} END, f.masked, f.number IN ({", ".join(whole)}), ?, ?
        FROM {FAILURES} AS f JOIN {MAPPED} AS b USING (__rid)
        """,
        [as_of, t.destination.name, t.name, STAGE, run_id, now],
    )
