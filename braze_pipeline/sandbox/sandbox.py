"""The stand-in Braze as a thing to start, look into and stop.

What belongs here: putting the parts together, and what tests and the command line ask of them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from braze_pipeline.braze.limits import MAX_BODY_BYTES, MAX_OBJECTS
from braze_pipeline.sandbox import seeds
from braze_pipeline.sandbox.answers import ErrorShape
from braze_pipeline.sandbox.api import PERMISSIONS, TRACK, Api
from braze_pipeline.sandbox.faults import Fault, FaultKind, FaultPlan, Faults
from braze_pipeline.sandbox.pages import pages
from braze_pipeline.sandbox.profiles import Profile
from braze_pipeline.sandbox.reading import write_export
from braze_pipeline.sandbox.recorder import Recorder
from braze_pipeline.sandbox.running import HOST, Running
from braze_pipeline.sandbox.seeds import User
from braze_pipeline.sandbox.server import BrazeApp, Connections, Latency
from braze_pipeline.sandbox.state import State
from braze_pipeline.sandbox.throttle import Clock, Limits, Throttle
from braze_pipeline.sandbox.traffic import Overlap, RequestRecord, Traffic
from braze_pipeline.sandbox.values import CustomAttribute, DataType
from braze_pipeline.sandbox.workspace import Workspace
from braze_pipeline.settings import Json

SANDBOX_API_KEY: Final = "sandbox-key-for-trials-only"
"""The key of a sandbox that was given no other."""


class Sandbox:
    """A stand-in Braze: a real HTTP server on the loopback address, with its own workspace.

    Use it as a context manager, or ``start()`` and ``stop()``; after a stop it can start again on
    the same port with all that it knew.
    """

    def __init__(
        self,
        *,
        api_key: str | Mapping[str, Collection[str]] | None = SANDBOX_API_KEY,
        users: Iterable[User] | Path = (),
        assume_all: bool = False,
        blocked_users: Collection[str] = (),
        limits: Limits | None = None,
        latency: float | Latency = 0.0,
        fault_plan: FaultPlan | None = None,
        max_objects: int = MAX_OBJECTS,
        per_array: bool = False,
        max_body_bytes: int = MAX_BODY_BYTES,
        too_large_status: int = 413,
        error_shape: ErrorShape = ErrorShape.MEASURED,
        all_invalid_status: int = 400,
        fields_required: bool = True,
        record: Path | None = None,
        port: int = 0,
        clock: Clock = time.time,
    ) -> None:
        """Put a sandbox together; nothing listens before ``start``.

        Args:
            api_key: One key with all permissions; or permissions by key; or None: any key will do.
            users: Whom Braze has: external ids, objects as in ``attributes``, or a file of either
                (see ``seeds``).
            assume_all: Every id counts as a user that Braze has.
            blocked_users: External ids that are refused as dummy users.
            limits: Request limits; Braze's documented ones where None.
            latency: Seconds before every answer.
            fault_plan: Faults drawn for ``/users/track``.
            max_objects: see ``Api``.
            per_array: see ``Api``.
            max_body_bytes: see ``Api``.
            too_large_status: see ``Api``.
            error_shape: see ``Api``.
            all_invalid_status: see ``Api``.
            fields_required: see ``Api``.
            record: A file that gets every request as a JSON line, without the API key.
            port: 0 for a free one.
            clock: Seconds since the epoch, for the request limits.
        """
        self.workspace = Workspace(assume_all=assume_all, blocked_users=frozenset(blocked_users))
        self.traffic = Traffic()
        self.faults = Faults(plan=fault_plan)
        self.port = port
        self._keys: Mapping[str, Collection[str]] | None = (
            {api_key: PERMISSIONS} if isinstance(api_key, str) else api_key
        )
        self._record = record
        self._latency = latency if isinstance(latency, Latency) else Latency(seconds=latency)
        self._connections = Connections()
        self._api = Api(
            workspace=self.workspace,
            throttle=Throttle(limits or Limits(), clock),
            keys=self._keys,
            max_objects=max_objects,
            per_array=per_array,
            max_body_bytes=max_body_bytes,
            too_large_status=too_large_status,
            error_shape=error_shape,
            all_invalid_status=all_invalid_status,
            fields_required=fields_required,
        )
        self.state = State(self.workspace, self.traffic, self.faults)
        self._running: Running | None = None
        self.seed(users)

    def __repr__(self) -> str:
        return f"Sandbox({self.endpoint if self._running else 'stopped'})"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen, and return once requests are answered.

        Raises:
            OSError: the port is taken.
        """
        if self._running is None:
            recorder = None if self._record is None else Recorder(self._record)
            app = BrazeApp(
                api=self._api,
                faults=self.faults,
                latency=self._latency,
                traffic=self.traffic,
                recorder=recorder,
                connections=self._connections,
                pages=pages(self.state),
            )
            self._running = Running(app, self.port)
            self.port = self._running.port
        return self

    def stop(self) -> None:
        """Drop every connection and stop listening; profiles and counts stay."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    @property
    def endpoint(self) -> str:
        """The address to send to, as ``BRAZE_REST_ENDPOINT`` takes it."""
        return f"http://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address of the page that shows the profiles."""
        return f"{self.endpoint}/"

    @property
    def api_key(self) -> str:
        """A key that has every permission it was given; the first one."""
        return next(iter(self._keys), SANDBOX_API_KEY) if self._keys else SANDBOX_API_KEY

    def seed(self, users: Iterable[User] | Path) -> int:
        """Let users exist as if Braze had them all along; returns how many profiles there are."""
        return self.workspace.seed(seeds.read(users) if isinstance(users, Path) else users)

    def define_attribute(
        self, name: str, data_type: DataType | None = None, *, blocklisted: bool = False
    ) -> CustomAttribute:
        """Make a custom attribute as in the dashboard: its type forced, or blocklisted."""
        with self.workspace.lock:
            attribute = self.workspace.attribute(name)
            attribute.type = data_type or attribute.type
            attribute.blocklisted = blocklisted
            return attribute

    def refuse(self, user: str, sentence: str = "this user is refused") -> None:
        """From now on, refuse every object of this user (external id or braze id) by name."""
        with self.workspace.lock:
            self.workspace.refusals[user] = sentence

    def script(self, faults: Iterable[Fault | FaultKind | None], *, path: str = TRACK) -> None:
        """Let the next requests of a path meet these faults, one each; None is no fault."""
        self.faults.script(faults, path)

    def reset(self) -> None:
        """Forget profiles, attributes, requests, counts and faults."""
        self.state.reset()

    def profile(self, user: str) -> dict[str, Json] | None:
        """Fields and custom attributes of a user by external or braze id; None for an unknown."""
        found = self._profile(user)
        return None if found is None else found.values

    def profiles(self) -> dict[str, dict[str, Json]]:
        """All profiles by external id, else braze id, else alias."""
        with self.workspace.lock:
            store = self.workspace.profiles
            return {store.name(key): one.values for key, one in store.items()}

    def objects_sent(self, user: str) -> int:
        """How many objects were applied to a user."""
        found = self._profile(user)
        return 0 if found is None else found.objects

    def attributes_sent(self, user: str) -> int:
        """How many attributes were applied to a user, counted as often as sent."""
        found = self._profile(user)
        return 0 if found is None else found.attributes

    def _profile(self, user: str) -> Profile | None:
        with self.workspace.lock:
            key = self.workspace.profiles.find(user)
            return None if key is None else self.workspace.profiles.get(key)

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests that arrived, oldest first (the last 20,000)."""
        with self.workspace.lock:
            return list(self.traffic.requests)

    @property
    def overlaps(self) -> list[Overlap]:
        """Every time that a user was in two requests in flight."""
        with self.workspace.lock:
            return self.traffic.overlaps

    def counts(self) -> dict[str, Any]:
        """Totals, as ``/sandbox/state.json`` gives them."""
        return self.state.counts()

    def write_export(self, path: Path) -> int:
        """Write all profiles as an export file (JSON lines); returns how many."""
        return write_export(self.workspace, path)

    def save(self, path: Path) -> None:
        """Write profiles and custom attributes to a file that ``load`` reads."""
        seeds.save(self.workspace, path)

    def load(self, path: Path) -> None:
        """Read what ``save`` wrote; a file that is not there holds nothing."""
        if path.exists():
            seeds.load(self.workspace, path)
