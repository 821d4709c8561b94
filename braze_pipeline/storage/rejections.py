"""The table of rejected rows and rejected values.

A rejection names the customer, the attribute, the stage, the rule that rejected it and the run. The
value is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from braze_pipeline.storage.sql_text import days_sql
from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE: Final = "records.rejections"
"""A view of all rejections."""

ROWS: Final = "records.rejection_rows"
"""Those of plans and sends, to write to; those of profiles are in parts (``profiles.parts``)."""


def days(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> list[date]:
    """The days of a template that may have rejections, the newest first."""
    found = con.execute(
        "SELECT as_of FROM records.profile_days WHERE destination = $d AND template = $t "
        f"UNION SELECT as_of FROM {ROWS} WHERE destination = $d AND template = $t "
        "ORDER BY as_of DESC",
        {"d": t.destination.name, "t": t.name},
    ).fetchall()
    return [day for (day,) in found]


def count(con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date]) -> int:
    """The number of rejections of a template's days, in all stages."""
    (number,) = single_row(
        con,
        f"SELECT count(*) FROM {TABLE} WHERE destination = ? AND template = ? "
        f"AND as_of IN ({days_sql(days)})",
        [t.destination.name, t.name],
    )
    return int(number)


def clear(
    con: duckdb.DuckDBPyConnection,
    *,
    destination: str,
    template: str,
    stage: str,
    days: Sequence[date],
) -> None:
    """Delete an earlier run's rejections of the same days and stage: a rerun replaces them."""
    con.execute(
        f"DELETE FROM {ROWS} WHERE destination = ? AND template = ? AND stage = ? "
        f"AND as_of IN ({days_sql(days)})",
        [destination, template, stage],
    )
