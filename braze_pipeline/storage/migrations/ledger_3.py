"""Version 3 of the ledger: its tables and the columns of its wide tables get words for names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from braze_pipeline.storage.migrations.runner import sql

if TYPE_CHECKING:
    from braze_pipeline.storage.transaction import SqlConnection

VERSION = 3
TABLES = {
    "folded": "applied_sends",
    "folded_ranges": "applied_ranges",
    "doubts": "in_doubt",
    "unsettled": "pending_watermarks",
}
_COLUMNS = {"v": "value", "a": "ack", "s": "evaluated", "f": "full_at", "u": "unconfirmed"}


def column(old: str) -> str:
    """Today's name of a column of a wide table that an earlier version wrote."""
    code = re.fullmatch(r"([vasfu])(\d+)", old)
    return f"{_COLUMNS[code[1]]}_{code[2]}" if code else old


def migrate(con: SqlConnection) -> None:
    """Rename them all; the rows stay where they are."""
    sql("ledger_3.sql")(con)
    for table, old in con.execute(
        "SELECT table_name, column_name FROM duckdb_columns() JOIN ledger.ledgers "
        "ON table_name = ledger || '_users' "
        "WHERE database_name = current_database() AND schema_name = 'ledger'"
    ).fetchall():
        if column(old) != old:
            quoted = table.replace('"', '""')
            con.execute(f'ALTER TABLE ledger."{quoted}" RENAME COLUMN {old} TO {column(old)}')
