"""What an operator does to the ledger by command: look at a user, reset, forget."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from braze_pipeline.errors import EndpointMismatch, UsageError
from braze_pipeline.ledger import endpoint, tables
from braze_pipeline.ledger.apply import apply_acknowledgements
from braze_pipeline.plan import payload
from braze_pipeline.profiles.cache import forget_values
from braze_pipeline.settings import CUSTOMER, ValueType
from braze_pipeline.storage import rejections
from braze_pipeline.storage.warehouse import literal, quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """What Braze acknowledged of one attribute of a user; ``value`` is JSON text."""

    attribute: str
    value: str | None
    as_of: date | None
    acknowledged_at: datetime
    run_id: str | None
    how: str


@dataclass(frozen=True, kw_only=True)
class LedgerUser:
    """A user of a ledger.

    Attributes:
        known: Whether Braze has the user; None: nobody knows.
        unconfirmed: Acknowledged while nobody knew: planned in full again.
        evaluated: By template, the newest day that found the user up to date.
        refused_by: The templates for which Braze refused the user's last object.
    """

    ledger: str
    user_id: str
    known: bool | None
    known_how: str | None
    unconfirmed: bool
    evaluated: dict[str, date] = field(default_factory=dict)
    entries: tuple[LedgerEntry, ...] = ()
    refused_by: tuple[str, ...] = ()


def show_user(con: duckdb.DuckDBPyConnection, user_id: str) -> list[LedgerUser]:
    """What each ledger has of a user. The values are real: for the operator's terminal only."""
    return [
        found
        for ledger in tables.ledgers(con)
        if (found := _show(con, ledger, user_id)) is not None
    ]


def _show(con: duckdb.DuckDBPyConnection, ledger: str, user_id: str) -> LedgerUser | None:
    wide = tables.wide(ledger)
    row = con.execute(
        f"SELECT known, known_how FROM {wide} WHERE user_id = ?", [user_id]
    ).fetchone()
    if row is None:
        return None
    entries = []
    for name, number, type_ in con.execute(
        "SELECT attribute, column_no, type FROM ledger.attributes WHERE ledger = ? "
        "AND first_sent_at IS NOT NULL ORDER BY attribute",
        [ledger],
    ).fetchall():
        value = payload.value_sql(ValueType(type_ or "string"), f"l.v{number}")
        found = con.execute(
            f"SELECT {value}, k.as_of, k.acknowledged_at, k.run_id, k.how FROM {wide} l "
            f"JOIN ledger.acks k ON k.ack_no = l.a{number} AND k.ledger = ? WHERE l.user_id = ?",
            [ledger, user_id],
        ).fetchone()
        if found is not None:
            entries.append(
                LedgerEntry(
                    attribute=name, value=found[0], as_of=found[1], acknowledged_at=found[2],
                    run_id=found[3], how=found[4],
                )
            )  # fmt: skip
    evaluated, unconfirmed = _by_template(con, ledger, user_id)
    refused = con.execute(
        "SELECT template FROM ledger.refused WHERE ledger = ? AND user_id = ? ORDER BY template",
        [ledger, user_id],
    ).fetchall()
    return LedgerUser(
        ledger=ledger, user_id=user_id, known=row[0], known_how=row[1], unconfirmed=unconfirmed,
        evaluated=evaluated, entries=tuple(entries), refused_by=tuple(name for (name,) in refused),
    )  # fmt: skip


def _by_template(
    con: duckdb.DuckDBPyConnection, ledger: str, user_id: str
) -> tuple[dict[str, date], bool]:
    evaluated, unconfirmed = {}, False
    for name, number, newest in con.execute(
        "SELECT template, template_no, as_of FROM ledger.templates WHERE ledger = ?", [ledger]
    ).fetchall():
        seen, member, unproven = con.execute(
            f"SELECT s{number}, s{number} = {tables.CURRENT}, u{number} FROM {tables.wide(ledger)} "
            "WHERE user_id = ?",
            [user_id],
        ).fetchone() or (None, False, False)
        if seen is not None:
            evaluated[name] = newest if member else seen
        unconfirmed = unconfirmed or bool(unproven)
    return evaluated, unconfirmed


def reset(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    t: TemplateSettings,
    attributes: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Have the next plan send these attributes (or all of the template) again for everybody.

    The values stay, so that older days still cannot overwrite newer ones, and so that what became
    null is cleared. An attribute that was stopped because its type changed is released. Where the
    ledger is about another endpoint, all of it is emptied instead. Returns the names that were
    reset.

    Raises:
        EndpointMismatch: the ledger is about another Braze endpoint, and only some attributes were
            to be reset.
        UsageError: a name that the ledger does not have.
    """
    apply_acknowledgements(con, warehouse, t.destination.name)
    ledger = tables.ledger_name(t)
    try:
        endpoint.check(con, warehouse, t)
    except EndpointMismatch:
        if attributes is not None:
            raise
        endpoint.start_over(con, t)
        return tuple(a.name for a in t.attributes)
    wanted = [a.name for a in t.attributes] if attributes is None else list(attributes)
    have = {
        name
        for (name,) in con.execute(
            "SELECT attribute FROM ledger.attributes WHERE ledger = ?", [ledger]
        ).fetchall()
    }
    missing = [name for name in attributes or () if name not in have]
    if missing:
        raise UsageError(
            f"The ledger {ledger} has no attribute {', '.join(missing)}.",
            fix=f"It has: {', '.join(sorted(have)) or 'none yet'}.",
        )
    with tables.transaction(con):
        con.execute(
            "UPDATE ledger.attributes SET type = NULL, reset_ack = (SELECT max(ack_no) FROM "
            "ledger.acks WHERE ledger = ?) WHERE ledger = ? AND list_contains(?::VARCHAR[], "
            "attribute)",
            [ledger, ledger, wanted],
        )
        con.execute(
            "DELETE FROM ledger.refused WHERE ledger = ? AND template = ?", [ledger, t.name]
        )
        tables.bump(con, ledger, "reset", None)
    return tuple(name for name in wanted if name in have)


def release_refused(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> int:
    """Let objects that Braze refused be planned again just as they are; how many there were."""
    return tables.count(
        con,
        "DELETE FROM ledger.refused WHERE ledger = ? AND template = ?",
        [tables.ledger_name(t), t.name],
    )


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
    for destination in tables.destinations(con):
        apply_acknowledgements(con, warehouse, destination)
    removed: dict[str, int] = {}
    _forget_snapshots(con, warehouse, user_id, removed)
    customers = {user_id} | _customers(con, templates, user_id)
    _forget_raw_values(con, templates, customers, removed)
    with tables.transaction(con):
        for t in templates:
            _forget_days(con, t, user_id, customers, removed)
        for ledger in tables.ledgers(con):
            wide = tables.wide(ledger)
            _delete(con, removed, wide, "user_id = ?", [user_id])
            if removed.get(wide):
                tables.bump(con, ledger, "forget", None)
        for name in ("ledger.refused", "ledger.doubts", "ledger.unsettled"):
            _delete(con, removed, name, "user_id = ?", [user_id])
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
    rows = tables.count(con, f"DELETE FROM {table} WHERE {where}", parameters)
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
        tables.count(
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
        if not tables.count(con, f"SELECT count(*) FROM {source} WHERE __user_id = ?", [user_id]):
            continue
        if (path.stem,) in running:
            log.warning("plan %s is given up: it names a user to be forgotten", path.stem)
        path.unlink()
        con.execute(
            "UPDATE records.plans SET status = 'forgotten' WHERE plan_id = ? AND status <> 'sent'",
            [path.stem],
        )
        con.execute("DELETE FROM ledger.unsettled WHERE plan_id = ?", [path.stem])
        removed["snapshots"] = removed.get("snapshots", 0) + 1
