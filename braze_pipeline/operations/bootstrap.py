"""Filling the ledger from a Braze export, so that the first run sends only the differences.

An export (``/users/export/segment``: JSON lines, also zipped) has the users and values that are in
Braze. Its users become known. Its values count as acknowledged without an as-of date, so that they
never block a day. Values that Braze acknowledged to the ledger stay, unless they are unconfirmed.

Source: Braze docs, "User export object".
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.braze import nested, shapes
from braze_pipeline.errors import UsageError
from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.export_values import MISFITS, count_differing, merge_export
from braze_pipeline.ledger.layout import ensure_layout
from braze_pipeline.ledger.ledger import count
from braze_pipeline.settings import ValueType
from braze_pipeline.storage.sql_text import file_literal, literal
from braze_pipeline.storage.transaction import transaction
from braze_pipeline.storage.warehouse import single_row
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.layout import Column
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

RAW = "__export_raw"
TYPED = "__export_typed"
CANONICAL = "__canonical"
_NESTED = (ValueType.OBJECT, ValueType.OBJECTS)
_NUMBERS = "'UBIGINT', 'BIGINT', 'DOUBLE'"
_INSTANT = "(TRY_CAST({0} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
_SCALARS = {
    ValueType.STRING: ("'VARCHAR'", "{0}"),
    ValueType.INTEGER: (
        _NUMBERS,
        (
            "CASE WHEN TRY_CAST({0} AS DOUBLE) = trunc(TRY_CAST({0} AS DOUBLE)) THEN coalesce("
            "TRY_CAST({0} AS BIGINT), TRY_CAST(TRY_CAST({0} AS DOUBLE) AS BIGINT)) END"
        ),
    ),
    ValueType.FLOAT: (_NUMBERS, "TRY_CAST({0} AS DOUBLE)"),
    ValueType.BOOLEAN: ("'BOOLEAN'", "CAST({0} AS BOOLEAN)"),
    # A date is sent without a time, and Braze has it as midnight in UTC.
    ValueType.DATE: (
        "'VARCHAR'",
        f"CASE WHEN {_INSTANT} = date_trunc('day', {_INSTANT}) THEN {_INSTANT} END",
    ),
    ValueType.TIME: ("'VARCHAR'", f"date_trunc('millisecond', {_INSTANT})"),
}
"""By type: the JSON types that are accepted, and how to read their text."""


@dataclass(frozen=True, kw_only=True)
class BootstrapSummary:
    """What was imported from an export.

    Attributes:
        users: Users of the export; all of them are known from now on.
        values: Imported values.
        differing: Values that the ledger keeps although the export differs: something else changed
            them in Braze, or the export is older.
        misfits: By attribute, values of another type than the template's; the next run sends ours,
            nulls included.
        unreadable: Lines that are not a JSON object with the destination's identifier.
    """

    users: int
    values: int
    differing: int
    misfits: dict[str, int]
    unreadable: int


def import_export(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    t: TemplateSettings,
    files: Sequence[Path],
    *,
    now: datetime,
    all_users: bool = False,
) -> BootstrapSummary:
    """Import the users and values of Braze export files (``.json``, ``.json.gz``, ``.zip``).

    ``now`` is in UTC, without a zone. ``all_users``: the files have every user of Braze, so no
    value of the template's attributes is in doubt for anybody else.

    Raises:
        EndpointMismatch: the ledger is about another Braze endpoint.
        UsageError: a file is missing or cannot be unpacked, or no file has a user; or a line is
            broken, with ``all_users``.
    """
    layout = ensure_layout(endpoint.claim(con, warehouse, t), t)
    with _unpacked(files) as plain:
        unreadable, broken = _read(con, t.destination.identifier, layout.columns, plain)
    if broken and all_users:
        raise UsageError(
            f"{counted(broken, 'line')} of the files cannot be read as JSON: they may lack users.",
            fix="Download the files again, or leave out --all-users.",
        )
    users = count(con, f"SELECT count(*) FROM {RAW}")
    if not users:
        raise UsageError(
            f"No user with {t.destination.identifier} was found in "
            f"{', '.join(path.name for path in files)}.",
            fix="Export again with the identifier and custom_attributes in fields_to_export.",
        )
    _type(con, layout.columns)
    misfits, values = _count(con, layout.columns)
    differing = count_differing(layout, TYPED)
    with transaction(con):
        merge_export(layout, TYPED, now=now, all_users=all_users)
    for name in (RAW, TYPED):
        con.execute(f"DROP TABLE IF EXISTS {name}")
    return BootstrapSummary(
        users=users, values=values, differing=differing, misfits=misfits, unreadable=unreadable
    )


@contextmanager
def _unpacked(files: Sequence[Path]) -> Iterator[list[Path]]:
    """The files as plain JSON lines, unpacked into a temporary folder where necessary."""
    with tempfile.TemporaryDirectory() as folder:
        plain: list[Path] = []
        for path in files:
            try:
                plain += _unpack(path, Path(folder), len(plain))
            except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
                raise UsageError(
                    f"The export file {path} is missing or broken.",
                    fix="Use the files as Braze wrote them: JSON lines, .gz or .zip.",
                ) from error
        yield plain


def _unpack(path: Path, folder: Path, number: int) -> list[Path]:
    if path.suffix == ".zip":
        found: list[Path] = []
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    target = folder / f"{number + len(found)}.json"
                    with archive.open(member) as source, target.open("wb") as out:
                        shutil.copyfileobj(source, out)
                    found.append(target)
        return found
    if path.suffix == ".gz":
        target = folder / f"{number}.json"
        with gzip.open(path) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
        return [target]
    with path.open("rb"):
        return [path]


def _read(
    con: duckdb.DuckDBPyConnection, identifier: str, wanted: Sequence[Column], files: list[Path]
) -> tuple[int, int]:
    """Read one row per user: id, and raw JSON by attribute.

    Returns the number of other lines, and of those among them that are no JSON.
    """
    names = ", ".join(file_literal(path) for path in files)
    raw = "".join(f", json -> {literal(_pointer(c))} AS j{c.no}" for c in wanted)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {RAW} AS SELECT json IS NULL AS broken, "
        f"json ->> {literal('/' + identifier)} AS user_id{raw} "
        f"FROM read_ndjson_objects([{names}], ignore_errors = true)"
    )
    broken = count(con, f"SELECT count(*) FROM {RAW} WHERE broken")
    unreadable = count(con, f"DELETE FROM {RAW} WHERE coalesce(user_id, '') = ''")
    con.execute(
        f"DELETE FROM {RAW} WHERE rowid NOT IN (SELECT max(rowid) FROM {RAW} GROUP BY user_id)"
    )
    return unreadable, broken


def _pointer(c: Column) -> str:
    name = c.name.replace("~", "~0").replace("/", "~1")
    return f"/{name}" if c.settings.is_field else f"/custom_attributes/{name}"


def _type(con: duckdb.DuckDBPyConnection, wanted: Sequence[Column]) -> None:
    """Add each value as profiles have it, and the numbers of those that cannot be had so."""
    from duckdb.func import SPECIAL

    # "Special": the function may return NULL.
    con.create_function(CANONICAL, _canonical, null_handling=SPECIAL)
    try:
        values = "".join(f", {_typed(c)} AS {c.new}" for c in wanted)
        misfits = ", ".join(
            f"CASE WHEN {c.new} IS NULL AND json_type(j{c.no}) <> 'NULL' THEN {c.no} END"
            for c in wanted
        )
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {TYPED} AS SELECT *, "
            f"list_filter([{misfits}]::INTEGER[], lambda no: no IS NOT NULL) AS {MISFITS} "
            f"FROM (SELECT *{values} FROM {RAW})"
        )
    finally:
        con.remove_function(CANONICAL)


@lru_cache(maxsize=1024)  # exports repeat values, and one may have 100 KB
def _canonical(kind: str, text: str | None) -> str | None:
    """A nested value as profiles have it, so that equal values are equal texts.

    ``kind`` is the type of a custom attribute, or the name of a profile field.
    """
    if text is None:
        return None
    try:
        value = nested.read(text)
        if kind == ValueType.OBJECT:
            return nested.write(nested.canonical_object(value))
        if kind == ValueType.OBJECTS:
            return nested.write(nested.canonical_objects(value))
        return nested.write(shapes.canonical_field(kind, value))
    except nested.NestedProblem:
        return None


def _typed(c: Column) -> str:
    """The value as profiles have it, NULL where its JSON type is another."""
    j = f"j{c.no}"
    if c.settings.type in _NESTED:
        kind = c.name if c.settings.is_field else c.settings.type
        value = f"{CANONICAL}({literal(kind)}, {j}::VARCHAR)"
    elif c.settings.type is ValueType.ARRAY:
        value = f"CASE WHEN json_type({j}) = 'ARRAY' THEN from_json({j}, '[\"VARCHAR\"]') END"
        if c.settings.array_as == "set":
            value = f"list_sort(list_distinct({value}))"
    else:
        types, cast = _SCALARS[c.settings.type]
        value = cast.format(f"CASE WHEN json_type({j}) IN ({types}) THEN {j} ->> '$' END")
    return f"CAST({value} AS {c.stored})"


def _count(con: duckdb.DuckDBPyConnection, wanted: Sequence[Column]) -> tuple[dict[str, int], int]:
    parts = "".join(
        f", count({c.new}), count(*) FILTER (list_contains({MISFITS}, {c.no}))" for c in wanted
    )
    _, *counts = single_row(con, f"SELECT 0{parts} FROM {TYPED}")
    misfits = {c.name: counts[2 * i + 1] for i, c in enumerate(wanted) if counts[2 * i + 1]}
    return misfits, sum(counts[::2])
