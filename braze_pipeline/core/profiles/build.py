"""The profiles of a day: the audience in Braze's own names and types, and what did not get in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from braze_pipeline.core import rejections
from braze_pipeline.core.daytables import replace_day
from braze_pipeline.core.masking import mask_sql
from braze_pipeline.core.profiles import cache, contract, staging
from braze_pipeline.core.profiles.contract import FAILURES, ROW, in_group_sql
from braze_pipeline.core.profiles.reasons import message
from braze_pipeline.core.profiles.schema import attributes_of, build_schema
from braze_pipeline.core.profiles.staging import BASE, MAPPED, Staged
from braze_pipeline.core.warehouse import literal, quote
from braze_pipeline.errors import AccountingError, MissingRequiredField

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE = "profiles"
STAGE = "profiles"


@dataclass(frozen=True, kw_only=True)
class ProfilesSummary:
    """What became of a day's audience.

    Attributes:
        rejected_rows: Customers held back whole: no identifier, or no good required value.
        rejected_values: Single values held back; their rows went on without them.
        dropped: Values in consent columns of the template, which never leave.
        new_raw_values: Raw values that no earlier run had to read.
        nulls: Null values of the profiles, by Braze name.
    """

    day: date
    audience: int
    profiles: int
    rejected_rows: int
    rejected_values: int
    rejected_by_reason: dict[str, int]
    rejected_by_attribute: dict[str, int]
    dropped: int
    new_raw_values: int
    nulls: dict[str, int]


def build_profiles(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    as_of: date,
    *,
    run_id: str,
    now: datetime,
) -> ProfilesSummary:
    """Map, normalise and validate a day's audience; replace the day's profiles and rejections.

    Raises:
        MissingRequiredField: the customer attributes table has no column for the identifier.
        SourceChanged: it lacks a column of the template.
        ContractBroken: the mapping itself does not fit the schema.
        AccountingError: audience is not profiles plus rejected rows.
    """
    rejections.ensure(con)
    cache.ensure(con)
    types = staging.source_types(con, t)
    _check_identifier(t, types)
    columns = staging.plan_columns(t, types)
    staging.stage(con, t, columns, as_of)
    new_raw = staging.read_raw(con, t, columns, now.date())
    staging.map_rows(con, columns)
    contract.find_failures(con, t, columns, build_schema(t, today=as_of))
    _mark_rows(con, columns)
    _write(con, t, columns, as_of)
    _reject(con, t, columns, as_of, run_id=run_id, now=now)
    cache.prune(con, now.date())
    summary = _summarise(con, t, columns, as_of, new_raw=new_raw)
    staging.drop(con)
    if summary.audience != summary.profiles + summary.rejected_rows:
        raise AccountingError(
            f"{summary.audience:,} customers of the audience gave {summary.profiles:,} profiles "
            f"and {summary.rejected_rows:,} rejected rows.",
            fix="This is a defect; report it with these counts.",
        )
    return summary


def _check_identifier(t: TemplateSettings, types: dict[str, str]) -> None:
    if t.identifier_column.lower() not in {name.lower() for name in types}:
        where = "the recipient groups'" if t.kind == "campaign" else "the customer attributes"
        raise MissingRequiredField(
            f"{t.destination.identifier} is missing: {where} table has no column "
            f"{t.identifier_column}.",
            fix=f"Select {t.identifier_column} in {t.attributes_sql.name}, or name the right "
            "column with `identifier_column` in the template.",
        )


def _mark_rows(con: duckdb.DuckDBPyConnection, columns: tuple[Staged, ...]) -> None:
    """``__profiles_rows``: each row's names to hold back, and whether it is rejected whole."""
    required = ", ".join(str(c.number) for c in columns if c.attribute.required)
    whole = f"number = {ROW}" + (f" OR number IN ({required})" if required else "")
    names = " ".join(f"WHEN {c.number} THEN {literal(c.attribute.name)}" for c in columns)
    name = f"CASE number {names} END" if names else "NULL::VARCHAR"
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE __profiles_rows AS
        SELECT __rid, bool_or({whole}) AS rejected,
            coalesce(list({name} ORDER BY number) FILTER (number <> {ROW}), []) AS held
        FROM {FAILURES} GROUP BY __rid
    """)


def _write(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, columns: tuple[Staged, ...], as_of: date
) -> None:
    failed = {
        int(number)
        for (number,) in con.execute(f"SELECT DISTINCT number FROM {FAILURES}").fetchall()
    }
    values, held = [], ["coalesce(r.held, [])"]
    for one in columns:
        name = quote(one.attribute.name)
        out = []
        if one.number in failed:
            out.append(f"list_contains(r.held, {literal(one.attribute.name)})")
        if t.groups:
            outside = f"NOT {in_group_sql(t, one.attribute.name)}"
            out.append(outside)
            held.append(f"CASE WHEN {outside} THEN [{literal(one.attribute.name)}] ELSE [] END")
        condition = " OR ".join(out)
        values.append(
            f"CASE WHEN {condition} THEN NULL ELSE m.{name} END AS {name}"
            if condition
            else f"m.{name} AS {name}"
        )
    query = (
        "SELECT b.__user_id, b.__customer_id, "
        f"list_concat({', '.join(held)})::VARCHAR[] AS __held"
        + "".join(f", {value}" for value in values)
        + f" FROM {MAPPED} m JOIN {BASE} b USING (__rid) "
        "LEFT JOIN __profiles_rows r USING (__rid) WHERE NOT coalesce(r.rejected, false)"
    )
    replace_day(con, t, TABLE, as_of, query)


def _reject(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[Staged, ...],
    as_of: date,
    *,
    run_id: str,
    now: datetime,
) -> None:
    codes = [
        str(code) for (code,) in con.execute(f"SELECT DISTINCT code FROM {FAILURES}").fetchall()
    ]
    words = " ".join(f"WHEN {literal(code)} THEN {literal(message(code))}" for code in codes)
    names = " ".join(f"WHEN {c.number} THEN {literal(c.attribute.name)}" for c in columns)
    required = [c.number for c in columns if c.attribute.required]
    whole = f"f.number IN ({', '.join(str(n) for n in [ROW, *required])})"
    con.execute("BEGIN")
    try:
        rejections.clear(
            con, destination=t.destination.name, template=t.name, stage=STAGE, as_of=as_of
        )
        if codes:
            con.execute(
                f"INSERT INTO {rejections.TABLE} SELECT ?, ?, ?, '{STAGE}', b.__customer_id, "
                f"b.__user_id, CASE f.number {names} END, f.code, CASE f.code {words} END, "
                f"f.masked, {whole}, ?, ?, NULL, NULL, NULL "
                f"FROM {FAILURES} f JOIN {BASE} b USING (__rid)",
                [as_of, t.destination.name, t.name, run_id, now],
            )
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def _summarise(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[Staged, ...],
    as_of: date,
    *,
    new_raw: int,
) -> ProfilesSummary:
    where = "WHERE destination = ? AND template = ? AND as_of = ? AND stage = ?"
    key = [t.destination.name, t.name, as_of, STAGE]
    counted = con.execute(
        "SELECT reason, coalesce(attribute, '(whole row)'), row_rejected, count(*) "
        f"FROM {rejections.TABLE} {where} GROUP BY ALL",
        key,
    ).fetchall()
    by_reason: dict[str, int] = {}
    by_attribute: dict[str, int] = {}
    for reason, attribute, _, count in counted:
        by_reason[reason] = by_reason.get(reason, 0) + int(count)
        by_attribute[attribute] = by_attribute.get(attribute, 0) + int(count)
    nulls = "".join(f", count(*) - count({quote(c.attribute.name)})" for c in columns)
    profiles = _one(
        con, f"SELECT count(*){nulls} FROM {t.table(TABLE)} WHERE __as_of = ?", [as_of]
    )
    return ProfilesSummary(
        day=as_of,
        audience=_one(con, f"SELECT count(*) FROM {BASE}", [])[0],
        profiles=profiles[0],
        rejected_rows=_one(con, "SELECT count(*) FROM __profiles_rows WHERE rejected", [])[0],
        rejected_values=sum(int(count) for _, _, whole, count in counted if not whole),
        rejected_by_reason=by_reason,
        rejected_by_attribute=by_attribute,
        dropped=_dropped(con, t, as_of),
        new_raw_values=new_raw,
        nulls={c.attribute.name: profiles[k] for k, c in enumerate(columns, start=1)},
    )


def _dropped(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> int:
    """Consent values that the template names and that stay here."""
    there = {name.lower() for name in staging.source_types(con, t)}
    counts = [f"count({quote(name)})" for name in t.dropped if name.lower() in there]
    if not counts:
        return 0
    query = f"SELECT {' + '.join(counts)} FROM {t.table('customer_attributes')} WHERE __as_of = ?"
    return _one(con, query, [as_of])[0]


def _one(
    con: duckdb.DuckDBPyConnection, query: str, parameters: list[object]
) -> tuple[int, ...]:
    row = con.execute(query, parameters).fetchone()
    return tuple(int(value or 0) for value in row) if row else (0,)


def preview(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date, rows: int = 5
) -> list[dict[str, str | None]]:
    """Some profiles as a person may see them: identifiers and personal data as masks."""
    shown = [f"{mask_sql('__user_id')} AS {quote(t.destination.identifier)}"]
    for attribute in attributes_of(t):
        name = quote(attribute.name)
        value = mask_sql(name) if attribute.pii else f"{name}::VARCHAR"
        shown.append(f"{value} AS {name}")
    found = con.execute(
        f"SELECT {', '.join(shown)} FROM {t.table(TABLE)} WHERE __as_of = ? "
        f"ORDER BY hash(__user_id) LIMIT {rows}",
        [as_of],
    )
    names = [str(column[0]) for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
