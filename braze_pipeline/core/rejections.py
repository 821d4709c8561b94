"""The table of what did not get through: rows, and single values of rows.

A rejection names the customer, the attribute, the stage, the rule that refused it and the run. The
value is there only as a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE = "records.rejections"

_DDL = """
CREATE SCHEMA IF NOT EXISTS records;
CREATE TABLE IF NOT EXISTS records.rejections (
    as_of DATE NOT NULL,
    destination VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,        -- profiles | plan | send
    customer_id VARCHAR,
    user_id VARCHAR,
    attribute VARCHAR,             -- Braze name; NULL: the whole row
    reason VARCHAR NOT NULL,       -- code of the rule, e.g. phone_unreadable
    message VARCHAR NOT NULL,      -- what is wrong, in words, with no personal data
    masked_value VARCHAR,
    row_rejected BOOLEAN NOT NULL, -- true: the whole row was held back for it
    run_id VARCHAR NOT NULL,
    rejected_at TIMESTAMP NOT NULL,
    status INTEGER,                -- send: HTTP status
    attempt INTEGER,               -- send: which attempt
    request_id VARCHAR             -- send: plan and request number
);
"""


def ensure(con: duckdb.DuckDBPyConnection) -> None:
    """Create the table where it is not there yet."""
    con.execute(_DDL)


def count(con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date]) -> int:
    """How many rejections of a template's days there are, of all stages."""
    row = con.execute(
        f"SELECT count(*) FROM {TABLE} WHERE destination = ? AND template = ? "
        "AND as_of IN (SELECT unnest(?::DATE[]))",
        [t.destination.name, t.name, list(days)],
    ).fetchone()
    return int(row[0]) if row else 0


def clear(
    con: duckdb.DuckDBPyConnection, *, destination: str, template: str, stage: str, as_of: object
) -> None:
    """Forget an earlier run's rejections of the same day and stage: a rerun replaces them."""
    con.execute(
        f"DELETE FROM {TABLE} WHERE destination = ? AND template = ? AND stage = ? AND as_of = ?",
        [destination, template, stage, as_of],
    )
