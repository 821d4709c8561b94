"""The table of rejected rows and rejected values.

A rejection names the customer, the attribute, the stage, the rule that rejected it and the run. The
value is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE = "records.rejections"


def count(con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date]) -> int:
    """The number of rejections of a template's days, in all stages."""
    (number,) = single_row(
        con,
        f"SELECT count(*) FROM {TABLE} WHERE destination = ? AND template = ? "
        "AND as_of IN (SELECT unnest(?::DATE[]))",
        [t.destination.name, t.name, list(days)],
    )
    return int(number)


def clear(
    con: duckdb.DuckDBPyConnection, *, destination: str, template: str, stage: str, as_of: object
) -> None:
    """Delete an earlier run's rejections of the same day and stage: a rerun replaces them."""
    con.execute(
        f"DELETE FROM {TABLE} WHERE destination = ? AND template = ? AND stage = ? AND as_of = ?",
        [destination, template, stage, as_of],
    )
