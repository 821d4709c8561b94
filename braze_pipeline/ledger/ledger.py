"""The handle of a ledger: its tables by name, and what the rooms above ask of it.

``open_ledger`` (in ``apply``) gives it with the journal applied. The wide table's columns are
described in ``layout``, the other tables in ``storage/migrations/ledger_*.sql`` and
``docs/ledger.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import literal, quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

CURRENT = "DATE '9999-12-31'"
"""As the day evaluated: the user was part of the newest day carried out, whichever that is. So a
day costs only the users who joined or left, and not a rewrite of everybody's date."""


EVERYBODY = ""
"""As the user of attributes in doubt: everybody who has no acknowledgement of them."""


class TemplateState(NamedTuple):
    """How far a template got: the newest day carried out, and the attributes it looked at."""

    template: str
    template_no: int
    as_of: date | None
    evaluations: int
    attributes: Sequence[str]


@dataclass(frozen=True)
class Ledger:
    """One ledger of a database.

    Attributes:
        con: The connection to the database; the ledger can be used while it is open.
        name: The ledger's name (``ledger_name``).
    """

    con: duckdb.DuckDBPyConnection
    name: str

    @property
    def users_table(self) -> str:
        """The quoted name of the wide table, one row per user."""
        return f"ledger.{quote(self.name + '_users')}"

    def exists(self) -> bool:
        """Whether any plan was made for it yet."""
        return self.name in ledger_names(self.con)

    def count_users(self) -> int:
        """How many users it has."""
        return count(self.con, f"SELECT count(*) FROM {self.users_table}")

    def version(self) -> int:
        """Goes up with each change; 0 for a ledger that does not exist yet."""
        return count(self.con, "SELECT version FROM ledger.ledgers WHERE ledger = ?", [self.name])

    def record_change(self, what: str, plan_id: str | None) -> None:
        """Raise the version: by it, earlier plans are outdated (``still_fits``)."""
        self.con.execute(
            "UPDATE ledger.ledgers SET version = version + 1 WHERE ledger = ?", [self.name]
        )
        self.con.execute(
            "INSERT INTO ledger.changes (ledger, version, plan_id, what, changed_at) "
            "VALUES (?, ?, ?, ?, ?)",
            [self.name, self.version(), plan_id, what, utc_now()],
        )

    def still_fits(self, plan_id: str, *, since: int) -> bool:
        """Whether the ledger has only changed by sends that leave the plan as it is."""
        return not count(self.con, read_sql("ledger", "outdating"), [plan_id, self.name, since])

    def templates(self) -> list[TemplateState]:
        """All templates that send to it."""
        rows = self.con.execute(
            "SELECT template, template_no, as_of, evaluations, attributes FROM ledger.templates "
            "WHERE ledger = ? ORDER BY template_no",
            [self.name],
        ).fetchall()
        return [TemplateState(*row) for row in rows]

    def removed_attributes(self) -> list[tuple[int, date, str]]:
        """Template number, newest day and name of each attribute that a template had once."""
        return self.con.execute(
            "SELECT template_no, r.as_of, attribute FROM ledger.removed_attributes AS r "
            "JOIN ledger.templates USING (ledger, template) WHERE ledger = ? ORDER BY ALL",
            [self.name],
        ).fetchall()

    def template(self, name: str) -> TemplateState | None:
        """One of them; None before its first plan."""
        return next((state for state in self.templates() if state.template == name), None)

    def has_acknowledgements(self, *, after: date | None = None) -> bool:
        """Whether Braze acknowledged anything, or anything of a later day than ``after``."""
        return bool(
            count(
                self.con,
                "SELECT count(*) FROM ledger.acks WHERE ledger = ? AND (? IS NULL OR as_of > ?)",
                [self.name, after, after],
            )
        )

    def last_ack_no(self) -> int:
        """The number of its newest acknowledgement."""
        return count(self.con, "SELECT max(ack_no) FROM ledger.acks WHERE ledger = ?", [self.name])

    def ack_days(self) -> str:
        """A query for one list: the as-of day of acknowledgement k at place k."""
        return (
            "SELECT list(as_of ORDER BY ack_no) AS days FROM ledger.acks "
            f"WHERE ledger = {literal(self.name)}"
        )

    def count_in_doubt(self) -> int:
        """Users with attributes in doubt (see ``in_doubt``)."""
        return count(
            self.con,
            "SELECT count(DISTINCT user_id) FROM ledger.in_doubt WHERE ledger = ? AND user_id <> ?",
            [self.name, EVERYBODY],
        )

    def has_doubts(self, *, after: date) -> bool:
        """Whether a plan of a later day than ``after`` left anything in doubt."""
        return bool(
            count(
                self.con,
                "SELECT count(*) FROM ledger.in_doubt AS i JOIN records.plans USING (plan_id) "
                "WHERE i.ledger = ? AND list_max(days) > ?",
                [self.name, after],
            )
        )

    def in_doubt(self) -> str:
        """A query for the attributes in doubt: a ``user_id``, the numbers in ``columns``, and the
        ``plans`` that left them so, with the numbers, the days and the template of each.
        """
        return (
            "SELECT user_id, flatten(list(columns)) AS columns, "
            "list({'columns': columns, 'days': days, 'template': template}) AS plans "
            "FROM ledger.in_doubt AS i LEFT JOIN records.plans USING (plan_id) "
            f"WHERE i.ledger = {literal(self.name)} AND user_id <> {literal(EVERYBODY)} "
            "GROUP BY user_id"
        )

    def in_doubt_for_everybody(self) -> frozenset[int]:
        """The numbers of the attributes that may be in Braze for any user."""
        rows = self.con.execute(
            "SELECT unnest(columns) FROM ledger.in_doubt WHERE ledger = ? AND user_id = ?",
            [self.name, EVERYBODY],
        ).fetchall()
        return frozenset(no for (no,) in rows)

    def users_and_doubts(self) -> str:
        """The users, and those of whom there is nothing but attributes in doubt; to select from."""
        return (
            f"(FROM {self.users_table} UNION ALL BY NAME SELECT user_id FROM ({self.in_doubt()}) "
            f"WHERE user_id NOT IN (SELECT user_id FROM {self.users_table}))"
        )

    def refused(self, template: str) -> str:
        """A query for the objects that Braze refused: ``user_id`` and ``object_md5``.

        Without refusals with 408, 429 or 5xx: these are trouble of Braze's and not of the value.
        """
        return (
            "SELECT user_id, object_md5 FROM ledger.refused "
            f"WHERE ledger = {literal(self.name)} AND template = {literal(template)} "
            "AND coalesce(status, 400) NOT IN (408, 429) AND coalesce(status, 400) < 500"
        )

    def release_refused(self, template: str) -> int:
        """Allow refused objects to be planned again unchanged; how many there were."""
        return count(
            self.con,
            "DELETE FROM ledger.refused WHERE ledger = ? AND template = ?",
            [self.name, template],
        )


def ledger_name(t: TemplateSettings) -> str:
    """The ledger a template writes to.

    The same person has different ids as external_id and as braze_id, so these are two ledgers.
    """
    d = t.destination
    return d.name if d.identifier == "external_id" else f"{d.name}_by_{d.identifier}"


def ledger_of(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> Ledger:
    """A template's ledger as it is: the journal is not applied."""
    return Ledger(con, ledger_name(t))


def ledger_names(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The ledgers of a database."""
    rows = con.execute("SELECT ledger FROM ledger.ledgers ORDER BY ledger").fetchall()
    return [name for (name,) in rows]


def destinations(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The destinations that have a ledger in the database."""
    rows = con.execute("SELECT DISTINCT destination FROM ledger.ledgers ORDER BY 1").fetchall()
    return [name for (name,) in rows]


def count(
    con: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Sequence[object] | dict[str, object] = (),
) -> int:
    """The one number that a query gives (NULL counts as 0)."""
    row = con.execute(query, parameters).fetchone()
    return int(row[0] or 0) if row else 0
