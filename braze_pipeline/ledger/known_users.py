"""Which users Braze is known to have.

Under update-only Braze answers 201 and ignores a user that it does not have, so that an
acknowledgement alone proves nothing. A user is *known* once somebody said so: a list of the
brand's, a look-up with ``/users/export/ids``, or an export file. The values of the others count
as unconfirmed: they are planned again in full by rhythm, and as soon as the user becomes known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from braze_pipeline.braze.limits import EXPORT_IDS
from braze_pipeline.errors import ConfigurationError, RateLimitExhausted
from braze_pipeline.ledger import endpoint, tables
from braze_pipeline.ledger.layout import ensure_layout
from braze_pipeline.storage.warehouse import literal, registered

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

LOOK_UP_MINUTES = 10
"""How long one run looks users up at most; the others wait for the next, and are reported."""


@dataclass(frozen=True, kw_only=True)
class LookUpSummary:
    """What a look-up found: of ``asked`` users Braze has ``known``; ``left`` await the next."""

    asked: int
    known: int
    left: int


def trusted(t: TemplateSettings) -> bool:
    """Whether an acknowledgement proves a value by itself.

    So it is when users that Braze lacks are created, or when the brand says they are all known.
    """
    return not t.destination.update_only or t.destination.known_users.source == "assume"


def mark_listed(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date], *, now: datetime
) -> int:
    """Mark users of the days' profiles that the brand's list names; how many are new to it.

    Raises:
        ConfigurationError: the file is not there, or has no column ``user_id``.
    """
    import duckdb

    path = t.destination.known_users.file
    if path is None or not path.exists():
        raise ConfigurationError(
            f"known_users has source 'list', and its file {path} is not there.",
            fix="Give known_users.file a CSV or Parquet file with a column user_id.",
        )
    try:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE __listed AS SELECT DISTINCT user_id::VARCHAR AS user_id "
            f"FROM {_file(path)} WHERE user_id IN (SELECT __user_id FROM {t.table('profiles')} "
            f"WHERE __as_of IN (SELECT unnest(?::DATE[])))",
            [list(days)],
        )
    except duckdb.Error as error:
        raise ConfigurationError(
            f"The list of known users {path} cannot be read.",
            fix="It takes a CSV with a header or a Parquet file, with a column user_id.",
        ) from error
    return mark_known(con, tables.ledger_name(t), "SELECT user_id FROM __listed", "list", now=now)


def _file(path: Path) -> str:
    if path.suffix == ".parquet":
        return f"read_parquet({literal(str(path))})"
    return f"read_csv({literal(str(path))}, header = true, all_varchar = true)"


def mark_known(
    con: duckdb.DuckDBPyConnection, ledger: str, users: str, how: str, *, now: datetime
) -> int:
    """Mark the users that a query names as known; how many were not before."""
    return tables.count(
        con,
        f"MERGE INTO {tables.wide(ledger)} l USING ({users}) n ON l.user_id = n.user_id "
        "WHEN MATCHED AND l.known IS NOT TRUE THEN UPDATE SET known = true, known_how = ?, "
        "known_at = ? "
        "WHEN NOT MATCHED THEN INSERT (user_id, known, known_how, known_at) "
        "VALUES (n.user_id, true, ?, ?)",
        [how, now, how, now],
    )


def look_up(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    ask: Callable[[list[str]], set[str]],
    *,
    now: datetime,
    tell: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LookUpSummary:
    """Ask Braze for users of unknown standing, for ten minutes and as many as its limit allows.

    ``ask`` takes at most 50 ids and returns those that Braze has; it keeps to the rate limit. No
    connection to the database is held while it talks. What was found before an exception is kept;
    where the limit is used up by others, those not asked for wait for the next run.
    ``tell`` hears how many were asked for, of how many. Do this before ``build_plan``.
    """
    allowed = t.destination.known_users.lookups_per_minute * LOOK_UP_MINUTES * EXPORT_IDS
    with warehouse.connect() as con:
        endpoint.claim(con, warehouse, t)
        users, left = to_look_up(con, t, days, now=now, limit=allowed)
    asked: list[str] = []
    known: set[str] = set()
    try:
        until = clock() + LOOK_UP_MINUTES * 60
        for batch in batches(users):
            if clock() > until:  # somebody else uses the limit, too
                break
            known |= ask(batch)
            asked += batch
            if tell is not None:
                tell(len(asked), len(users))
    except RateLimitExhausted:
        pass  # a plan can do without: they stay of unknown standing, and are reported so
    finally:
        if asked:
            with warehouse.connect() as con:
                record_look_up(con, tables.ledger_name(t), asked, known, now=now)
    return LookUpSummary(asked=len(asked), known=len(known), left=left + len(users) - len(asked))


def batches(users: Sequence[str]) -> Iterator[list[str]]:
    """As many ids as one request takes (Braze docs, "Export user profiles by identifier")."""
    for start in range(0, len(users), EXPORT_IDS):
        yield list(users[start : start + EXPORT_IDS])


def to_look_up(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    now: datetime,
    limit: int,
) -> tuple[list[str], int]:
    """Users with a profile whose standing is unknown, and how many more than ``limit`` there are.

    A user that Braze did not have is asked for again after ``resend_days``. Those never asked for
    come first.
    """
    layout = ensure_layout(con, t)
    before = now - timedelta(days=t.destination.known_users.resend_days)
    source = (
        f"FROM (SELECT DISTINCT __user_id AS user_id FROM {t.table('profiles')} "
        f"WHERE __as_of IN (SELECT unnest(?::DATE[]))) p LEFT JOIN {tables.wide(layout.ledger)} l "
        "USING (user_id) WHERE l.known IS NULL OR (NOT l.known AND l.known_at <= ?)"
    )
    total = tables.count(con, f"SELECT count(*) {source}", [list(days), before])
    rows = con.execute(
        f"SELECT user_id {source} ORDER BY l.known_at NULLS FIRST, user_id LIMIT {limit}",
        [list(days), before],
    ).fetchall()
    return [user for (user,) in rows], total - len(rows)


def record_look_up(
    con: duckdb.DuckDBPyConnection,
    ledger: str,
    asked: Sequence[str],
    known: set[str],
    *,
    now: datetime,
) -> None:
    """Note what Braze answered. A user it did not name is one that it has not, as of now."""
    import pyarrow as pa

    answers = pa.table({"user_id": list(asked), "known": [user in known for user in asked]})
    with registered(con, "__answers", answers):
        con.execute(
            f"MERGE INTO {tables.wide(ledger)} l USING __answers n ON l.user_id = n.user_id "
            "WHEN MATCHED THEN UPDATE SET known = n.known, known_how = 'lookup', known_at = ? "
            "WHEN NOT MATCHED THEN INSERT (user_id, known, known_how, known_at) "
            "VALUES (n.user_id, n.known, 'lookup', ?)",
            [now, now],
        )


@dataclass(frozen=True, kw_only=True)
class KnownUserCounts:
    """Users of a template, by whether Braze is known to have them."""

    known: int = 0
    unknown: int = 0
    not_in_braze: int = 0
    unconfirmed: int = 0


def count_known_users(
    con: duckdb.DuckDBPyConnection, ledger: str, template_no: int, *, stage: str, trusted: bool
) -> KnownUserCounts:
    """The standing of everybody a plan looks at.

    These are the template's users in the ledger, less those who are in it no longer, and those
    who are new (both from the plan's ``stage`` table).
    """
    j, wide = template_no, tables.wide(ledger)
    row = con.execute(
        f"WITH who AS (SELECT known, u{j} AS unconfirmed FROM {wide} WHERE s{j} = {tables.CURRENT} "
        f"AND user_id NOT IN (SELECT __user_id FROM {stage} WHERE NOT __present) "
        f"UNION ALL SELECT l.known, l.u{j} FROM {stage} s LEFT JOIN {wide} l "
        f"ON l.user_id = s.__user_id "
        f"WHERE s.__present AND s.__seen IS DISTINCT FROM {tables.CURRENT}) "
        "SELECT count(*) FILTER (known IS TRUE), count(*) FILTER (known IS NOT TRUE), "
        "count(*) FILTER (known IS FALSE), count(*) FILTER (unconfirmed) FROM who"
    ).fetchone() or (0, 0, 0, 0)
    if trusted:
        return KnownUserCounts(known=row[0] + row[1])
    return KnownUserCounts(known=row[0], unknown=row[1], not_in_braze=row[2], unconfirmed=row[3])
