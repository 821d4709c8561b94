"""The sandbox's workspace: what Braze does with the objects of a ``/users/track`` request.

What belongs here: which objects are taken, which users they belong to, and what is written. What
does not: HTTP, keys, limits and faults (``endpoints``, ``server``).

Sources: Braze docs, "Create and update users" and "User attributes object".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Final

from braze_pipeline.braze.data_points import data_points
from braze_pipeline.braze.fields import CONTROL_KEYS, FIELDS
from braze_pipeline.braze.limits import MAX_NAME
from braze_pipeline.sandbox.coercion import DROPPED, CustomAttribute, coerce_field
from braze_pipeline.sandbox.profiles import ProfileStore, external_id
from braze_pipeline.sandbox.refusals import PRIMARY, UPDATE_ONLY, refusal, user_of
from braze_pipeline.settings import Json

User = str | Mapping[str, Any]
"""An external id, or an object in the form of an ``attributes`` entry."""

_NOT_VALUES: Final = frozenset({*CONTROL_KEYS, *PRIMARY})


@dataclass
class Tracked:
    """The outcome of one request's objects.

    Attributes:
        taken: Objects that were queued, including those of unknown users.
        refused: Sentence by index of each refused object, which wrote nothing.
        ignored: Objects of unknown users under update-only, which wrote nothing.
        attributes: Attributes written, dropped values included.
        data_points: What they cost.
    """

    taken: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    ignored: int = 0
    attributes: int = 0
    data_points: int = 0


@dataclass
class Workspace:
    """Profiles and custom attributes of one workspace, safe across threads.

    Attributes:
        assume_all: Whether every external id and braze id counts as an existing user.
        refusals: Users whose objects are always refused, with the sentence, to test the sender.
    """

    assume_all: bool = False
    refusals: dict[str, str] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock, repr=False)
    profiles: ProfileStore = field(default_factory=ProfileStore, repr=False)
    attributes: dict[str, CustomAttribute] = field(default_factory=dict, repr=False)
    totals: Counter[str] = field(default_factory=Counter)

    def seed(self, users: Iterable[User]) -> int:
        """Create users that Braze has from the start; returns the number of profiles.

        Args:
            users: External ids, or objects as in ``attributes`` with any values, and with an
                ``external_id``, a ``braze_id`` or both.
        """
        with self.lock:
            for user in users:
                entry = {"external_id": user} if isinstance(user, str) else user
                key = self.profiles.key_of(entry)
                self.profiles.add(key, braze_id=entry.get("braze_id"))
                profile = self.profiles.get(key)
                self._write(profile.values, entry, Tracked())
                self.profiles.put(key, profile)
            return len(self.profiles)

    def attribute(self, name: str) -> CustomAttribute:
        """A custom attribute by its trimmed name, created if absent."""
        name = name.strip()
        return self.attributes.setdefault(name, CustomAttribute(name))

    def track(self, entries: Sequence[Json], *, refuse: Mapping[int, str] = {}) -> Tracked:
        """Apply the objects of a request; what is refused writes nothing.

        Args:
            entries: The ``attributes`` of the request.
            refuse: More objects to refuse, by index.
        """
        tracked = Tracked()
        with self.lock:
            for index, entry in enumerate(entries):
                sentence = refusal(entry) or refuse.get(index)
                if sentence is None and isinstance(entry, dict):
                    sentence = self.refusals.get(user_of(entry))
                if sentence is not None:
                    tracked.refused[index] = sentence
                elif isinstance(entry, dict):
                    tracked.taken += 1
                    self._apply(entry, tracked)
            self.totals["objects_taken"] += tracked.taken
            self.totals["objects_refused"] += len(tracked.refused)
            self.totals["objects_ignored"] += tracked.ignored
            self.totals["attributes_sent"] += tracked.attributes
            self.totals["data_points"] += tracked.data_points
        return tracked

    def exported(self, key: str) -> dict[str, Any]:
        """A profile as an export shows it; the lock is held."""
        values = self.profiles.get(key).values
        custom = {name: value for name, value in values.items() if name not in FIELDS}
        return {
            "external_id": external_id(key),
            "braze_id": self.profiles.braze_id(key),
            **{name: value for name, value in values.items() if name in FIELDS},
            **({"custom_attributes": custom} if custom else {}),
        }

    def reset(self) -> None:
        """Forget profiles, attributes and counts."""
        with self.lock:
            self.profiles = ProfileStore()
            self.attributes.clear()
            self.totals.clear()
            self.refusals.clear()

    def _apply(self, entry: Mapping[str, Json], tracked: Tracked) -> None:
        key = self.profiles.key_of(entry)
        has_external_id = entry.get("external_id") is not None
        creates = has_external_id and entry.get(UPDATE_ONLY) is not True
        if not (key in self.profiles or creates or self.assume_all):
            tracked.ignored += 1
            return
        self.profiles.add(key)
        profile = self.profiles.get(key)
        sent = self._write(profile.values, entry, tracked)
        profile.objects += 1
        profile.attributes += sent
        self.profiles.put(key, profile)

    def _write(self, values: dict[str, Json], entry: Mapping[str, Json], tracked: Tracked) -> int:
        """Write an object's values into a profile's; returns the number of its attributes."""
        sent = [name for name in entry if name not in _NOT_VALUES]
        for given in sent:
            value, is_field = entry[given], given in FIELDS
            name = given if is_field else given.strip()
            if is_field:
                stored = coerce_field(name, value)
            else:
                if not 0 < len(name) <= MAX_NAME:
                    continue
                attribute = self.attribute(name)
                if attribute.blocklisted:
                    continue
                stored = attribute.coerce(value)
            tracked.data_points += data_points(name, value, is_field=is_field)
            if stored is None:
                values.pop(name, None)
            elif stored is not DROPPED:
                values[name] = stored
        tracked.attributes += len(sent)
        return len(sent)
