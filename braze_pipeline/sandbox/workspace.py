"""The sandbox's workspace: what Braze does with the objects of a ``/users/track`` request.

What belongs here: which objects are taken, whom they are about and what is written. What does
not: HTTP, keys, limits and faults (``api``, ``server``).

Sources: Braze docs, "Create and update users" and "User attributes object".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Final

from braze_pipeline.braze.fields import CONTROL_KEYS, FIELDS
from braze_pipeline.braze.limits import MAX_NAME
from braze_pipeline.sandbox.nested import DROPPED
from braze_pipeline.sandbox.points import data_points
from braze_pipeline.sandbox.profiles import Profile, ProfileStore
from braze_pipeline.sandbox.refusals import PRIMARY, refusal
from braze_pipeline.sandbox.standard import take_field
from braze_pipeline.sandbox.values import CustomAttribute
from braze_pipeline.settings import Json

ARRAYS: Final = ("attributes", "events", "purchases")
"""The input arrays, in the order in which Braze works through them."""

_NOT_VALUES: Final = frozenset(CONTROL_KEYS) | frozenset(PRIMARY)


@dataclass(frozen=True)
class Refused:
    """An object that Braze names in ``errors``."""

    array: str
    index: int
    sentence: str


@dataclass
class Tracked:
    """What became of one request's objects.

    Attributes:
        taken: Objects by input array that were queued; unknown users' are among them.
        refused: Objects that wrote nothing and are named.
        ignored: Attribute objects of unknown users under update-only: nothing was written.
        created: Profiles that came into being.
        attributes: Attributes written, dropped values included.
        data_points: What they cost.
    """

    taken: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    ignored: int = 0
    created: int = 0
    attributes: int = 0
    data_points: int = 0


@dataclass
class Workspace:
    """Profiles and custom attributes of one workspace, safe across threads.

    Attributes:
        assume_all: Every external id and braze id counts as a user that Braze has.
        blocked_users: External ids that Braze refuses as dummy users.
        refusals: Users whose objects are always refused, with the sentence: to test the sender.
    """

    assume_all: bool = False
    blocked_users: Collection[str] = frozenset()
    refusals: dict[str, str] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock, repr=False)
    profiles: ProfileStore = field(default_factory=ProfileStore, repr=False)
    attributes: dict[str, CustomAttribute] = field(default_factory=dict, repr=False)
    totals: Counter[str] = field(default_factory=Counter)

    def seed(self, users: Iterable[str | Mapping[str, Any]]) -> int:
        """Let users exist, as if Braze had them all along; returns how many profiles there are.

        Args:
            users: External ids, or objects in the form of ``attributes`` entries (any identifier,
                any values; an ``external_id`` and a ``braze_id`` may stand together here).
        """
        with self.lock:
            for user in users:
                if isinstance(user, str):
                    self.profiles.add(user)
                else:
                    self._seed_one(user)
            return len(self.profiles)

    def _seed_one(self, user: Mapping[str, Any]) -> None:
        braze_id, external = user.get("braze_id"), user.get("external_id")
        alias = _alias(user)
        if external is not None:
            self.profiles.add(external, braze_id=braze_id)
            key = external
        elif braze_id is not None:
            key = self.profiles.add_by_braze_id(braze_id)
        else:
            key = self.profiles.add_anonymous() if alias is None else self.profiles.add_alias(alias)
        if alias is not None:
            self.profiles.add_alias(alias, key)
        profile = self.profiles.get(key) or Profile()
        self._write(profile, user, Tracked())
        self.profiles.put(key, profile)

    def attribute(self, name: str) -> CustomAttribute:
        """A custom attribute by its trimmed name, made where it is not there yet."""
        name = name.strip()
        found = self.attributes.get(name)
        if found is None:
            found = self.attributes[name] = CustomAttribute(name)
        return found

    def track(self, document: Mapping[str, Json], *, refuse: Mapping[int, str] = {}) -> Tracked:
        """Take the objects of a request in; what is refused writes nothing.

        Args:
            document: The request's body; each input array in it is a list.
            refuse: Objects of ``attributes`` to refuse besides those that deserve it, by index.
        """
        tracked = Tracked()
        with self.lock:
            for array in ARRAYS:
                entries = document.get(array)
                for index, entry in enumerate(entries if isinstance(entries, list) else ()):
                    sentence = self._refusal(entry, array)
                    if sentence is None and array == "attributes":
                        sentence = refuse.get(index)
                    if sentence is not None:
                        tracked.refused.append(Refused(array, index, sentence))
                        continue
                    tracked.taken[array] += 1
                    if isinstance(entry, dict) and array == "attributes":
                        self._apply(entry, tracked)
            self._count(tracked)
        return tracked

    def _refusal(self, entry: Json, array: str) -> str | None:
        if self.refusals and isinstance(entry, dict):
            for name in PRIMARY:
                identifier = entry.get(name)
                if isinstance(identifier, str) and identifier in self.refusals:
                    return self.refusals[identifier]
        return refusal(entry, array, self.blocked_users)

    def _count(self, tracked: Tracked) -> None:
        totals = self.totals
        for array, count in tracked.taken.items():
            totals[f"{array}_taken"] += count
        totals["refused"] += len(tracked.refused)
        totals["ignored"] += tracked.ignored
        totals["created"] += tracked.created
        totals["attributes"] += tracked.attributes
        totals["data_points"] += tracked.data_points

    def _apply(self, entry: Mapping[str, Json], tracked: Tracked) -> None:
        before = len(self.profiles)
        key = self._find(entry)
        if key is None:
            tracked.ignored += 1
            return
        tracked.created += len(self.profiles) - before
        profile = self.profiles.get(key) or Profile()
        sent = self._write(profile, entry, tracked)
        profile.objects += 1
        profile.attributes += sent
        self.profiles.put(key, profile)

    def _find(self, entry: Mapping[str, Json]) -> str | None:
        """The key of the user that is meant, made where Braze makes one; None to ignore it."""
        external, braze_id = entry.get("external_id"), entry.get("braze_id")
        may_create = entry.get("_update_existing_only") is not True
        if isinstance(external, str):
            if external not in self.profiles and (may_create or self.assume_all):
                self.profiles.add(external)
            return external if external in self.profiles else None
        if isinstance(braze_id, str):
            found = self.profiles.by_braze_id(braze_id)
            return self.profiles.add_by_braze_id(braze_id) if self.assume_all else found
        alias = _alias(entry)
        if alias is None:
            return self._find_secondary(entry, may_create=may_create)
        found = self.profiles.by_alias(alias)
        creates = found is None and entry.get("_update_existing_only") is False
        return self.profiles.add_alias(alias) if creates else found

    def _find_secondary(self, entry: Mapping[str, Json], *, may_create: bool) -> str | None:
        for name in ("email", "phone"):
            if entry.get(name):
                found = self.profiles.by_value(name, entry[name])
                return self.profiles.add_anonymous() if found is None and may_create else found
        return self.profiles.add_anonymous() if entry.get("push_token_import") is True else None

    def _write(self, profile: Profile, entry: Mapping[str, Json], tracked: Tracked) -> int:
        """Write an object's values into a profile; returns how many attributes it carried."""
        values, merge, sent = profile.values, entry.get("_merge_objects") is True, 0
        for given, value in entry.items():
            if given in _NOT_VALUES:
                continue
            sent += 1
            name = given if given in FIELDS else given.strip()
            if given in FIELDS:
                stored = take_field(name, value)
            else:
                if not 0 < len(name) <= MAX_NAME:
                    continue
                attribute = self.attribute(name)
                if attribute.blocklisted:
                    continue
                stored = value
                if value is not None:
                    stored = attribute.take(values.get(name), value, merge=merge)
            tracked.data_points += data_points(name, value)
            if stored is None:
                values.pop(name, None)
            elif stored is not DROPPED:
                values[name] = stored
        tracked.attributes += sent
        return sent


def _alias(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    alias = entry.get("user_alias")
    return None if alias is None else (alias["alias_label"], alias["alias_name"])
