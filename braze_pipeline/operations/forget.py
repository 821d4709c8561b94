"""Removing a user everywhere, as a deletion request asks for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import LedgerError, UsageError
from braze_pipeline.ledger import watermarks
from braze_pipeline.ledger.apply import open_all
from braze_pipeline.ledger.ledger import count
from braze_pipeline.ledger.plan_ref import unless_damaged
from braze_pipeline.plan.snapshot import remove_unfinished
from braze_pipeline.profiles import cache
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.settings.places import Database
from braze_pipeline.sources.remote import spark_location
from braze_pipeline.sources.remote.extract import forget_extracts
from braze_pipeline.storage.partitions import columns_of
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import file_literal, quote
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

log = logging.getLogger(__name__)

USER_COLUMNS: Final = ("user_id", "__user_id")
CUSTOMER_COLUMNS: Final = (CUSTOMER, "__customer_id")
"""What every table calls the columns that name a person. A table that has one is cleaned, so that
a new table cannot be missed; a test makes sure that there is no other name."""

PROFILES: Final = ("profiles", "profile_rows")
"""The table of the profiles; the first name is that of earlier versions."""


def forget_user(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    templates: Sequence[TemplateSettings],
    user_id: str,
) -> dict[str, int]:
    """Remove a user from everything that the pipeline stores. Returns the rows removed, by place.

    With the user go the other ids that the same customer has in other templates or destinations.

    The places are the ledgers, the day tables of all templates and the records (among them the
    predictions). The cache of normalised values is emptied: its values have no owner. Snapshots
    with the user are deleted, and their plans can no longer be sent: hold the locks of all
    destinations that have a ledger here (``between_sends``). Extracts of source tables are all
    deleted: they are copies, of all customers. So is what a killed run left at the ``location`` of
    a Spark connection.
    The source tables belong to the brand: a customer who stays there comes back with the next run.
    Removing the user from Braze (``/users/delete``) is not part of this either.

    Raises:
        UsageError: the user is empty.
        DatabaseLocked: a run reads an extract; nothing is removed.
        SourceError: the location of a Spark connection cannot be reached.
    """
    if not user_id:
        raise UsageError("No user was named.", fix="Give the user's id.")
    removed: Counter[str] = Counter()
    removed["extracts"] = forget_extracts(warehouse.extracts)
    places = [source.place for t in templates for source in t.sources]
    connections = [place.connection for place in places if isinstance(place, Database)]
    connections += [t.run_in for t in templates if t.run_in is not None]
    for connection in {one.name: one for one in connections if one.location}.values():
        removed["extracts"] += spark_location.remove_left_over(connection)
    ledgers = open_all(con, warehouse)
    # Also of templates that are not given: configured elsewhere, or no longer.
    given = {"given": [t.db_schema for t in templates]}
    tables = con.execute(read_sql("operations", "day_tables"), given).fetchall()
    customers, users = _same_person(con, templates, tables, user_id)
    removed["snapshots"] = _forget_snapshots(con, warehouse, users)
    removed[cache.TABLE] = cache.empty(con)
    of_templates = sorted({schema for schema, _ in tables})
    cleaned = con.execute(
        read_sql("operations", "tables_with_people"),
        {
            "schemas": ["ledger", "records", *of_templates],
            "templates": of_templates,
            "columns": [*USER_COLUMNS, *CUSTOMER_COLUMNS],
        },
    ).fetchall()
    with transaction(con):
        for schema, table, columns in cleaned:
            names_them = " OR ".join(
                f"list_contains(?::VARCHAR[], {quote(column)}::VARCHAR)" for column in columns
            )
            removed[f"{schema}.{table}"] += count(
                con,
                f"DELETE FROM {quote(schema)}.{quote(table)} WHERE {names_them}",
                [users if column in USER_COLUMNS else customers for column in columns],
            )
        for ledger in ledgers:
            if removed[ledger.users_table.replace('"', "")]:
                ledger.record_change("forget", None)
    con.execute("CHECKPOINT")
    return {place: rows for place, rows in removed.items() if rows}


def _same_person(
    con: duckdb.DuckDBPyConnection,
    templates: Sequence[TemplateSettings],
    tables: Sequence[tuple[str, str]],
    user_id: str,
) -> tuple[list[str], list[str]]:
    """The customers that have this user id, and all user ids that they have in any template."""
    places = [
        (f"{quote(schema)}.{quote(table)}", "__customer_id", "__user_id")
        for schema, table in tables
        if table in PROFILES
    ]
    places += [
        (t.table("customer_attributes"), CUSTOMER, t.identifier_column)
        for t in templates
        if columns_of(con, t, "customer_attributes")
    ]
    pairs = " UNION ALL ".join(
        f"SELECT {quote(customer)}::VARCHAR AS customer, {quote(user)}::VARCHAR AS user_id "
        f"FROM {place}"
        for place, customer, user in places
    )
    if not pairs:
        return [user_id], [user_id]

    def distinct(column: str, where: str, value: object) -> set[str]:
        # An empty id is nobody's, and in the ledger it is everybody.
        query = f"SELECT DISTINCT {column} FROM ({pairs}) WHERE {column} <> '' AND {where}"
        return {name for (name,) in con.execute(query, [value]).fetchall()}

    customers = distinct("customer", "user_id = ?", user_id)
    users = distinct("user_id", "list_contains(?::VARCHAR[], customer)", list(customers))
    return sorted({user_id} | customers), sorted({user_id} | users)


def _forget_snapshots(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, users: list[str]
) -> int:
    sending = con.execute("SELECT plan_id FROM records.plans WHERE status = 'sending'").fetchall()
    deleted = 0
    _require_readable(warehouse.snapshots)
    remove_unfinished(warehouse.snapshots)
    for path in sorted(warehouse.snapshots.glob("*.parquet")):
        if not _may_have(con, path, users):
            continue
        if (path.stem,) in sending:
            log.warning("plan %s is abandoned: it has a user to be forgotten", path.stem)
        path.unlink()
        con.execute(
            "UPDATE records.plans SET status = 'forgotten' WHERE plan_id = ? AND status <> 'sent'",
            [path.stem],
        )
        watermarks.drop_pending(con, [path.stem])
        deleted += 1
    return deleted


def _require_readable(folder: Path) -> None:
    """`Path.glob` finds nothing in a folder that it may not list."""
    try:
        if folder.exists():
            list(folder.iterdir())
    except OSError as error:
        raise LedgerError(
            f"{folder} cannot be read ({error.strerror}): it may have plans with the user.",
            fix="Give the folder to the account that runs the pipeline, and run the command again.",
        ) from error


def _may_have(con: duckdb.DuckDBPyConnection, snapshot: Path, users: list[str]) -> bool:
    """Whether a snapshot has one of the users; one that is damaged may, and nobody can send it."""
    query = (
        f"SELECT count(*) FROM read_parquet({file_literal(snapshot)}) "
        "WHERE list_contains(?::VARCHAR[], __user_id)"
    )
    rows = unless_damaged(con, snapshot, lambda: count(con, query, [users]))
    if rows is None:
        log.warning("%s is damaged, so it is deleted", snapshot.name)
    return rows != 0
