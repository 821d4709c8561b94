"""The sandbox as it stands, for its page, its JSON views and the tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from braze_pipeline.sandbox.faults import Fault, Faults
from braze_pipeline.sandbox.profiles import ProfileStore
from braze_pipeline.sandbox.reading import exported
from braze_pipeline.sandbox.seeds import User
from braze_pipeline.sandbox.traffic import Traffic
from braze_pipeline.sandbox.workspace import Workspace

PAGE: Final = 200
"""Most profiles in one answer of ``/sandbox/profiles.json``."""

RECENT: Final = 50
"""Requests that the page lists."""


@dataclass
class State:
    """Reads over everything that a sandbox holds, each under the workspace's lock."""

    workspace: Workspace
    traffic: Traffic
    faults: Faults

    def counts(self) -> dict[str, Any]:
        """Totals: requests, objects, profiles, overlaps, and the answers by status."""
        with self.workspace.lock:
            totals, traffic = self.workspace.totals, self.traffic
            return {
                "requests": traffic.totals["requests"],
                "bytes": traffic.totals["bytes"],
                "profiles": len(self.workspace.profiles),
                "custom_attributes": len(self.workspace.attributes),
                "objects_taken": totals["attributes_taken"],
                "objects_refused": totals["refused"],
                "objects_ignored": totals["ignored"],
                "objects_applied": totals["attributes_taken"] - totals["ignored"],
                "events_taken": totals["events_taken"],
                "purchases_taken": totals["purchases_taken"],
                "profiles_created": totals["created"],
                "attributes_sent": totals["attributes"],
                "data_points": totals["data_points"],
                "in_flight": traffic.in_flight,
                "peak_in_flight": traffic.peak_in_flight,
                "overlaps": len(traffic.overlaps),
                "repeated_users": traffic.repeated_users,
                "answers": _picked(traffic, "status ") | _picked(traffic, "no answer"),
                "faults": _picked(traffic, "fault "),
            }

    def profiles(self, *, offset: int, limit: int, search: str) -> dict[str, Any]:
        """A page of profiles; ``search`` is looked for in ids and values, whatever the case."""
        limit = max(1, min(limit, PAGE))
        with self.workspace.lock:
            total = matching = len(self.workspace.profiles)
            if search:
                keys = self._matching(search.casefold(), offset + limit)
                page, matching = keys[offset : offset + limit], len(keys)
            else:
                page = self.workspace.profiles.page(offset, limit)
            return {
                "total": total,
                "matching": matching,
                "offset": offset,
                "profiles": [self._shown(key) for key in page],
            }

    def _matching(self, search: str, enough: int) -> list[str]:
        """Keys that match, at most one more than ``enough``: a million are not read for a page."""
        found = []
        for key, profile in self.workspace.profiles.items():
            if search in key.casefold() or search in str(profile.values).casefold():
                found.append(key)
                if len(found) > enough:
                    break
        return found

    def profile(self, user: str) -> dict[str, Any] | None:
        """One profile by external id or braze id."""
        with self.workspace.lock:
            key = self.workspace.profiles.find(user)
            return None if key is None else self._shown(key)

    def _shown(self, key: str) -> dict[str, Any]:
        profile = self.workspace.profiles.get(key)
        counts = (0, 0) if profile is None else (profile.objects, profile.attributes)
        name = self.workspace.profiles.name(key)
        shown = exported(self.workspace, key)
        return {"id": name, "objects": counts[0], "attributes": counts[1], "profile": shown}

    def recent(self) -> list[dict[str, Any]]:
        """The last requests, newest first, without whom they were about."""
        with self.workspace.lock:
            records = list(self.traffic.requests)[-RECENT:]
        return [
            {
                "number": record.number,
                "received_at": record.received_at.isoformat(timespec="milliseconds"),
                "method": record.method,
                "path": record.path,
                "bytes": record.size,
                "objects": len(record.users),
                "status": record.status,
                "refused": record.refused,
                "ignored": record.ignored,
                "fault": record.fault,
            }
            for record in reversed(records)
        ]

    def overlaps(self) -> list[dict[str, Any]]:
        """Users that were in two requests in flight, and in which."""
        with self.workspace.lock:
            return [
                {"user": one.user, "first": one.first, "second": one.second}
                for one in self.traffic.overlaps
            ]

    def seed(self, users: Iterable[User]) -> int:
        """Let users exist; returns how many profiles there are."""
        return self.workspace.seed(users)

    def script(self, faults: Iterable[Fault | None], path: str) -> None:
        """Let the next requests of a path meet these faults."""
        self.faults.script(faults, path)

    def reset(self) -> None:
        """Forget profiles, attributes, requests, counts and faults."""
        with self.workspace.lock:
            self.workspace.profiles = ProfileStore()
            self.workspace.attributes.clear()
            self.workspace.totals.clear()
            self.workspace.refusals.clear()
            self.traffic.clear()
            self.faults.clear()


def _picked(traffic: Traffic, start: str) -> dict[str, int]:
    return {
        name.removeprefix("status ").removeprefix("fault "): count
        for name, count in sorted(traffic.totals.items())
        if name.startswith(start)
    }
