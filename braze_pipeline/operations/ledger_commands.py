"""What an operator does to the ledger by command: look at a user, reset, forget."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from braze_pipeline.errors import EndpointMismatch
from braze_pipeline.ledger import endpoint, user, watermarks
from braze_pipeline.ledger.apply import open_all, open_ledger
from braze_pipeline.ledger.ledger import count, transaction
from braze_pipeline.ledger.reset import reset_attributes
from braze_pipeline.plan import payload
from braze_pipeline.profiles.cache import forget_values
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.storage import rejections
from braze_pipeline.storage.warehouse import literal, quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.user import LedgerUser
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

log = logging.getLogger(__name__)


def show_user(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, user_id: str
) -> list[LedgerUser]:
    """What each ledger has of a user. The values are real: for the operator's terminal only."""
    found = (user.find_user(one, user_id, payload.value_sql) for one in open_all(con, warehouse))
    return [one for one in found if one is not None]


def reset(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    t: TemplateSettings,
    attributes: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Have the next plan send these attributes (or all of the template) again for everybody.

    Where the ledger is about another endpoint, all of it is emptied instead. Returns the names
    that were reset.

    Raises:
        EndpointMismatch: the ledger is about another Braze endpoint, and only some attributes were
            to be reset.
        UsageError: a name that the ledger does not have.
    """
    ledger = open_ledger(con, warehouse, t)
    try:
        endpoint.check(con, warehouse, t)
    except EndpointMismatch:
        if attributes is not None:
            raise
        endpoint.start_over(ledger, t)
        return tuple(a.name for a in t.attributes)
    return reset_attributes(ledger, t, attributes)


def forget_user(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    templates: Sequence[TemplateSettings],
    user_id: str,
) -> dict[str, int]:
    """Remove a user everywhere: a deletion request. Returns the rows removed, by place.

    Out of the ledgers, the day tables of the given templates, the rejections and the cache of
    normalised values; snapshots with the user are deleted, and their plans can no longer be sent:
    hold the locks of all destinations that have a ledger here (``between_sends``).
    The source tables are the brand's: a customer that stays there comes back with the next run.
    Braze itself is asked with ``/users/delete``, which is no part of this.
    """
    ledgers = open_all(con, warehouse)
    removed: dict[str, int] = {}
    _forget_snapshots(con, warehouse, user_id, removed)
    customers = {user_id} | _customers(con, templates, user_id)
    _forget_raw_values(con, templates, customers, removed)
    with transaction(con):
        for t in templates:
            _forget_days(con, t, user_id, customers, removed)
        for ledger in ledgers:
            for table, rows in user.forget_user(ledger, user_id).items():
                removed[table] = removed.get(table, 0) + rows
        _delete(
            con, removed, rejections.TABLE,
            "user_id = ? OR list_contains(?::VARCHAR[], customer_id)", [user_id, sorted(customers)],
        )  # fmt: skip
    con.execute("CHECKPOINT")
    return {place: rows for place, rows in removed.items() if rows}


def _delete(
    con: duckdb.DuckDBPyConnection,
    removed: dict[str, int],
    table: str,
    where: str,
    parameters: list[object],
) -> None:
    rows = count(con, f"DELETE FROM {table} WHERE {where}", parameters)
    removed[table] = removed.get(table, 0) + rows


def _customers(
    con: duckdb.DuckDBPyConnection, templates: Sequence[TemplateSettings], user_id: str
) -> set[str]:
    """The customer ids that stand behind a user id."""
    found: set[str] = set()
    for t in templates:
        if _has_table(con, t.db_schema, "profiles"):
            found |= {
                customer
                for (customer,) in con.execute(
                    f"SELECT DISTINCT __customer_id FROM {t.table('profiles')} "
                    "WHERE __user_id = ? AND __customer_id IS NOT NULL",
                    [user_id],
                ).fetchall()
            }
        if _has_table(con, t.db_schema, "customer_attributes"):
            found |= {
                customer
                for (customer,) in con.execute(
                    f"SELECT DISTINCT {CUSTOMER}::VARCHAR FROM "
                    f"{t.table('customer_attributes')} WHERE "
                    f"{quote(t.identifier_column)}::VARCHAR = ?",
                    [user_id],
                ).fetchall()
            }
    return found


def _has_table(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    return bool(
        count(
            con,
            "SELECT count(*) FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?",
            [schema, name],
        )
    )


def _forget_days(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    user_id: str,
    customers: set[str],
    removed: dict[str, int],
) -> None:
    ids = sorted(customers)
    for name, column in (
        ("profiles", "__customer_id"),
        ("audience", "customer_id"),
        ("customer_attributes", CUSTOMER),
    ):
        if _has_table(con, t.db_schema, name):
            where = f"list_contains(?::VARCHAR[], {quote(column)}::VARCHAR)"
            if name == "profiles":
                _delete(con, removed, t.table(name), f"{where} OR __user_id = ?", [ids, user_id])
            else:
                _delete(con, removed, t.table(name), where, [ids])


def _forget_raw_values(
    con: duckdb.DuckDBPyConnection,
    templates: Sequence[TemplateSettings],
    customers: set[str],
    removed: dict[str, int],
) -> None:
    """Take the customers' raw values out of the cache of normalised values."""
    if not _has_table(con, "records", "normalised_values"):
        return

    raw: set[str] = set()
    for t in templates:
        if not _has_table(con, t.db_schema, "customer_attributes"):
            continue
        rows = con.execute(
            f"SELECT COLUMNS(*)::VARCHAR FROM {t.table('customer_attributes')} "
            f"WHERE list_contains(?::VARCHAR[], {CUSTOMER}::VARCHAR)",
            [sorted(customers)],
        ).fetchall()
        raw |= {value for row in rows for value in row if value is not None}
    removed["records.normalised_values"] = forget_values(con, sorted(raw))


def _forget_snapshots(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, user_id: str, removed: dict[str, int]
) -> None:
    running = con.execute("SELECT plan_id FROM records.plans WHERE status = 'sending'").fetchall()
    for path in sorted(warehouse.snapshots.glob("*.parquet")):
        source = f"read_parquet({literal(str(path))})"
        if not count(con, f"SELECT count(*) FROM {source} WHERE __user_id = ?", [user_id]):
            continue
        if (path.stem,) in running:
            log.warning("plan %s is given up: it names a user to be forgotten", path.stem)
        path.unlink()
        con.execute(
            "UPDATE records.plans SET status = 'forgotten' WHERE plan_id = ? AND status <> 'sent'",
            [path.stem],
        )
        watermarks.drop_pending(con, [path.stem])
        removed["snapshots"] = removed.get("snapshots", 0) + 1
