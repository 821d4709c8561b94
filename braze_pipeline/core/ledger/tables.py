"""The ledger's tables: created, migrated, and their version number.

The wide table's columns are the matter of ``columns``; what they mean is in ``docs/ledger.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.core.warehouse import quote
from braze_pipeline.errors import LedgerError

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

    Migration = Callable[[duckdb.DuckDBPyConnection], None]

MEMBER = "DATE '9999-12-31'"
"""In s{j}: the user was part of the newest day carried out, whichever that is. So a day costs
only the users who joined or left, and not a rewrite of everybody's date."""


def _first(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(Path(__file__).with_name("tables.sql").read_text(encoding="utf-8"))


def _endpoints(con: duckdb.DuckDBPyConnection) -> None:
    """Which Braze each ledger is about (see ``endpoint``); the newest row of a ledger counts."""
    con.execute(
        "CREATE TABLE ledger.endpoints (ledger VARCHAR NOT NULL, endpoint VARCHAR NOT NULL, "
        "reason VARCHAR, bound_at TIMESTAMP NOT NULL)"  # reason NULL: the ledger was empty
    )


MIGRATIONS: tuple[Migration, ...] = (_first, _endpoints)
"""In order; the schema version is how many have been carried out. Append, never edit."""


def ensure(con: duckdb.DuckDBPyConnection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Create the ledger's tables, or bring them to this version's schema.

    Raises:
        LedgerError: the ledger was written by a newer version of the package.
    """
    con.execute("CREATE SCHEMA IF NOT EXISTS ledger")
    con.execute("CREATE TABLE IF NOT EXISTS ledger.meta (schema_version INTEGER NOT NULL)")
    row = con.execute("SELECT max(schema_version) FROM ledger.meta").fetchone()
    found = (row[0] if row else None) or 0
    if found > len(migrations):
        raise LedgerError(
            f"The ledger has schema version {found}; this version of the package knows "
            f"{len(migrations)}.",
            fix="Use the version of braze_pipeline that wrote it, or a newer one.",
        )
    for number, migrate in enumerate(migrations[found:], start=found + 1):
        with transaction(con):
            migrate(con)
            con.execute("DELETE FROM ledger.meta")
            con.execute("INSERT INTO ledger.meta VALUES (?)", [number])


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or nothing."""
    con.execute("BEGIN")
    try:
        yield
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def ledger_name(t: TemplateSettings) -> str:
    """The ledger a template writes to.

    The same person has different ids as external_id and as braze_id, so these are two ledgers.
    """
    d = t.destination
    return d.name if d.identifier == "external_id" else f"{d.name}_by_{d.identifier}"


def ledgers(con: duckdb.DuckDBPyConnection, destination: str | None = None) -> list[str]:
    """The ledgers there are, of one destination or of all."""
    rows = con.execute(
        "SELECT ledger FROM ledger.ledgers WHERE ? IS NULL OR destination = ? ORDER BY ledger",
        [destination, destination],
    ).fetchall()
    return [name for (name,) in rows]


def destinations(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The destinations that have a ledger here."""
    rows = con.execute("SELECT DISTINCT destination FROM ledger.ledgers ORDER BY 1").fetchall()
    return [name for (name,) in rows]


def wide(ledger: str) -> str:
    """The quoted name of a ledger's wide table."""
    return f"ledger.{quote(ledger + '_users')}"


def version(con: duckdb.DuckDBPyConnection, ledger: str) -> int:
    """The ledger's version; 0 for one that is not there yet."""
    row = con.execute("SELECT version FROM ledger.ledgers WHERE ledger = ?", [ledger]).fetchone()
    return int(row[0]) if row else 0


def bump(con: duckdb.DuckDBPyConnection, ledger: str, what: str, plan_id: str | None) -> None:
    """Raise the version: plans made before, other than ``plan_id``, are outdated from now on."""
    con.execute("UPDATE ledger.ledgers SET version = version + 1 WHERE ledger = ?", [ledger])
    con.execute(
        "INSERT INTO ledger.changes VALUES (?, ?, ?, ?, ?)",
        [ledger, version(con, ledger), plan_id, what, datetime.now(UTC).replace(tzinfo=None)],
    )


def only_changed_by(
    con: duckdb.DuckDBPyConnection, ledger: str, *, since: int, plan_id: str
) -> bool:
    """Whether nothing but the given plan's own send changed the ledger since a version."""
    row = con.execute(
        "SELECT count(*) FROM ledger.changes "
        "WHERE ledger = ? AND version > ? AND plan_id IS DISTINCT FROM ?",
        [ledger, since, plan_id],
    ).fetchone()
    return row is not None and row[0] == 0


def count(con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> int:
    """The one number that a query gives (NULL counts as 0)."""
    row = con.execute(query, list(parameters)).fetchone()
    return int(row[0] or 0) if row else 0
