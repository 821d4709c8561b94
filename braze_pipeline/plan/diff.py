"""The one join: profiles against what Braze acknowledged.

Everything a plan needs is found in a single full join of the day's profiles with the ledger:
what differs, what is older than the ledger, who joined and who left. Only rows that need anything
come out of it. Acknowledgement numbers are read only where they can matter: when a newer day was
carried out before (the slow path), or for an attribute that was reset.

``diff_request`` has what it is asked, and what is known before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from braze_pipeline.ledger.ledger import CURRENT, count
from braze_pipeline.plan import payload
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import day_sql, days_sql, literal, quote, rows_of

if TYPE_CHECKING:
    from braze_pipeline.ledger.layout import Column
    from braze_pipeline.plan.diff_request import DiffRequest, LedgerState

STAGE = "__plan_stage"
"""The temporary table of all users that need anything, without values: see ``stage``."""
STILL_IN_AUDIENCE = "__plan_still_in_audience"
ACK_DAYS = "__plan_ack_days"


def sends_on_leave(q: DiffRequest, past: LedgerState) -> bool:
    """Whether users who left the audience are looked for: only the newest day can tell."""
    return past.latest(q.newest) and any(c.settings.on_leave != "keep" for c in q.layout.columns)


def stage(q: DiffRequest, past: LedgerState, *, usable_bytes: int) -> str:
    """A query for all users that need anything, to be read once.

    Columns: __user_id, __customer_id, __as_of, __present (has a profile), __left, __member,
    __known, __new, __full, __evaluated, __advances, __stale (an attribute is suppressed as older),
    __send, __reason, __object, __suppressed (why an object that differs cannot be sent:
    ``too_large``, above ``usable_bytes``, or ``refused_before``, just so by Braze), and
    ``changed``, ``new`` and ``old`` of each attribute.
    """
    leaving = sends_on_leave(q, past)
    _still_in_audience(q, leaving=leaving)
    con = q.ledger.con
    if past.newer:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {ACK_DAYS} AS {q.ledger.ack_days()}")
    return _stage_sql(q, past, leaving=leaving, usable_bytes=usable_bytes)


def profiles(q: DiffRequest) -> str:
    """The profiles of the plan: of a user with several days in it, the newest."""
    table = q.profiles_table
    if len(q.days) == 1:
        return f"SELECT * FROM {table} WHERE __as_of = {day_sql(q.newest)}"
    days = days_sql(q.days)
    return f"""
        SELECT q.* FROM {table} q
        JOIN (
            SELECT __user_id, max(__as_of) AS __as_of FROM {table}
            WHERE __as_of IN ({days}) GROUP BY __user_id
        ) m USING (__user_id, __as_of)
        """


def _still_in_audience(q: DiffRequest, *, leaving: bool) -> None:
    """Who is in the newest day's audience, with a profile or not.

    It is the whole ledger where that day has no audience: a table that was not built is no
    evidence that anybody left.
    """
    audience, newest = q.t.table("audience"), day_sql(q.newest)
    if not leaving:
        source = "SELECT NULL::VARCHAR AS user_id WHERE false"
    elif count(q.ledger.con, f"SELECT count(*) FROM {audience} WHERE __as_of = {newest}"):
        source = f"""
            SELECT DISTINCT c.{quote(q.t.identifier_column)}::VARCHAR AS user_id
            FROM {audience} a
            JOIN {q.t.table("customer_attributes")} c
                ON c.{CUSTOMER}::VARCHAR = a.customer_id AND c.__as_of = a.__as_of
            WHERE a.left_out_by IS NULL AND a.__as_of = {newest}
            """
    else:
        source = f"SELECT user_id FROM {q.ledger.users_and_doubts()}"
    q.ledger.con.execute(f"CREATE OR REPLACE TEMP TABLE {STILL_IN_AUDIENCE} AS {source}")


def _stage_sql(q: DiffRequest, past: LedgerState, *, leaving: bool, usable_bytes: int) -> str:
    if not q.layout.columns:
        return read_sql("plan", "nothing_staged")
    layout, columns = q.layout, q.layout.columns
    full, advances = _full(q), _advances(q, past)
    inner = [name for c in columns for name in (c.profile, *_marks(past, c))]
    superseded = [c.superseded for c in columns if past.newer]
    in_doubt = (
        f"LEFT JOIN ({q.ledger.in_doubt()}) d ON d.user_id = coalesce(p.__user_id, l.user_id)"
    )
    users = q.ledger.users_and_doubts() if past.in_doubt and leaving else q.ledger.users_table
    return read_sql(
        "plan",
        "staged",
        profiles=profiles(q),
        users=rows_of(users, "user_id", q.user),
        still_in_audience=_still_in_audience_join(q) if leaving else "",
        newest=day_sql(q.newest),
        materialized="" if past.empty else "MATERIALIZED",
        known="true" if q.proof else "l.known IS TRUE",
        full_at=layout.full_at,
        evaluated=layout.evaluated,
        full=full,
        advances=advances,
        found=_comma(*(_found(q, past, c) for c in columns)),
        in_doubt=in_doubt if past.in_doubt else "",
        doubtful=_maybe_sent(q) if past.in_doubt else "false",
        wanted=_any([advances, *_wanted(q, past, full=full, leaving=leaving)]),
        targets=_comma(*(f"{_target(c, leaving=leaving)} AS {c.new}" for c in columns)),
        left=_left(q) if leaving else "false",
        differences=", ".join(f"{c.new} IS DISTINCT FROM {c.old} AS {c.differs}" for c in columns),
        inner=", ".join(["__held", "__in_doubt", *inner]),
        decisions=_comma(*(_decision(c, past) for c in columns)),
        any_changed=_any(c.changed for c in columns),
        any_superseded=_any(superseded) if past.newer else "false",
        decided=", ".join([*(c.differs for c in columns), *superseded]),
        any_difference=_any(f"({c.changed} AND {c.differs})" for c in columns),
        any_value=_any(f"({c.changed} AND {c.new} IS NOT NULL)" for c in columns),
        object=payload.object_sql(q.t.destination, columns),
        usable_bytes=usable_bytes,
        refused=q.ledger.refused(q.t.name),
    )


def _still_in_audience_join(q: DiffRequest) -> str:
    return (
        f"LEFT JOIN {STILL_IN_AUDIENCE} s ON s.user_id = j.__user_id "
        f"AND (NOT j.__present OR j.__as_of < {day_sql(q.newest)})"
    )


def _marks(past: LedgerState, c: Column) -> list[str]:
    """The marks beside an attribute's values, without those that are false for every user."""
    again = [c.again] if past.in_doubt or c.reset else []
    if not past.newer:
        return again
    return (
        [*again, c.newer] if c.settings.on_leave == "keep" else [*again, c.newer, c.newer_than_all]
    )


def _full(q: DiffRequest) -> str:
    """Whether everything goes again: an acknowledgement proved nothing of an unknown user."""
    if q.proof:
        return "false"
    full_at = f"l.{q.layout.full_at}"
    return (
        f"(l.{q.layout.unconfirmed} IS TRUE AND (l.known IS TRUE OR {full_at} IS NULL "
        f"OR {full_at} <= TIMESTAMP '{q.resend_before.isoformat(sep=' ')}'))"
    )


def _found(q: DiffRequest, past: LedgerState, c: Column) -> str:
    """What profile and ledger have of one attribute."""
    newest = day_sql(q.newest)
    sql = {
        c.again: _again(c, past),
        c.newer: _newer(q, past, c, day=f"coalesce(p.__as_of, {newest})"),
        c.newer_than_all: _newer(q, past, c, day=newest),
    }
    return ", ".join(
        [
            f"{c.of_profile} AS {c.profile}",
            f"l.{c.value} AS {c.old}",
            *(f"{sql[mark]} AS {mark}" for mark in _marks(past, c)),
        ]
    )


def _wanted(q: DiffRequest, past: LedgerState, *, full: str, leaving: bool) -> Iterator[str]:
    """For which users something may have to be sent."""
    layout = q.layout
    yield f"(p.__user_id IS NOT NULL AND {_any([full, *map(_may_differ, layout.columns)])})"
    if past.in_doubt:
        yield "d.user_id IS NOT NULL"
    if leaving:
        gone = _any(
            _differs_or_reset(c, payload.leave_value(c))
            for c in layout.columns
            if c.settings.on_leave != "keep"
        )
        # No profile: only users who had this template's attributes can have left.
        yield (
            f"(p.__user_id IS NULL AND l.{layout.evaluated} IS NOT NULL "
            f"AND l.{layout.full_at} IS NOT NULL AND {gone})"
        )
        if q.days[1:]:
            yield f"(p.__as_of < {day_sql(q.newest)} AND {gone})"


def _may_differ(c: Column) -> str:
    """Whether an attribute may have to be sent."""
    differs = _differs_or_reset(c, c.of_profile)
    return differs if c.settings.send_null else f"({c.of_profile} IS NOT NULL AND {differs})"


def _differs_or_reset(c: Column, value: str) -> str:
    """Whether the ledger has another value, or one that is to be sent again."""
    differs = f"{value} IS DISTINCT FROM l.{c.value}"
    return f"({differs} OR {c.reset})" if c.reset else differs


def _again(c: Column, past: LedgerState) -> str:
    """Whether an attribute goes out though the ledger may have that value."""
    reset = c.reset or "false"
    if not past.in_doubt:
        return reset
    return f"({reset} OR coalesce(list_contains(d.columns, {c.no}), false))"


def _newer(q: DiffRequest, past: LedgerState, c: Column, *, day: str) -> str:
    """Whether the ledger is newer than a day, for one attribute.

    It is where a newer day was acknowledged or is in doubt, or where a newer day was carried out by
    a template with the attribute and found the user up to date.
    """
    if not past.newer:
        return "false"
    newest_days = [(q.layout.evaluated, past.carried_out)]
    newest_days += [
        (evaluated, as_of) for evaluated, as_of, names in past.other_templates if c.name in names
    ]
    days = [f"(SELECT days FROM {ACK_DAYS})[l.{c.ack}]"]
    days += [
        f"l.{evaluated}"
        if as_of is None
        else f"CASE WHEN l.{evaluated} = {CURRENT} THEN {day_sql(as_of)} ELSE l.{evaluated} END"
        for evaluated, as_of in newest_days
    ]
    days += [
        f"CASE WHEN l.{evaluated} > {day_sql(as_of)} THEN {day_sql(as_of)} ELSE l.{evaluated} END"
        for evaluated, as_of, name in past.removed
        if name == c.name
    ]
    if past.in_doubt:
        # But what may be of the row's own day, and of no day beyond the plan's, is sent again.
        own = f"list_contains(__one.days, {day}) AND list_has_all([{days_sql(q.days)}], __one.days)"
        doubts = f"list_contains(__one.columns, {c.no}) AND NOT ({own})"
        days.append(f"list_max(flatten([__one.days for __one in d.plans if {doubts}]))")
    return _any(f"coalesce({found} > {day}, false)" for found in days)


def _maybe_sent(q: DiffRequest) -> str:
    """Whether a request without an answer may have brought the user's first values.

    A request of the template for one of the days until now. After an import it is not known whose
    request it was: then it counts for who is not in the ledger.
    """
    numbers = [c.no for c in q.layout.columns]
    until_now = f"list_max(__one.days) <= {day_sql(q.newest)}"
    ours = (
        f"list_has_any(__one.columns, {numbers}) "
        f"AND coalesce(__one.template = {literal(q.t.name)}, true) "
        f"AND coalesce({until_now}, l.{q.layout.full_at} IS NULL)"
    )
    return f"(len([__one for __one in d.plans if {ours}]) > 0)"


def _advances(q: DiffRequest, past: LedgerState) -> str:
    """Whether the user's watermark advances, though nothing may have to be sent."""
    evaluated, newest = f"l.{q.layout.evaluated}", day_sql(q.newest)
    if not past.latest(q.newest):
        return f"(p.__user_id IS NOT NULL AND ({evaluated} IS NULL OR {evaluated} < p.__as_of))"
    joined = f"({evaluated} IS NULL OR {evaluated} < p.__as_of OR {evaluated} = {CURRENT})"
    return _any(
        [
            # Left, or without a profile now.
            f"(p.__user_id IS NULL AND {evaluated} = {CURRENT})",
            # Joined.
            f"(p.__as_of = {newest} AND {evaluated} IS DISTINCT FROM {CURRENT})",
            # Of an earlier day of the range.
            f"(p.__as_of < {newest} AND {joined})",
        ]
    )


def _left(q: DiffRequest) -> str:
    """Whether the user has left: a profile of the newest day is missing, and so is the user.

    Who never was acknowledged has left as well, if a request of the template got no answer.
    """
    was_there = "(j.__in_doubt OR (NOT j.__new AND j.__evaluated IS NOT NULL))"
    return (
        f"((NOT j.__present AND {was_there}) "
        f"OR (j.__present AND j.__as_of < {day_sql(q.newest)})) AND s.user_id IS NULL"
    )


def _target(c: Column, *, leaving: bool) -> str:
    if not leaving or c.settings.on_leave == "keep":
        return c.profile
    return f"CASE WHEN __left THEN {payload.leave_value(c)} ELSE {c.profile} END"


def _decision(c: Column, past: LedgerState) -> str:
    """The columns ``changed`` and ``superseded`` of an attribute."""
    differs = f"({c.differs} OR {c.again})" if c.again in _marks(past, c) else c.differs
    of_profile = differs if c.settings.send_null else f"({c.new} IS NOT NULL AND {differs})"
    wanted = (
        f"(__present AND NOT coalesce(list_contains(__held, {literal(c.name)}), false) "
        f"AND ({of_profile} OR (__full AND {c.new} IS NOT NULL)))"
    )
    if c.settings.on_leave != "keep":
        wanted = f"CASE WHEN __left THEN {differs} ELSE {wanted} END"
    if not past.newer:
        return f"{wanted} AS {c.changed}"
    newer = c.newer
    if c.settings.on_leave != "keep":
        # In a range, the profile of who left is of an earlier day: leaving is of the newest.
        newer = f"CASE WHEN __left THEN {c.newer_than_all} ELSE {c.newer} END"
    return f"({wanted}) AND NOT {newer} AS {c.changed}, ({wanted}) AND {newer} AS {c.superseded}"


def _comma(*parts: str) -> str:
    return "".join(f"{part}, " for part in parts)


def _any(parts: Iterable[str]) -> str:
    return "(" + " OR ".join(parts) + ")"
