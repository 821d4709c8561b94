"""Random days, values, crashes, refusals and backfills in any order, against a simple model.

The model knows nothing of tables: per user it keeps the newest day that was acknowledged for it,
and what that day said. After every step Braze must have just that, and nothing may have been sent
without need.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from braze_pipeline.errors import PlanOutdated
from braze_pipeline.ledger import watermarks
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline.settings import DestinationSettings, KnownUsers
from braze_pipeline.storage import journal
from braze_pipeline_tests.ledger_world import World, attribute, day, template

USERS = ["a", "b", "c"]
NAMES = ["X", "Y"]
STEPS = int(os.environ.get("BRAZE_PIPELINE_MODEL_EXAMPLES", "12"))

number = st.integers(0, 3)
value = st.sampled_from([None, "1", "1", "2", "bad"])
profile = st.fixed_dictionaries(dict.fromkeys(NAMES, value))
one_day = st.dictionaries(st.sampled_from(USERS), profile, min_size=1)
held = st.dictionaries(st.sampled_from(USERS), st.lists(st.sampled_from(NAMES), max_size=1))
days = st.lists(number, min_size=1, max_size=2, unique=True)


class Ledger(RuleBasedStateMachine):
    """Braze refuses every object with the value ``bad``, and ignores users that it lacks."""

    @initialize(known=st.sets(st.sampled_from(USERS)))
    def start(self, known: set[str]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "known.csv"
        destination = DestinationSettings(
            name="braze", endpoint="http://127.0.0.1:1", objects_per_request=1,
            known_users=KnownUsers(source="list", file=self.file),
        )  # fmt: skip
        t = template(*(attribute(name) for name in NAMES), destination=destination)
        self.world = World(Path(self.folder.name), t, users=known)
        self.rows: dict[date, dict[str, dict[str, Any]]] = {}
        self.held: dict[date, dict[str, list[str]]] = {}
        self.last: PlanSummary | None = None
        self.sent_before: set[str] = set()
        # the model
        self.day: dict[str, date] = {}
        self.value: dict[tuple[str, str], Any] = {}
        self.unconfirmed: set[str] = set()
        self.unproven: set[tuple[str, str]] = set()
        # by the plans that had no answer, with their days
        self.in_doubt: dict[tuple[str, str], set[tuple[str, frozenset[date]]]] = {}
        self._list()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()
            self.folder.cleanup()

    def _list(self) -> None:
        self.file.write_text("\n".join(["user_id", *sorted(self.world.braze.known)]) + "\n")

    # -- what happens -----------------------------------------------------------------------

    @rule(number=number, rows=one_day, held=held)
    def a_day_is_built(
        self, number: int, rows: dict[str, dict[str, Any]], held: dict[str, list[str]]
    ) -> None:
        kept = {user: names for user, names in held.items() if user in rows}
        for user, names in kept.items():
            rows[user] = {n: None if n in names else v for n, v in rows[user].items()}
        self.rows[day(number)], self.held[day(number)] = rows, kept
        self.world.profiles(day(number), rows, held=kept)

    @rule(number=number, rows=one_day, held=held)
    def a_day_is_built_and_goes_through(
        self, number: int, rows: dict[str, dict[str, Any]], held: dict[str, list[str]]
    ) -> None:
        self.a_day_is_built(number, rows, held)
        self._plan([number])
        self._send(None)

    @rule(number=number, rows=one_day, held=held, after=st.integers(0, 1))
    def a_day_is_built_and_its_send_is_killed(
        self, number: int, rows: dict[str, dict[str, Any]], held: dict[str, list[str]], after: int
    ) -> None:
        self.a_day_is_built(number, rows, held)
        self._plan([number])
        self._send(after, lost=True, killed=True)

    @rule(user=st.sampled_from(USERS))
    def braze_gets_to_know_a_user(self, user: str) -> None:
        self.world.braze.known.add(user)
        self._list()

    @precondition(lambda self: self.rows)
    @rule(numbers=days, hours=st.sampled_from([0, 0, 200]))
    def a_run_goes_through(self, numbers: list[int], hours: int) -> None:
        self.world.now += timedelta(hours=hours)
        self._plan(numbers)
        self._send(None)

    @precondition(lambda self: self.rows)
    @rule(numbers=days, after=st.integers(0, 2), lost=st.booleans(), killed=st.booleans())
    def a_run_is_interrupted(
        self, numbers: list[int], after: int, lost: bool, killed: bool
    ) -> None:
        self._plan(numbers)
        self._send(after, lost=lost, killed=killed)

    @precondition(lambda self: self.last is not None)
    @rule(after=st.sampled_from([None, 1]))
    def the_last_plan_is_sent_on_if_it_still_may_be(self, after: int | None) -> None:
        assert self.last is not None
        self.world.apply_acknowledgements()
        try:
            stored_plans.check_sendable(
                self.world.con, self.world.warehouse, self.world.t, self.last.plan_id
            )
        except PlanOutdated:
            return
        self._send(after)

    @precondition(lambda self: self.rows)
    @rule(numbers=days)
    def a_plan_is_made_and_never_sent(self, numbers: list[int]) -> None:
        self._plan(numbers)

    @rule(where=st.sampled_from([(journal, "mark_applied"), (watermarks, "advance")]))
    def applying_is_killed(self, where: tuple[Any, str]) -> None:
        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*where, killed)
            with suppress(KeyboardInterrupt):
                self.world.apply_acknowledgements()

    @rule()
    def acknowledgements_are_applied(self) -> None:
        self.world.apply_acknowledgements()
        assert self.world.apply_acknowledgements().accepted == 0

    # -- the model --------------------------------------------------------------------------

    def _newest(self, chosen: tuple[date, ...]) -> dict[str, date]:
        return {user: d for d in sorted(chosen) for user in self.rows.get(d, {})}

    def _plan(self, numbers: list[int]) -> None:
        built = sorted({day(n) for n in numbers} & self.rows.keys())
        chosen = tuple(built or [max(self.rows)])
        self.last = self.world.plan(*chosen)
        self.last_rows = {d: self.rows.get(d, {}) for d in chosen}
        self.last_held = {d: self.held.get(d, {}) for d in chosen}
        self.listed = set(self.world.braze.known)
        for user, sent in self.world.sent(self.last).items():
            for name, new in sent.items():
                self._needed(user, name, new)
        if self.last.status == "sent":
            self._evaluated(set(self._newest(chosen)))

    def _needed(self, user: str, name: str, new: Any) -> None:
        assert self.last is not None
        weekly = user in self.unconfirmed
        assert (
            self.value.get((user, name)) != new
            or self.in_doubt.get((user, name))
            or (weekly and new is not None)
        ), f"{name} of {user} was sent without need"

    def _send(self, after: int | None, *, lost: bool = False, killed: bool = False) -> None:
        assert self.last is not None
        w, plan = self.world, self.last
        rows = w.rows(plan)
        answered = self._answered(plan)
        resumed, self.sent_before = plan.plan_id in self.sent_before, {plan.plan_id}
        refused = [row["__user_id"] for row in rows if '"bad"' in row["__object"]]
        this = (plan.plan_id, frozenset(plan.days))
        w.send(plan, refuse=refused, stop_after=after, lose_ack=lost, leave_running=killed)
        now_answered = self._answered(plan)
        planned = {row["__user_id"] for row in rows}
        for row in rows:
            user, new = row["__user_id"], row["__request"] in now_answered - answered
            sent = json.loads(row["__object"]).keys() & set(NAMES)
            for name in sent:
                in_flight = new and user in refused and resumed  # perhaps, in the send before
                if in_flight or row["__request"] not in now_answered:
                    self.in_doubt.setdefault((user, name), set()).add(this)
                elif new or user not in refused:
                    self.in_doubt.get((user, name), set()).discard(this)
            if new and user not in refused:
                self._evaluated({user}, sent=set(sent))
        if len(now_answered) == len(rows):
            self._evaluated(set(self._newest(plan.days)) - planned - self._held_back(plan))
        w.apply_acknowledgements()

    def _answered(self, plan: PlanSummary) -> set[int]:
        con = self.world.journal()
        try:
            found = con.execute(
                "SELECT request_no FROM acknowledgements JOIN sends USING (send_id) "
                "WHERE plan_id = ?",
                (plan.plan_id,),
            ).fetchall()
        finally:
            con.close()
        return {number for (number,) in found}

    def _held_back(self, plan: PlanSummary) -> set[str]:
        newest = {u: d for d in sorted(self.last_rows) for u in self.last_rows[d]}
        return {u for u, d in newest.items() if "bad" in self.last_rows[d][u].values()}

    def _evaluated(self, users: set[str], sent: set[str] | None = None) -> None:
        newest = {u: d for d in sorted(self.last_rows) for u in self.last_rows[d]}
        for user in users:
            d = newest.get(user)
            if d is None or d < self.day.get(user, d):
                continue
            row = self.last_rows[d][user]
            if "bad" in row.values():
                continue
            whole = user in self.unconfirmed and user in self.listed
            self.day[user] = d
            open_names = [n for n in NAMES if n not in self.last_held[d].get(user, [])]
            if whole and sent is None:
                assert not any(row[n] for n in open_names), f"{user} is known and was not sent"
            if sent is not None and user not in self.listed:
                self.unconfirmed.add(user)
            elif sent is not None and whole:
                self.unconfirmed.discard(user)
                self.unproven -= {(user, name) for name in NAMES}
            for name in NAMES:
                doubts = [days for _, days in self.in_doubt.get((user, name), ())]
                own = [days for days in doubts if d in days and days <= self.last_rows.keys()]
                if any(max(days) > d for days in doubts if days not in own):
                    continue  # what a newer day may have brought stays
                if name in self.last_held[d].get(user, []):
                    if whole and sent is not None:
                        self.value.pop((user, name), None)
                        self.unproven.add((user, name))
                    continue
                self.value[user, name] = row[name]
                if sent is None or name in sent:
                    self.in_doubt.pop((user, name), None)
                    self.unproven.discard((user, name))

    @invariant()
    def braze_has_what_the_newest_acknowledged_day_says(self) -> None:
        if not hasattr(self, "world"):
            return
        braze = self.world.braze
        for user in braze.known - self.unconfirmed:
            has = braze.profiles.get(user, {})
            for name in NAMES:
                if not self.in_doubt.get((user, name)) and (user, name) not in self.unproven:
                    assert has.get(name) == self.value.get((user, name)), (user, name)


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=STEPS,
    stateful_step_count=14,
    suppress_health_check=[HealthCheck.too_slow],
    report_multiple_bugs=False,
)
