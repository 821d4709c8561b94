"""The profiles of a day: the audience in Braze's own names and types, and what was rejected.

What belongs here: the order of the steps, and the proof that no customer is lost on the way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from braze_pipeline.braze.fields import sendable
from braze_pipeline.errors import AccountingError, ContractBroken, NotBuilt
from braze_pipeline.profiles import (
    cache,
    contract,
    identifier,
    made_from,
    profile_store,
    staging,
    unchanged,
)
from braze_pipeline.profiles.parts import STAGE, TABLE
from braze_pipeline.storage import rejections
from braze_pipeline.storage.partitions import columns_of
from braze_pipeline.storage.sql_text import name_key, quote
from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    import duckdb

    from braze_pipeline.profiles.staging import StagedColumn
    from braze_pipeline.profiles.unchanged import Unchanged
    from braze_pipeline.settings import TemplateSettings


@dataclass(frozen=True, kw_only=True)
class ProfilesSummary:
    """What became of a day's audience.

    Attributes:
        rejected_rows: Customers rejected as a whole: no identifier, or no valid required value.
        rejected_values: Single values that were rejected; their rows were kept without them.
        dropped: Values in consent columns of the template, which are never sent.
        new_raw_values: Raw values that no earlier run had read.
        unchanged: Rows that were not read, as their outcome of an earlier day stands.
        nulls: Values that are null and would be sent as null, by Braze name; suppressed values,
            which Braze keeps, do not count.
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
    unchanged: int = field(default=0, compare=False)


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
        MissingRequiredField: the customer attributes table has no column for the identifier, or
            the configuration names none.
        ConfigurationError: it lacks a column of the template.
        ContractBroken: the mapping itself does not fit the schema.
        AccountingError: the audience is not profiles plus rejected rows.
    """
    types = staging.source_types(con, t)
    columns = staging.plan_columns(t, types)
    kept = unchanged.find(con, t, columns, types, as_of)
    staging.stage(con, t, columns, as_of, since=kept.since)
    audience = _audience(con, t, as_of)
    staged = single_row(con, f"SELECT count(*) FROM {staging.BASE}")[0]
    _prove(audience, staged=staged + kept.rows)
    new_raw = staging.read_raw(con, columns, now.date())
    staging.map_rows(con, columns)
    contract.find_failures(con, t, columns, as_of)
    profile_store.write(
        con, t, columns, as_of, since=kept.since, made_from=kept.made_from, run_id=run_id, now=now
    )
    cache.prune(con, now.date())
    summary = _summarise(con, t, columns, as_of, audience=audience, new_raw=new_raw, kept=kept)
    for table in (staging.DIFFERENT, staging.MAPPED, contract.FAILURES, profile_store.ROWS):
        con.execute(f"DROP TABLE {table}")
    _prove(audience, staged=summary.profiles + summary.rejected_rows)
    return summary


def built_with(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> bool:
    """Whether the day has profiles, and they are what the template of now would plan from."""
    return _has_profiles(con, t, as_of) and not _outdated(con, t, as_of)


def _has_profiles(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> bool:
    query = f"SELECT count(*) FROM {t.table(TABLE)} WHERE __as_of = ?"
    return bool(columns_of(con, t, TABLE)) and single_row(con, query, [as_of])[0] > 0


def require_built_with(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Iterable[date]
) -> None:
    """Refuse days whose profiles were made by other settings: no rule has seen their values.

    Raises:
        NotBuilt: the template has changed an attribute, or has a new one.
    """
    for as_of in days:
        if names := _outdated(con, t, as_of):
            raise NotBuilt(
                f"The profiles of {as_of} for template {t.name!r} were built with other settings "
                f"of {', '.join(names)}.",
                fix=f"Run {as_of} in full, from customer_attributes on.",
            )


def _outdated(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> list[str]:
    """Attributes that the day's profiles do not have as the template says now.

    Types alone are compared where it is not known what a day was made from: it was built by an
    earlier version, or the columns changed since (what another type changed is suppressed).
    """
    types = {name_key(name): type_ for name, type_ in columns_of(con, t, TABLE).items()}
    row = con.execute(
        "SELECT made_from FROM records.days WHERE table_name = ? AND as_of = ?",
        [t.table(TABLE), as_of],
    ).fetchone()
    built = made_from.attributes_in(row[0] or "") if row else frozenset()
    now = made_from.attribute_digests(t)
    return [
        one.name
        for one in sendable(t)
        if types.get(name_key(one.name)) != one.type.duckdb
        or (built and now[one.name] not in built)
    ]


def require_profiles(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> None:
    """Refuse a day on which every row of the audience was rejected: such a run must not succeed.

    Raises:
        MissingRequiredField: none of them has an identifier.
        ContractBroken: they were rejected for other reasons.
        NotBuilt: the profiles of the day were not built.
    """
    if _has_profiles(con, t, as_of):
        return
    audience = _audience(con, t, as_of)
    reasons = dict(
        con.execute(
            f"SELECT reason, count(DISTINCT customer_id) FROM {rejections.TABLE} "
            "WHERE row_rejected AND destination = ? AND template = ? AND as_of = ? AND stage = ? "
            "GROUP BY reason ORDER BY ALL",
            [t.destination.name, t.name, as_of, STAGE],
        ).fetchall()
    )
    if not reasons or not columns_of(con, t, TABLE):
        raise NotBuilt(
            f"There are no profiles of {as_of} for template {t.name!r}.",
            fix=f"Run {as_of} in full, from customer_attributes on.",
        )
    if reasons.get(identifier.NO_IDENTIFIER) == audience:
        raise identifier.no_identifiers(t, audience)
    counted = ", ".join(f"{reason}: {count:,}" for reason, count in reasons.items())
    raise ContractBroken(
        f"All {audience:,} customers in the audience of {as_of} were rejected ({counted}).",
        fix="Nothing was sent. `braze-pipeline rejections` shows why: fix what it names.",
    )


def _audience(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> int:
    query = f"SELECT count(*) FROM {t.table('audience')} WHERE __as_of = ? AND left_out_by IS NULL"
    return int(single_row(con, query, [as_of])[0])


def _prove(audience: int, *, staged: int) -> None:
    """Every member of the audience has become a profile or a rejected row."""
    if audience != staged:
        raise AccountingError(
            f"The audience has {audience:,} customers, but profiles and rejected rows are "
            f"{staged:,}.",
            fix="Build the customer attributes, audience and profiles of that day again. If the "
            "error remains, it is a defect: please report it with these counts.",
        )


def _summarise(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[StagedColumn, ...],
    as_of: date,
    *,
    audience: int,
    new_raw: int,
    kept: Unchanged,
) -> ProfilesSummary:
    counted = con.execute(
        "SELECT reason, coalesce(attribute, '(whole row)'), row_rejected, count(*) "
        f"FROM {rejections.TABLE} "
        "WHERE destination = ? AND template = ? AND as_of = ? AND stage = ? GROUP BY ALL",
        [t.destination.name, t.name, as_of, STAGE],
    ).fetchall()
    by_reason: Counter[str] = Counter()
    by_attribute: Counter[str] = Counter()
    for reason, attribute, _, count in counted:
        by_reason[reason] += count
        by_attribute[attribute] += count
    nulls = "".join(f", count(*) - count({quote(c.attribute.name)})" for c in columns)
    day = f"FROM {t.table(TABLE)} WHERE __as_of = ?"
    profiles, *null_counts = single_row(con, f"SELECT count(*){nulls} {day}", [as_of])
    # A suppressed value is NULL in the table.
    suppressed = dict(
        con.execute(
            f"SELECT name, count(*) FROM (SELECT unnest(__held) AS name {day}) GROUP BY name",
            [as_of],
        ).fetchall()
    )
    rejected = f"SELECT count(*) FROM {profile_store.ROWS} WHERE rejected"
    return ProfilesSummary(
        day=as_of,
        audience=audience,
        profiles=profiles,
        rejected_rows=single_row(con, rejected)[0] + kept.rejected,
        rejected_values=sum(count for _, _, row_rejected, count in counted if not row_rejected),
        rejected_by_reason=by_reason,
        rejected_by_attribute=by_attribute,
        dropped=_dropped(con, t, as_of),
        new_raw_values=new_raw,
        nulls={
            c.attribute.name: count - suppressed.get(c.attribute.name, 0)
            for c, count in zip(columns, null_counts, strict=True)
        },
        unchanged=kept.rows,
    )


def _dropped(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> int:
    """The values in consent columns that the template names, which are never sent."""
    there = set(map(name_key, staging.source_types(con, t)))
    counts = [f"count({quote(name)})" for name in t.dropped if name_key(name) in there]
    if not counts:
        return 0
    query = f"SELECT {' + '.join(counts)} FROM {t.table('customer_attributes')} WHERE __as_of = ?"
    return int(single_row(con, query, [as_of])[0])
