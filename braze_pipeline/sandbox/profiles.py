"""The sandbox's profiles, small enough in memory for a million of them.

A profile is held as one ``marshal`` string of its values; the names lie once in a shared *shape*.
A million profiles of 14 attributes take some 300 MB this way, a fifth of what dictionaries take.
Nothing here is safe across threads: ``workspace`` holds the lock.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from braze_pipeline.settings import Json

_BRAZE = "\0braze_id\0"
_ALIAS = "\0user_alias\0"
_ANONYMOUS = "\0anonymous\0"

Alias = tuple[str, str]
"""``(alias_label, alias_name)``."""


@dataclass
class Profile:
    """What one user has.

    Attributes:
        values: Profile fields and custom attributes by name, as they were sent.
        objects: Objects that were applied to it by requests.
        attributes: Attributes in those objects, counted as often as sent.
    """

    values: dict[str, Json] = field(default_factory=dict)
    objects: int = 0
    attributes: int = 0


class ProfileStore:
    """Profiles by key; a key is the ``external_id``, or a made one for a profile without."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._shapes: list[tuple[str, ...]] = []
        self._shape_numbers: dict[tuple[str, ...], int] = {}
        self._braze_ids: dict[str, str] = {}
        self._keys_by_braze_id: dict[str, str] | None = None
        self._aliases: dict[Alias, str] = {}
        self._empty = self._pack(Profile())

    def __len__(self) -> int:
        return len(self._packed)

    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def __iter__(self) -> Iterator[str]:
        """All keys, in the order in which the profiles came into being."""
        return iter(self._packed)

    def page(self, offset: int, limit: int) -> list[str]:
        """Some of the keys, in the same order."""
        return list(islice(self._packed, offset, offset + limit))

    def find(self, user: str) -> str | None:
        """The key of a profile by external id or braze id."""
        return user if user in self._packed else self.by_braze_id(user)

    def name(self, key: str) -> str:
        """A profile's name for people: external id, else seeded braze id, else alias."""
        given = external_id(key) or self._braze_ids.get(key)
        return given or " ".join(part for part in key.split("\0") if part)

    def get(self, key: str) -> Profile | None:
        """A copy of a profile; ``put`` it back to keep a change."""
        packed = self._packed.get(key)
        return None if packed is None else self._unpack(packed)

    def put(self, key: str, profile: Profile) -> None:
        """Store a profile under its key."""
        self._packed[key] = self._pack(profile)

    def add(self, key: str, *, braze_id: str | None = None) -> None:
        """Let an empty profile be; one that is there already stays as it is."""
        if key not in self._packed:
            self._packed[key] = self._empty
            if self._keys_by_braze_id is not None:
                self._keys_by_braze_id[self.braze_id(key)] = key
        if braze_id is not None:
            self._braze_ids[key] = braze_id
            if self._keys_by_braze_id is not None:
                self._keys_by_braze_id[braze_id] = key

    def add_by_braze_id(self, braze_id: str) -> str:
        """The key of a profile with this ``braze_id``, made where there is none."""
        key = self.key_of_braze_id(braze_id)
        if key not in self:
            self.add(key, braze_id=braze_id)
        return key

    def key_of_braze_id(self, braze_id: str) -> str:
        """The key that a profile with this ``braze_id`` has, or would have."""
        return self.by_braze_id(braze_id) or _BRAZE + braze_id

    def add_alias(self, alias: Alias, key: str | None = None) -> str:
        """The key of a profile with this alias; without ``key`` an alias-only profile is made."""
        if key is None:
            key = self._aliases.get(alias) or _ALIAS + "\0".join(alias)
        self.add(key)
        self._aliases[alias] = key
        return key

    def add_anonymous(self) -> str:
        """The key of a new profile with no primary identifier of ours."""
        key = f"{_ANONYMOUS}{len(self._packed)}"
        self.add(key)
        return key

    def by_braze_id(self, braze_id: str) -> str | None:
        """The key of the profile with this ``braze_id``."""
        if self._keys_by_braze_id is None:
            self._keys_by_braze_id = {self.braze_id(key): key for key in self._packed}
        return self._keys_by_braze_id.get(braze_id)

    def by_alias(self, alias: Alias) -> str | None:
        """The key of the profile with this alias."""
        return self._aliases.get(alias)

    def by_value(self, name: str, value: Json) -> str | None:
        """The key of a profile whose field has this value: the last one with an external id.

        Reads every profile: for the secondary identifiers, which are rare.
        """
        found: str | None = None
        for key, profile in self.items():
            if profile.values.get(name) == value and (found is None or external_id(key)):
                found = key
        return found

    def braze_id(self, key: str) -> str:
        """The ``braze_id`` of a profile: as seeded, else derived from its key."""
        given = self._braze_ids.get(key) or key.partition(_BRAZE)[2]
        return given or hashlib.blake2b(key.encode(), digest_size=12).hexdigest()

    def aliases(self, key: str) -> list[Alias]:
        """The aliases of a profile."""
        return [alias for alias, owner in self._aliases.items() if owner == key]

    def items(self) -> Iterator[tuple[str, Profile]]:
        """Keys and copies of their profiles."""
        for key, packed in self._packed.items():
            yield key, self._unpack(packed)

    def _pack(self, profile: Profile) -> bytes:
        shape = tuple(profile.values)
        number = self._shape_numbers.get(shape)
        if number is None:
            number = self._shape_numbers[shape] = len(self._shapes)
            self._shapes.append(shape)
        values = tuple(profile.values.values())
        return marshal.dumps((number, profile.objects, profile.attributes, values))

    def _unpack(self, packed: bytes) -> Profile:
        number, objects, attributes, values = marshal.loads(packed)  # noqa: S302 - our own
        shape = self._shapes[number]
        return Profile(dict(zip(shape, values, strict=True)), objects, attributes)


def external_id(key: str) -> str | None:
    """The ``external_id`` behind a key, None for a profile without."""
    return None if key.startswith("\0") else key
