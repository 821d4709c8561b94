"""What ``diff`` is asked, and what the ledger has of earlier days.

Both are known before the join, and decide which of its parts are needed: the slow path only if
something in the ledger may be newer than the plan's days, doubts only if there are any.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from braze_pipeline.ledger.columns import TemplateColumns
from braze_pipeline.ledger.ledger import Ledger
from braze_pipeline.storage.sql_text import rows_of

if TYPE_CHECKING:
    from braze_pipeline.ledger.layout import Layout
    from braze_pipeline.settings import TemplateSettings


@dataclass(frozen=True, kw_only=True)
class DiffRequest:
    """What is asked of the join.

    Attributes:
        days: The as-of dates, in order.
        resend_before: Unconfirmed users acknowledged in full before this are sent in full again.
        proof: Acknowledgements prove values by themselves: users are assumed known, or are
            created when they are not there.
        forced: The stale guard is off.
        user: The only user to look at; None: everybody.
    """

    t: TemplateSettings
    layout: Layout
    days: tuple[date, ...]
    resend_before: datetime
    proof: bool
    forced: bool
    user: str | None = None

    @property
    def ledger(self) -> Ledger:
        """The template's ledger."""
        return self.layout.ledger

    @property
    def profiles_table(self) -> str:
        """The profiles of all days, to select from."""
        return rows_of(self.t.table("profiles"), "__user_id", self.user)

    @property
    def users_table(self) -> str:
        """The ledger's users, to select from."""
        return rows_of(self.ledger.users_table, "user_id", self.user)

    @property
    def newest(self) -> date:
        """The last of the days: its audience decides who has left."""
        return self.days[-1]


@dataclass(frozen=True, kw_only=True)
class LedgerState:
    """What the ledger has of earlier days.

    Attributes:
        carried_out: The newest day of this template that was carried out.
        newer: Something in the ledger may be newer than one of the days: the slow path.
        empty: The ledger has no users yet.
        in_doubt: Some earlier request got no answer, and may have been carried out.
        other_templates: (its watermark's column, newest day, attribute names) of templates that
            went further.
        removed: (watermark's column, newest day, attribute name) of attributes that templates had
            once; what their watermarks say of later days says nothing about these.
    """

    carried_out: date | None
    newer: bool
    empty: bool
    in_doubt: bool
    other_templates: tuple[tuple[str, date, frozenset[str]], ...]
    removed: tuple[tuple[str, date, str], ...]

    def latest(self, newest: date) -> bool:
        """Whether the plan's newest day is (again) the newest of all."""
        return self.carried_out is None or newest >= self.carried_out


def ledger_state(q: DiffRequest) -> LedgerState:
    """What of the ledger is newer than the days of the plan."""
    oldest = q.days[0]
    carried_out = {state.template_no: state for state in q.ledger.templates() if state.as_of}
    own = carried_out.pop(q.layout.template_no, None)
    further = tuple(
        (TemplateColumns(template_no=no).evaluated, state.as_of, frozenset(state.attributes))
        for no, state in carried_out.items()
        if state.as_of and state.as_of > oldest
    )
    removed = tuple(
        (TemplateColumns(template_no=no).evaluated, as_of, name)
        for no, as_of, name in q.ledger.removed_attributes()
        if no in carried_out and as_of > oldest
    )
    mine = own.as_of if own else None
    newer = (
        q.ledger.has_acknowledgements(after=oldest)
        or q.ledger.has_doubts(after=oldest)
        or bool(further or removed)
        or (mine is not None and mine > oldest)
    )
    return LedgerState(
        carried_out=mine,
        newer=newer and not q.forced,
        empty=not q.ledger.count_users(),
        in_doubt=q.ledger.count_in_doubt() > 0,
        other_templates=further,
        removed=removed,
    )
