"""Which users Braze is known to have.

Under update-only Braze answers 201 and ignores a user that it does not have, so that an
acknowledgement alone proves nothing. A user is *known* once there is evidence: a list of the
brand's, a look-up with ``/users/export/ids``, or an export file. The values of the others count
as unconfirmed: they are sent in full again every few days, and as soon as the user becomes known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from braze_pipeline.braze.limits import EXPORT_IDS
from braze_pipeline.errors import ConfigurationError, RateLimitExhausted, SourceChanged
from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.columns import AttributeColumns, TemplateColumns
from braze_pipeline.ledger.layout import ensure_layout, known_attributes
from braze_pipeline.ledger.ledger import CURRENT, Ledger, count, ledger_of
from braze_pipeline.sources.places import csv_reader
from braze_pipeline.sources.places.files import PARQUET
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import days_sql, file_literal, has_fraction, rows_of
from braze_pipeline.storage.warehouse import columns, registered

if TYPE_CHECKING:
    from pathlib import Path

    from braze_pipeline.ledger.layout import Layout
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

LOOK_UP_MINUTES = 10
"""How long one run looks users up at most; the others wait for the next, and are reported."""


@dataclass(frozen=True, kw_only=True)
class LookUpSummary:
    """What a look-up found: of ``asked`` users Braze has ``known``; ``left`` wait for the next."""

    asked: int
    known: int
    left: int


def acknowledgements_are_proof(t: TemplateSettings) -> bool:
    """Whether an acknowledgement proves a value by itself.

    It does when users that Braze lacks are created, or when the brand assumes that all are known.
    """
    return not t.destination.update_only or t.destination.known_users.source == "assume"


def attributes_in_braze(
    ledger: Ledger, names: Iterable[str], *, before: datetime, proof: bool
) -> frozenset[str]:
    """Those of the names of which Braze has had a value since before a time (UTC).

    ``proof``: an acknowledgement proves that by itself, also for a user who is not known.
    """
    have = known_attributes(ledger)
    marks = (TemplateColumns(template_no=one.template_no) for one in ledger.templates())
    confirmed = " AND ".join(f"l.{mark.unconfirmed} IS NOT TRUE" for mark in marks) or "true"

    def had(name: str) -> int:
        here = AttributeColumns(no=have[name].no)
        query = read_sql(
            "ledger", "attribute_in_braze", users=ledger.users_table, value=here.value,
            ack=here.ack, confirmed=confirmed,
        )  # fmt: skip
        reset = have[name].reset_ack or 0
        values = {"ledger": ledger.name, "before": before, "proof": proof, "reset_ack": reset}
        return count(ledger.con, query, values)

    return frozenset(name for name in names if name in have and had(name))


def mark_listed(ledger: Ledger, t: TemplateSettings, days: Sequence[date], *, now: datetime) -> int:
    """Mark users of the days' profiles that the brand's list names; how many are new to it.

    Raises:
        ConfigurationError: the file is not there or not whole, or has no column ``user_id``, or
            one of numbers with a fraction.
    """
    import duckdb

    path = t.destination.known_users.file
    if path is None or not path.exists():
        raise ConfigurationError(
            f"The list of known users {path} does not exist (known_users has source 'list').",
            fix="Set known_users.file to a CSV or Parquet file with a column user_id.",
        )
    try:
        ids = f"(SELECT user_id FROM {_file(path)})"
        ((_, type_),) = columns(ledger.con, ids)
        ledger.con.execute(
            "CREATE OR REPLACE TEMP TABLE __listed AS SELECT DISTINCT user_id::VARCHAR AS user_id "
            f"FROM {ids} WHERE user_id::VARCHAR IN (SELECT __user_id FROM {t.table('profiles')} "
            f"WHERE __as_of IN ({days_sql(days)}))"
        )
    except SourceChanged as error:
        raise ConfigurationError(error.what, fix=error.fix) from error
    except (duckdb.Error, OSError) as error:
        raise ConfigurationError(
            f"The list of known users {path} cannot be read.",
            fix="Use a CSV file with a header or a Parquet file, with a column user_id.",
        ) from error
    if has_fraction(type_):
        raise ConfigurationError(
            f"The list of known users {path} has its user_id as {type_}: the user 12346 would be "
            "'12346.0'.",
            fix="Write user_id as text or whole numbers.",
        )
    listed = "(SELECT user_id, true AS known FROM __listed)"
    return _mark(ledger, listed, "list", now=now)


def _file(path: Path) -> str:
    if path.suffix.lower() in PARQUET:
        return f"read_parquet({file_literal(path)})"
    return csv_reader.relation("The list of known users", [path])


def _mark(ledger: Ledger, found: str, how: str, *, now: datetime) -> int:
    """Mark users by a table of ``user_id`` and ``known``; how many changed."""
    query = read_sql("ledger", "known_users", users=ledger.users_table, found=found)
    return count(ledger.con, query, {"how": how, "now": now})


def look_up(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    ask: Callable[[list[str]], set[str]],
    *,
    now: datetime,
    on_progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    user: str | None = None,
) -> LookUpSummary:
    """Ask Braze which users it has, for ten minutes and as many as its limit allows.

    ``ask`` takes at most 50 ids and returns those that Braze has; it keeps to the rate limit. The
    database is closed meanwhile. What was found before an exception is kept; where others use up
    the limit, the remaining users wait for the next run.
    Only ``user`` is looked up where one is given.
    ``on_progress`` gets how many were asked for, of how many. Do this before ``build_plan``.
    """
    allowed = t.destination.known_users.lookups_per_minute * LOOK_UP_MINUTES * EXPORT_IDS
    with warehouse.connect() as con:
        ledger = endpoint.claim(con, warehouse, t)
        users, left = to_look_up(ledger, t, days, now=now, limit=allowed, user=user)
    asked: list[str] = []
    known: set[str] = set()
    try:
        until = clock() + LOOK_UP_MINUTES * 60
        for batch in batches(users):
            if clock() > until:  # others use the limit, too
                break
            known |= ask(batch)
            asked += batch
            if on_progress is not None:
                on_progress(len(asked), len(users))
    except RateLimitExhausted:
        pass  # a plan can do without: they are reported as not confirmed in Braze
    finally:
        if asked:
            with warehouse.connect() as con:
                record_look_up(ledger_of(con, t), asked, known, now=now)
    return LookUpSummary(asked=len(asked), known=len(known), left=left + len(users) - len(asked))


def batches(users: Sequence[str]) -> Iterator[list[str]]:
    """As many ids as one request takes (Braze docs, "Export user profiles by identifier")."""
    for start in range(0, len(users), EXPORT_IDS):
        yield list(users[start : start + EXPORT_IDS])


def to_look_up(
    ledger: Ledger,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    now: datetime,
    limit: int,
    user: str | None = None,
) -> tuple[list[str], int]:
    """Users with a profile who are not known, and how many more than ``limit`` there are.

    A user that Braze did not have is asked for again after ``resend_days``. Those never asked for
    come first.
    """
    ensure_layout(ledger, t)
    before = now - timedelta(days=t.destination.known_users.resend_days)
    profiles = rows_of(t.table("profiles"), "__user_id", user)
    source = read_sql(
        "ledger", "look_up", profiles=profiles, users=ledger.users_table, days=days_sql(days)
    )
    values: dict[str, object] = {"before": before}
    total = count(ledger.con, f"SELECT count(*) {source}", values)
    rows = ledger.con.execute(
        f"SELECT user_id {source} ORDER BY l.known_at NULLS FIRST, user_id LIMIT {limit}", values
    ).fetchall()
    return [user for (user,) in rows], total - len(rows)


def record_look_up(ledger: Ledger, asked: Sequence[str], known: set[str], *, now: datetime) -> None:
    """Record what Braze answered. A user that it did not return is one that it does not have."""
    import pyarrow as pa

    answers = pa.table({"user_id": list(asked), "known": [user in known for user in asked]})
    with registered(ledger.con, "__answers", answers):
        _mark(ledger, "__answers", "lookup", now=now)


@dataclass(frozen=True, kw_only=True)
class KnownUserCounts:
    """Users of a template, by whether Braze is known to have them."""

    known: int = 0
    unknown: int = 0
    not_in_braze: int = 0
    unconfirmed: int = 0


def count_known_users(layout: Layout, *, stage: str, proof: bool) -> KnownUserCounts:
    """Count everybody a plan looks at.

    Args:
        layout: The template's.
        stage: The plan's table of users who need anything.
        proof: Acknowledgements are proof by themselves: everybody counts as known.
    """
    query = read_sql(
        "ledger", "known_user_counts", users=layout.ledger.users_table, stage=stage,
        evaluated=layout.evaluated, unconfirmed=layout.unconfirmed, current=CURRENT,
    )  # fmt: skip
    row = layout.ledger.con.execute(query).fetchone() or (0, 0, 0, 0)
    if proof:
        return KnownUserCounts(known=row[0] + row[1])
    return KnownUserCounts(known=row[0], unknown=row[1], not_in_braze=row[2], unconfirmed=row[3])
