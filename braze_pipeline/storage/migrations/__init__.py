"""Stored data has a version: five schemas, their migrations, and one runner for all of them.

============ ================================================================================
``ledger``   in the DuckDB file: what Braze acknowledged
``records``  in the DuckDB file: days, plans, rejections, outcomes, caches
``journal``  the SQLite file beside it: what Braze answers during a send
``actions``  the SQLite file beside it: workflow actions, their notifications, and pauses
``limits``   the SQLite file beside it: what was used of Braze's rate limits
============ ================================================================================

A schema's version is the number of migrations that were applied. Append a migration; never edit a
released one. Each is all or nothing: after a crash the previous version is intact. Tables that
depend on a brand or a template (day tables, the ledger's wide table) adapt by themselves and are
not migrated here.

A newer database is refused, because this version might overwrite what it does not know.
"""

from __future__ import annotations

from pathlib import Path

from braze_pipeline.storage.migrations import ledger_3
from braze_pipeline.storage.migrations.runner import DuckDBSchema, SQLiteSchema, sql
from braze_pipeline.storage.transaction import SqlConnection

LEDGER = DuckDBSchema(
    name="ledger",
    migrations=(sql("ledger_1.sql"), sql("ledger_2.sql"), ledger_3.migrate, sql("ledger_4.sql")),
)

RECORDS = DuckDBSchema(
    name="records",
    migrations=tuple(sql(f"records_{number}.sql") for number in range(1, 8)),
)
"""Version 0.1.0 gave these tables no version: the first migration creates only what is absent."""

JOURNAL = SQLiteSchema(name="journal", migrations=(sql("journal_1.sql"),))
ACTIONS = SQLiteSchema(
    name="actions", migrations=tuple(sql(f"actions_{number}.sql") for number in range(1, 4))
)
LIMITS = SQLiteSchema(name="limits", migrations=(sql("limits_1.sql"),))

DATABASE = (LEDGER, RECORDS)
"""The schemas of the DuckDB file."""


def upgrade(con: SqlConnection, where: Path | str) -> None:
    """Upgrade the DuckDB file ``where`` to the schemas of this version.

    Raises:
        NewerVersion: a newer version of the package wrote it; nothing was changed.
    """
    for schema in DATABASE:
        schema.refuse_newer(con, where)
    for schema in DATABASE:
        schema.upgrade(con, where)
