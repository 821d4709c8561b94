"""The one join: profiles against what Braze acknowledged.

Everything a plan needs is found in a single full join of the day's profiles with the ledger:
what differs, what is older than the ledger, who joined and who left. Only rows that need anything
come out of it. Acknowledgement numbers (a{k}) are read only where they can matter: when a newer
day was carried out before (the slow path), or for an attribute that was reset.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from braze_pipeline.ledger import tables
from braze_pipeline.ledger.tables import CURRENT
from braze_pipeline.plan import payload
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.storage.warehouse import literal, quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.layout import Column, Layout
    from braze_pipeline.settings import TemplateSettings

STAGE = "__plan_stage"
STILL = "__plan_still"
NEWER = "__plan_newer"


@dataclass(frozen=True, kw_only=True)
class DiffRequest:
    """What is asked of the join.

    Attributes:
        days: The as-of dates, in order.
        resend_before: Unconfirmed users acknowledged in full before this are sent in full again.
        trusted: Acknowledgements prove values by themselves: users are assumed known, or are
            created when they are not there.
        forced: The stale guard is off.
    """

    t: TemplateSettings
    layout: Layout
    days: tuple[date, ...]
    resend_before: datetime
    trusted: bool
    forced: bool

    @property
    def newest(self) -> date:
        """The last of the days: its audience decides who has left."""
        return self.days[-1]


@dataclass(frozen=True, kw_only=True)
class LedgerState:
    """What the ledger says of earlier days.

    Attributes:
        carried_out: The newest day of this template that was carried out.
        newer: Something in the ledger may be newer than one of the days: the slow path.
        empty: The ledger has no users yet.
        doubts: Some earlier request got no answer, and may have been carried out.
        other_templates: (number, newest day, attribute names) of templates that went further.
    """

    carried_out: date | None
    newer: bool
    empty: bool
    doubts: bool
    other_templates: tuple[tuple[int, date, frozenset[str]], ...]

    def latest(self, newest: date) -> bool:
        """Whether the plan's newest day is (again) the newest of all."""
        return self.carried_out is None or newest >= self.carried_out


def history(con: duckdb.DuckDBPyConnection, q: DiffRequest) -> LedgerState:
    """What of the ledger is newer than the days of the plan."""
    ledger, oldest = q.layout.ledger, q.days[0]
    rows = con.execute(
        "SELECT template_no, as_of, attributes FROM ledger.templates "
        "WHERE ledger = ? AND as_of IS NOT NULL",
        [ledger],
    ).fetchall()
    mine = next((as_of for no, as_of, _ in rows if no == q.layout.template_no), None)
    further = tuple(
        (no, as_of, frozenset(names))
        for no, as_of, names in rows
        if as_of > oldest and no != q.layout.template_no
    )
    acks = tables.count(
        con, "SELECT count(*) FROM ledger.acks WHERE ledger = ? AND as_of > ?", [ledger, oldest]
    )
    newer = bool(acks or further or (mine is not None and mine > oldest))
    return LedgerState(
        carried_out=mine,
        newer=newer and not q.forced,
        doubts=bool(
            tables.count(con, "SELECT count(*) FROM ledger.doubts WHERE ledger = ?", [ledger])
        ),
        empty=not tables.count(con, f"SELECT count(*) FROM {tables.wide(ledger)}"),
        other_templates=() if q.forced else further,
    )


def stage(con: duckdb.DuckDBPyConnection, q: DiffRequest, past: LedgerState) -> None:
    """Fill the temporary table ``STAGE`` with all users that need anything.

    Columns: __user_id, __customer_id, __as_of, __present (has a profile), __left, __member,
    __known, __new, __full, __seen, __moves, __stale (an attribute was held back as older),
    __send, __reason, __object, then c{k}, n{k}, o{k} for each attribute.
    """
    leaving = past.latest(q.newest) and any(c.settings.on_leave != "keep" for c in q.layout.columns)
    _still_in_audience(con, q, leaving=leaving)
    if past.newer:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {NEWER} AS SELECT list(as_of ORDER BY ack_no) AS days "
            "FROM ledger.acks WHERE ledger = ?",
            [q.layout.ledger],
        )
    con.execute(f"CREATE OR REPLACE TEMP TABLE {STAGE} AS {_sql(q, past, leaving=leaving)}")


def profiles(q: DiffRequest) -> str:
    """The profiles of the plan: of a user with several days in it, the newest."""
    table = q.t.table("profiles")
    if len(q.days) == 1:
        return f"SELECT * FROM {table} WHERE __as_of = {_day(q.newest)}"
    days = ", ".join(_day(day) for day in q.days)
    return (
        f"SELECT q.* FROM {table} q JOIN (SELECT __user_id, max(__as_of) AS __as_of FROM {table} "
        f"WHERE __as_of IN ({days}) GROUP BY __user_id) m USING (__user_id, __as_of)"
    )


def _day(day: date) -> str:
    return f"DATE '{day.isoformat()}'"


def _still_in_audience(con: duckdb.DuckDBPyConnection, q: DiffRequest, *, leaving: bool) -> None:
    """Who is in the newest day's audience, with a profile or not.

    It is the whole ledger where that day has no audience: a table that was not built is no
    evidence that anybody left.
    """
    if not leaving:
        source = "SELECT NULL::VARCHAR AS user_id WHERE false"
    elif tables.count(
        con, f"SELECT count(*) FROM {q.t.table('audience')} WHERE __as_of = ?", [q.newest]
    ):
        column = quote(q.t.identifier_column)
        source = (
            f"SELECT DISTINCT __c.{column}::VARCHAR AS user_id FROM {q.t.table('audience')} __a "
            f"JOIN {q.t.table('customer_attributes')} __c "
            f"ON __c.{CUSTOMER}::VARCHAR = __a.customer_id AND __c.__as_of = __a.__as_of "
            f"WHERE __a.left_out_by IS NULL AND __a.__as_of = {_day(q.newest)}"
        )
    else:
        source = f"SELECT user_id FROM {tables.wide(q.layout.ledger)}"
    con.execute(f"CREATE OR REPLACE TEMP TABLE {STILL} AS {source}")


def _sql(q: DiffRequest, past: LedgerState, *, leaving: bool) -> str:
    """Three steps: join, decide per attribute, decide per user.

    The few rows that come out of the join are packed before the many decisions (``MATERIALIZED``):
    otherwise these run over batches that are nearly empty. On a first run all rows come out.
    """
    columns = q.layout.columns
    return (
        f"""
WITH p AS ({profiles(q)}),
joined AS {"" if past.empty else "MATERIALIZED"} ({_join(q, past, leaving=leaving)}),
placed AS ({_place(q, leaving=leaving)}),
decided AS (
    SELECT * EXCLUDE ({_drop(columns)}),
        {_comma(*(_decisions(c, past) for c in columns))}
        {_any(f"c{c.no}" for c in columns)} AS __send,
        {_any(f"x{c.no}" for c in columns) if past.newer else "false"} AS __stale
    FROM placed
)
SELECT * EXCLUDE ({", ".join(f"x{c.no}" for c in columns)}),
    {_reason(columns)} AS __reason,
    CASE WHEN __send THEN {payload.object_sql(q.t.destination, columns)} END AS __object
FROM decided
WHERE __send OR __stale OR __moves
"""
        if columns
        else _nothing(q)
    )


def _join(q: DiffRequest, past: LedgerState, *, leaving: bool) -> str:
    j = q.layout.template_no
    full = (
        "false"
        if q.trusted
        else f"(l.u{j} IS TRUE AND (l.known IS TRUE OR l.f{j} IS NULL "
        f"OR l.f{j} <= TIMESTAMP '{q.resend_before.isoformat(sep=' ')}'))"
    )
    moves = _moves(q, past)
    wanted = [f"(p.__user_id IS NOT NULL AND ({full} OR {_any(map(_raw, q.layout.columns))}))"]
    doubts = ""
    if past.doubts:
        wanted.append("d.user_id IS NOT NULL")
        doubts = (
            "LEFT JOIN (SELECT user_id, flatten(list(columns)) AS columns FROM ledger.doubts "
            f"WHERE ledger = {literal(q.layout.ledger)} GROUP BY user_id) d "
            "ON d.user_id = coalesce(p.__user_id, l.user_id)"
        )
    if leaving:
        wanted += [
            f"(p.__user_id IS NULL AND l.s{j} IS NOT NULL AND l.f{j} IS NOT NULL "
            f"AND l.v{c.no} IS DISTINCT FROM {payload.leave_value(c)})"
            for c in q.layout.columns
            if c.settings.on_leave != "keep"
        ]
    return f"""
    SELECT coalesce(p.__user_id, l.user_id) AS __user_id,
        p.__customer_id, coalesce(p.__as_of, {_day(q.newest)}) AS __as_of, p.__held,
        p.__user_id IS NOT NULL AS __present,
        {"true" if q.trusted else "l.known IS TRUE"} AS __known,
        l.f{j} IS NULL AS __new,
        p.__user_id IS NOT NULL AND {full} AS __full,
        l.s{j} AS __seen,
        {moves} AS __moves,
        {_comma(*(f"p.{quote(c.name)}::{c.stored} AS p{c.no}" for c in q.layout.columns))}
        {_comma(*(f"l.v{c.no} AS o{c.no}" for c in q.layout.columns))}
        {_comma(*(f"{_again(c, past)} AS r{c.no}" for c in q.layout.columns))}
        {_comma(*(f"{_older(q, past, c)} AS t{c.no}" for c in q.layout.columns))}
    FROM p FULL JOIN {tables.wide(q.layout.ledger)} l ON p.__user_id = l.user_id
    {doubts}
    WHERE {moves} OR {" OR ".join(wanted)}"""


def _raw(c: Column) -> str:
    """Whether an attribute may have to be sent: cheap, and never too narrow."""
    value = f"p.{quote(c.name)}::{c.stored}"
    differs = f"{value} IS DISTINCT FROM l.v{c.no}"
    if c.reset_ack is not None:
        differs = f"({differs} OR {_reset(c)})"
    return differs if c.settings.send_null else f"({value} IS NOT NULL AND {differs})"


def _reset(c: Column) -> str:
    return "false" if c.reset_ack is None else f"coalesce(l.a{c.no} <= {c.reset_ack}, false)"


def _again(c: Column, past: LedgerState) -> str:
    """Whether an attribute goes out though it may be what the ledger says."""
    doubt = f" OR coalesce(list_contains(d.columns, {c.no}), false)" if past.doubts else ""
    return f"({_reset(c)}{doubt})"


def _older(q: DiffRequest, past: LedgerState, c: Column) -> str:
    """Whether the ledger is newer than the row, for one attribute."""
    if not past.newer:
        return "false"
    day = f"coalesce(p.__as_of, {_day(q.newest)})"
    seen = [(q.layout.template_no, past.carried_out)]
    seen += [(no, as_of) for no, as_of, names in past.other_templates if c.name in names]
    newer = [f"coalesce((SELECT days FROM {NEWER})[l.a{c.no}] > {day}, false)"]
    newer += [
        f"coalesce(CASE WHEN l.s{no} = {CURRENT} THEN {_day(as_of)} "
        f"ELSE l.s{no} END > {day}, false)"
        if as_of is not None
        else f"coalesce(l.s{no} > {day}, false)"
        for no, as_of in seen
    ]
    return "(" + " OR ".join(newer) + ")"


def _moves(q: DiffRequest, past: LedgerState) -> str:
    """Whether the user's newest day evaluated changes though nothing may have to be sent."""
    seen = f"l.s{q.layout.template_no}"
    if past.latest(q.newest):
        return (
            f"((p.__user_id IS NULL AND {seen} = {CURRENT}) "
            f"OR (p.__as_of = {_day(q.newest)} AND {seen} IS DISTINCT FROM {CURRENT}) "
            f"OR (p.__as_of < {_day(q.newest)} AND ({seen} IS NULL OR {seen} < p.__as_of "
            f"OR {seen} = {CURRENT})))"
        )
    return f"(p.__user_id IS NOT NULL AND ({seen} IS NULL OR {seen} < p.__as_of))"


def _place(q: DiffRequest, *, leaving: bool) -> str:
    """Add who has left the audience, and with it the value each attribute should have."""
    newest = _day(q.newest)
    left = (
        "((NOT j.__present AND j.__seen IS NOT NULL AND NOT j.__new) "
        f"OR (j.__present AND j.__as_of < {newest})) "
        "AND s.user_id IS NULL"
        if leaving
        else "false"
    )
    targets = _comma(*(f"{_target(c, leaving=leaving)} AS n{c.no}" for c in q.layout.columns))
    return f"""
    SELECT * EXCLUDE (__as_of), {targets}
        CASE WHEN __left THEN {newest} ELSE __as_of END AS __as_of,
        __present AND NOT __left AND __as_of = {newest} AS __member
    FROM (
        SELECT j.*, {left} AS __left
        FROM joined j LEFT JOIN {STILL} s ON s.user_id = j.__user_id
            AND (NOT j.__present OR j.__as_of < {newest})
    )"""


def _target(c: Column, *, leaving: bool) -> str:
    if not leaving or c.settings.on_leave == "keep":
        return f"p{c.no}"
    return f"CASE WHEN __left THEN {payload.leave_value(c)} ELSE p{c.no} END"


def _decisions(c: Column, past: LedgerState) -> str:
    k, name = c.no, literal(c.name)
    value = f"(n{k} IS DISTINCT FROM o{k} OR r{k})"
    if not c.settings.send_null:
        value = f"(n{k} IS NOT NULL AND {value})"
    wanted = (
        f"(__present AND NOT coalesce(list_contains(__held, {name}), false) "
        f"AND ({value} OR (__full AND n{k} IS NOT NULL)))"
    )
    if c.settings.on_leave != "keep":
        wanted = f"CASE WHEN __left THEN n{k} IS DISTINCT FROM o{k} OR r{k} ELSE {wanted} END"
    fresh = f"({wanted}) AND NOT t{k} AS c{k}, n{k}, o{k}"
    return f"{fresh}, ({wanted}) AND t{k} AS x{k}" if past.newer else f"{fresh}, false AS x{k}"


def _reason(columns: Sequence[Column]) -> str:
    values = _any(f"(c{c.no} AND n{c.no} IS NOT NULL)" for c in columns)
    differs = _any(f"(c{c.no} AND n{c.no} IS DISTINCT FROM o{c.no})" for c in columns)
    return (
        "CASE WHEN NOT __send THEN NULL WHEN __left THEN 'left audience' "
        "WHEN __new THEN 'new user' "
        f"WHEN __full OR NOT {differs} THEN 'resend' "
        f"WHEN {values} THEN 'changed' ELSE 'cleared' END"
    )


def _drop(columns: Sequence[Column]) -> str:
    parts = [f"{letter}{c.no}" for c in columns for letter in "pnort"]
    return ", ".join(["__held", *parts])


def _nothing(q: DiffRequest) -> str:
    """A template whose every attribute is stopped plans nothing."""
    return (
        "SELECT NULL::VARCHAR AS __user_id, NULL::VARCHAR AS __customer_id, NULL::DATE AS __as_of, "
        "false AS __present, false AS __left, false AS __member, false AS __known, "
        "false AS __new, false AS __full, NULL::DATE AS __seen, false AS __moves, "
        "false AS __stale, false AS __send, NULL::VARCHAR AS __reason, NULL::VARCHAR AS __object "
        f"FROM {tables.wide(q.layout.ledger)} WHERE false"
    )


def _comma(*parts: str) -> str:
    return "".join(f"{part}, " for part in parts)


def _any(parts: Iterable[str]) -> str:
    return "(" + " OR ".join(parts) + ")"
