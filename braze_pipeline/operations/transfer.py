"""Exporting the ledger to one Parquet file, and restoring it bit for bit.

The file is the wide table as it is, so that any Parquet reader can open it. The small tables (names
of the columns, acknowledgements, templates, ...) are in its metadata as JSON. A digest shows
whether the file is as it was written. Those of earlier versions may have none, and are read under
today's names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braze_pipeline.braze.fields import sendable
from braze_pipeline.braze.instances import normalise_endpoint
from braze_pipeline.errors import EndpointMismatch, NewerVersion, UsageError
from braze_pipeline.ledger import endpoint, since_export
from braze_pipeline.ledger.apply import open_ledger
from braze_pipeline.ledger.ledger import Ledger, ledger_name, ledger_names
from braze_pipeline.ledger.plan_ref import is_readable
from braze_pipeline.storage import digest
from braze_pipeline.storage.migrations import LEDGER, ledger_3
from braze_pipeline.storage.replacing import replacing
from braze_pipeline.storage.sql_text import file_literal, literal, quote
from braze_pipeline.storage.transaction import transaction
from braze_pipeline.storage.warehouse import columns, disk_full

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

KEY = "braze_pipeline_ledger"
_DIGEST = "digest"
"""What a file with a digest says in its metadata."""
_OF_LEDGER = (
    "ledgers", "endpoints", "changes", "attributes", "templates", "removed_attributes", "acks",
    "refused", "in_doubt",
)  # fmt: skip
_OF_PLANS = ("applied_sends", "applied_ranges", "pending_watermarks")


@dataclass(frozen=True, kw_only=True)
class Restored:
    """The result of an import.

    Attributes:
        ledger: The ledger's name.
        in_doubt: Users with attributes that are sent again, whatever the ledger has.
        resent: The next run sends everything again, because it is not known what was sent since.
        endpoint: What the ledger is about; None where the file does not record it.
    """

    ledger: str
    in_doubt: int
    resent: bool
    endpoint: str | None


def export_ledger(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings, path: Path
) -> int:
    """Write a template's ledger, with real values, to a Parquet file. Returns the number of users.

    Raises:
        UsageError: there is no such ledger, or the file cannot be written.
    """
    ledger = open_ledger(con, warehouse, t)
    if not ledger.exists():
        names = ", ".join(ledger_names(con)) or "none yet"
        raise UsageError(f"There is no ledger {ledger.name}.", fix=f"Ledgers here: {names}.")
    small: dict[str, Any] = {name: _rows(con, name, ledger.name) for name in _OF_LEDGER}
    small |= {name: _rows(con, name, None) for name in _OF_PLANS}
    small |= {"schema_version": LEDGER.version, _DIGEST: "sha256"}
    with replacing(path) as draft:
        con.execute(
            f"COPY (SELECT * FROM {ledger.users_table}) TO {literal(str(draft))} (FORMAT parquet, "
            f"USE_TMP_FILE false, KV_METADATA {{{KEY}: {literal(json.dumps(small))}}})"
        )
        digest.add(draft)
    return ledger.count_users()


def import_ledger(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    templates: Sequence[TemplateSettings],
    path: Path,
    *,
    replace: bool = False,
) -> Restored:
    """Restore an exported ledger, in one transaction.

    What Braze acknowledged after the export is not forgotten: see ``since_export``.

    Raises:
        EndpointMismatch: it is about another endpoint than the templates' destination.
        UsageError: the file is not an exported ledger, is damaged, or is not of a template's
            destination; or the ledger has users already and ``replace`` is not set.
        NewerVersion: a newer version of the package wrote the file.
    """
    with _readable(path):
        small = _metadata(con, path)
        t = _template(small, templates, path)
        same = [one for one in templates if ledger_name(one) == ledger_name(t)]
    # What a digest proved is not damaged: then an error has another cause.
    with nullcontext() if _DIGEST in small else _readable(path):
        return _restore(con, warehouse, same, small, path, replace=replace)


def _restore(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    templates: Sequence[TemplateSettings],
    small: dict[str, Any],
    path: Path,
    *,
    replace: bool,
) -> Restored:
    """The templates are those that share the ledger."""
    t = templates[0]
    ledger = open_ledger(con, warehouse, t)
    lost = since_export.only_in_journal(
        con, warehouse.journal_path, t.destination.name, small["applied_sends"]
    )
    snapshots = [warehouse.snapshot(plan_id) for plan_id in sorted({plan for plan, *_ in lost})]
    readable = [str(path) for path in snapshots if is_readable(con, path)]
    exists, version = ledger.exists(), ledger.version()
    if exists and not replace and ledger.count_users():
        raise UsageError(
            f"The ledger {ledger.name} is not empty.",
            fix="Use --replace to overwrite it.",
        )
    known = not exists or _is_known_since(ledger, small)
    forgotten = _happened_since(ledger, small, "changes", what="forget")
    with transaction(con):
        before = since_export.remember(ledger) if exists else []
        con.execute(f"CREATE OR REPLACE TABLE {ledger.users_table} AS {_users(con, path)}")
        for name in _OF_LEDGER:
            con.execute(f"DELETE FROM ledger.{name} WHERE ledger = ?", [ledger.name])
            _insert(con, name, small.get(name, []))
        for name in _OF_PLANS:
            plans = sorted({row["plan_id"] for row in small[name]})
            con.execute(
                f"DELETE FROM ledger.{name} WHERE list_contains(?::VARCHAR[], plan_id)", [plans]
            )
            _insert(con, name, small[name])
        if exists:
            con.execute(
                "UPDATE ledger.ledgers SET version = greatest(version, ?) WHERE ledger = ?",
                [version, ledger.name],
            )
            if known:
                since_export.carry_over(ledger, before, forgotten=forgotten)
            ledger.record_change("import", None)
        if lost or not known:
            attributes = [attribute for one in templates for attribute in sendable(one)]
            since_export.send_all_again(ledger, lost, attributes=attributes, snapshots=readable)
    return Restored(
        ledger=ledger.name,
        in_doubt=ledger.count_in_doubt(),
        resent=bool(lost) or not known,
        endpoint=endpoint.bound_to(ledger),
    )


def _is_known_since(ledger: Ledger, small: dict[str, Any]) -> bool:
    """Whether the ledger has all that was sent since the export to the file's Braze, and no more.

    It has not once it was emptied for another endpoint, or if it is about one that was never
    confirmed to be the same workspace.
    """
    if _happened_since(ledger, small, "endpoints", reason=endpoint.EMPTIED):
        return False
    here = {row["endpoint"] for row in _rows(ledger.con, "endpoints", ledger.name)}
    of_file = {row["endpoint"] for row in small.get("endpoints", [])[-1:]}
    return not here or of_file <= here or not ledger.count_users()


def _happened_since(ledger: Ledger, small: dict[str, Any], name: str, **what: str) -> bool:
    """Whether one of the ledger's small tables has such a row that an exported file lacks."""
    return any(
        what.items() <= row.items() and row not in small.get(name, [])
        for row in _rows(ledger.con, name, ledger.name)
    )


def _users(con: duckdb.DuckDBPyConnection, path: Path) -> str:
    """The wide table in the file, under today's names."""
    source = f"FROM read_parquet({file_literal(path)})"
    names = [f"{quote(old)} AS {ledger_3.column(old)}" for old, _ in columns(con, f"({source})")]
    return f"SELECT {', '.join(names)} {source}"


def _template(
    small: dict[str, Any], templates: Sequence[TemplateSettings], path: Path
) -> TemplateSettings:
    """The template whose ledger it is.

    A file that names no endpoint is accepted: the next plan asks.
    """
    ledger = str(small["ledgers"][0]["ledger"])
    here = {ledger_name(t): t for t in templates}
    if ledger not in here:
        raise UsageError(
            f"{path} is the ledger {ledger}; the configuration has {', '.join(here)}.",
            fix="Pass the defs.yaml of its destination with --config.",
        )
    now = normalise_endpoint(here[ledger].destination.endpoint)
    was = [row["endpoint"] for row in small.get("endpoints", [])][-1:]
    if was and was[0] != now:
        raise EndpointMismatch(
            f"{path} is a ledger of {was[0]}; {ledger} is configured for {now}. "
            "Nothing was imported.",
            fix=f"If that is the same workspace, import it with BRAZE_REST_ENDPOINT={was[0]}, "
            'then confirm it: `braze-pipeline ledger adopt --reason "…"`.',
        )
    return here[ledger]


def _rows(con: duckdb.DuckDBPyConnection, name: str, ledger: str | None) -> list[Any]:
    row = con.execute(
        f"SELECT coalesce(json_group_array(to_json(t)), '[]') FROM (SELECT * FROM ledger.{name} "
        f"{'WHERE ledger = ?' if ledger is not None else ''} ORDER BY rowid) t",
        [ledger] if ledger is not None else [],
    ).fetchone()
    rows: list[Any] = json.loads(row[0]) if row else []
    return rows


def _insert(con: duckdb.DuckDBPyConnection, name: str, rows: list[Any]) -> None:
    if not rows:
        return
    types = columns(con, f"ledger.{name}")
    shape = json.dumps([{c: [t[:-2]] if t.endswith("[]") else t for c, t in types}])
    con.execute(
        f"INSERT INTO ledger.{name} BY NAME SELECT r.* FROM "
        f"(SELECT unnest(from_json(?::JSON, {literal(shape)})) AS r)",
        [json.dumps(rows)],
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What a damaged file causes, as an error that says so."""
    import duckdb

    try:
        yield
    except (duckdb.Error, ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, duckdb.OutOfMemoryException) or disk_full(error, path):
            raise
        raise _not_whole(path) from error


def _not_whole(path: Path) -> UsageError:
    return UsageError(
        f"{path} is not an exported ledger, or it is damaged. Nothing was imported.",
        fix="Use a file as `braze-pipeline ledger export` wrote it, such as an older one.",
    )


def _metadata(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise _not_whole(path)
    row = con.execute(
        f"SELECT value FROM parquet_kv_metadata({file_literal(path)}) WHERE key = ?",
        [KEY.encode()],
    ).fetchone()
    if row is None:
        raise _not_whole(path)
    small: dict[str, Any] = json.loads(bytes(row[0]))
    if _DIGEST in small and not digest.matches(path):
        raise _not_whole(path)
    if small["schema_version"] > LEDGER.version:
        raise NewerVersion(
            f"{path} was written with schema version {small['schema_version']}; this version of "
            f"the package knows {LEDGER.version}.",
            fix="Use the version of braze_pipeline that wrote it, or a newer one.",
        )
    if small["schema_version"] < ledger_3.VERSION:
        small = {ledger_3.TABLES.get(name, name): rows for name, rows in small.items()}
    return small
