"""The sandbox's profiles, small enough in memory for a million of them.

A profile is one ``marshal`` string of its values. The attribute names, which many profiles share,
are stored once in a *shape*. A million profiles of 14 attributes take about 300 MB this way, a
fifth of the size of dictionaries. Nothing here is thread-safe: ``workspace`` holds the lock.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from braze_pipeline.settings import Json

_BRAZE_ID = "\0"
"""Prefix of the key of a profile without ``external_id``; its ``braze_id`` follows."""


@dataclass
class Profile:
    """What one user has.

    Attributes:
        values: Profile fields and custom attributes by name, as they were sent.
        objects: Objects that were applied to it by requests.
        attributes: Attributes in those objects; one sent twice counts twice.
    """

    values: dict[str, Json] = field(default_factory=dict)
    objects: int = 0
    attributes: int = 0


class ProfileStore:
    """Profiles by key: the ``external_id``, or one made of the ``braze_id``."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._shapes: list[tuple[str, ...]] = []
        self._shape_numbers: dict[tuple[str, ...], int] = {}
        self._braze_ids: dict[str, str] = {}
        self._keys_by_braze_id: dict[str, str] | None = None
        self._empty = self._pack(Profile())

    def __len__(self) -> int:
        return len(self._packed)

    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def __iter__(self) -> Iterator[str]:
        """All keys, in the order in which the profiles were created."""
        return iter(self._packed)

    def items(self) -> Iterator[tuple[str, Profile]]:
        """Keys and copies of their profiles."""
        for key, packed in self._packed.items():
            yield key, self._unpack(packed)

    def get(self, key: str) -> Profile:
        """A copy of a profile, empty for a new one; ``put`` it back to keep a change."""
        return self._unpack(self._packed.get(key, self._empty))

    def put(self, key: str, profile: Profile) -> None:
        """Store a profile under its key."""
        self._packed[key] = self._pack(profile)

    def add(self, key: str, *, braze_id: str | None = None) -> None:
        """Create an empty profile if absent, and store the ``braze_id`` if given."""
        if braze_id is not None:
            self._braze_ids[key] = braze_id
        elif key in self._packed:
            return
        self._packed.setdefault(key, self._empty)
        if self._keys_by_braze_id is not None:
            self._keys_by_braze_id[self.braze_id(key)] = key

    def key_of(self, entry: Mapping[str, Any]) -> str:
        """The key of an entry's profile, which may not exist yet."""
        external, braze_id = entry.get("external_id"), entry.get("braze_id") or ""
        if external is not None:
            return str(external)
        return self.by_braze_id(braze_id) or _BRAZE_ID + braze_id

    def find(self, user: str) -> str | None:
        """The key of a profile by external id or braze id."""
        return user if user in self._packed else self.by_braze_id(user)

    def by_braze_id(self, braze_id: str) -> str | None:
        """The key of the profile with this ``braze_id``."""
        if self._keys_by_braze_id is None:
            self._keys_by_braze_id = {self.braze_id(key): key for key in self._packed}
        return self._keys_by_braze_id.get(braze_id)

    def braze_id(self, key: str) -> str:
        """The ``braze_id`` of a profile: as given, or else derived from its key."""
        if external_id(key) is None:
            return key.removeprefix(_BRAZE_ID)
        given = self._braze_ids.get(key)
        return given or hashlib.blake2b(key.encode(), digest_size=12).hexdigest()

    def _pack(self, profile: Profile) -> bytes:
        shape = tuple(profile.values)
        number = self._shape_numbers.setdefault(shape, len(self._shapes))
        if number == len(self._shapes):
            self._shapes.append(shape)
        values = list(profile.values.values())
        return marshal.dumps((number, profile.objects, profile.attributes, values))

    def _unpack(self, packed: bytes) -> Profile:
        number, objects, attributes, values = marshal.loads(packed)  # noqa: S302 - our own
        shape = self._shapes[number]
        return Profile(dict(zip(shape, values, strict=True)), objects, attributes)


def external_id(key: str) -> str | None:
    """The ``external_id`` in a key, None for a profile without one."""
    return None if key.startswith(_BRAZE_ID) else key


def name_of(key: str) -> str:
    """The name of a profile on the page and in tests: its external id, else its braze id."""
    return key.removeprefix(_BRAZE_ID)
