"""The day's profiles and rejections, written into their tables together or not at all.

What belongs here: which rows and values are sent, given the failures that `contract` found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.fields import sendable
from braze_pipeline.profiles.contract import FAILURES, in_group_sql
from braze_pipeline.profiles.parts import TABLE, Built, replace_day
from braze_pipeline.profiles.reasons import message
from braze_pipeline.profiles.staging import MAPPED, StagedColumn
from braze_pipeline.storage.masking import mask_sql
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import literal, quote
from braze_pipeline.storage.warehouse import named_rows

if TYPE_CHECKING:
    from datetime import date, datetime

    import duckdb

    from braze_pipeline.settings import TemplateSettings

ROWS: Final = "__profiles_rows"
"""Rows with failures: the attributes that are suppressed, and whether the row is rejected."""
_SHOWN: Final = 5
"""Rows of a preview."""


def write(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[StagedColumn, ...],
    as_of: date,
    *,
    since: date | None,
    made_from: str | None,
    run_id: str,
    now: datetime,
) -> None:
    """Replace the day's profiles and rejections in one transaction.

    Args:
        con: A connection without an open transaction.
        t: The template.
        columns: Its attributes.
        as_of: The day.
        since: The day from which outcomes are copied, but for those in ``DIFFERENT``; if any.
        made_from: See `unchanged`.
        run_id: The run, for the rejections.
        now: The current time, for the rejections.
    """
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE {ROWS} AS
        SELECT __rid, bool_or(rejects_row) AS rejected,
            list_sort(coalesce(list(attribute) FILTER (attribute IS NOT NULL), [])) AS suppressed
        FROM {FAILURES} GROUP BY __rid
    """)

    built = Built(
        profiles=_profiles_query(con, t, columns),
        rejections=_rejections_query(con, t),
        since=since,
        made_from=made_from,
        run_id=run_id,
        at=now,
    )
    replace_day(con, t, as_of, built)


def _profiles_query(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, columns: tuple[StagedColumn, ...]
) -> str:
    """The rows that are sent, each value as it is or, where it is suppressed, NULL."""
    failed = {
        name for (name,) in con.execute(f"SELECT DISTINCT attribute FROM {FAILURES}").fetchall()
    }
    values, suppressed = ["b.__user_id", "b.__customer_id"], ["coalesce(r.suppressed, [])"]
    for one in columns:
        name, text = quote(one.attribute.name), literal(one.attribute.name)
        conditions = []
        if one.attribute.name in failed:
            conditions.append(f"list_contains(r.suppressed, {text})")
        if t.groups:
            outside = f"NOT {in_group_sql(t, one.attribute.name)}"
            conditions.append(outside)
            suppressed.append(f"CASE WHEN {outside} THEN [{text}] ELSE [] END")
        value = f"b.{name}"
        if conditions:
            value = f"CASE WHEN {' OR '.join(conditions)} THEN NULL ELSE b.{name} END"
        values.append(f"{value} AS {name}")
    values.insert(2, f"list_concat({', '.join(suppressed)})::VARCHAR[] AS __held")
    return (
        f"SELECT {', '.join(values)} FROM {MAPPED} b "
        f"LEFT JOIN {ROWS} r USING (__rid) WHERE NOT coalesce(r.rejected, false)"
    )


def _rejections_query(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> str:
    attributes = {attribute.name: attribute for attribute in t.attributes}
    cases = "".join(
        f" WHEN f.code = {literal(code)} AND f.attribute IS NOT DISTINCT FROM "
        f"{'NULL' if name is None else literal(name)} "
        f"THEN {literal(message(code, attributes.get(name)))}"
        for name, code in con.execute(f"SELECT DISTINCT attribute, code FROM {FAILURES}").fetchall()
    )
    words = f"CASE{cases} END" if cases else "NULL::VARCHAR"
    return read_sql("profiles", "rejections", failures=FAILURES, mapped=MAPPED, words=words)


def preview(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date
) -> list[dict[str, str | None]]:
    """Some profiles as a person may see them: identifiers and personal data as masks."""
    shown = [f"{mask_sql('__user_id')} AS {quote(t.destination.identifier)}"]
    for attribute in sendable(t):
        name = quote(attribute.name)
        value = mask_sql(name) if attribute.pii else f"{name}::VARCHAR"
        shown.append(f"{value} AS {name}")
    # Rows are chosen first: only what is shown needs a mask.
    return named_rows(
        con,
        f"SELECT {', '.join(shown)} FROM (SELECT * FROM {t.table(TABLE)} WHERE __as_of = ? "
        f"ORDER BY hash(__user_id) LIMIT {_SHOWN})",
        [as_of],
    )
