"""The stand-in Braze as an object to start, inspect and stop.

What belongs here: putting the parts together, and the interface for tests and the command line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from braze_pipeline.braze.client import TRACK
from braze_pipeline.sandbox import files
from braze_pipeline.sandbox.coercion import DataType
from braze_pipeline.sandbox.endpoints import PERMISSIONS, Endpoints
from braze_pipeline.sandbox.faults import Fault, FaultKind, FaultPlan, Faults
from braze_pipeline.sandbox.pages import pages
from braze_pipeline.sandbox.profiles import Profile, name_of
from braze_pipeline.sandbox.recorder import Recorder
from braze_pipeline.sandbox.server import HOST, BrazeApp, Server
from braze_pipeline.sandbox.state import SandboxState
from braze_pipeline.sandbox.throttle import Limits, Throttle
from braze_pipeline.sandbox.traffic import Overlap, RequestRecord
from braze_pipeline.sandbox.workspace import User, Workspace
from braze_pipeline.settings import Json

SANDBOX_API_KEY: Final = "sandbox-key-for-trials-only"
"""The default API key of a sandbox."""


class Sandbox(SandboxState):
    """A stand-in Braze: a real HTTP server on the loopback address, with its own workspace.

    Use it as a context manager, or call ``start()`` and ``stop()``. After a stop it can start again
    on the same port with its profiles and counts.
    """

    def __init__(
        self,
        *,
        api_key: str | Mapping[str, Collection[str]] | None = SANDBOX_API_KEY,
        users: Iterable[User] | Path = (),
        assume_all: bool = False,
        limits: Limits | None = None,
        latency: float = 0.0,
        fault_plan: FaultPlan | None = None,
        record: Path | None = None,
        port: int = 0,
    ) -> None:
        """Put a sandbox together; nothing listens before ``start``.

        Args:
            api_key: One key with all permissions; permissions by key; or None to accept any key.
            users: The users that exist: external ids, objects as in ``attributes``, or a file of
                either (see ``files``).
            assume_all: Whether every id counts as an existing user.
            limits: Request limits; None for Braze's documented ones.
            latency: Seconds before every response.
            fault_plan: Faults drawn for ``/users/track`` and ``/users/track/bulk``.
            record: A file that gets every request as a JSON line, without the API key.
            port: 0 for a free port.
        """
        super().__init__(Workspace(assume_all=assume_all), Faults(plan=fault_plan))
        self.port = port
        keys = {api_key: PERMISSIONS} if isinstance(api_key, str) else api_key
        self._endpoints = Endpoints(self.workspace, Throttle(limits or Limits()), keys)
        self._latency = latency
        self._record = record
        self._server: Server | None = None
        self.seed(users)

    def __repr__(self) -> str:
        return f"Sandbox({self.endpoint if self._server else 'stopped'})"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen, and return once requests are answered.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            app = BrazeApp(
                endpoints=self._endpoints,
                state=self,
                latency=self._latency,
                recorder=None if self._record is None else Recorder(self._record),
                pages=pages(self),
            )
            self._server = Server(app, self.port)
            self.port = self._server.port
        return self

    def stop(self) -> None:
        """Drop every connection and stop listening; profiles and counts stay."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def endpoint(self) -> str:
        """The address to send to, as ``BRAZE_REST_ENDPOINT`` takes it; its page is at ``/``."""
        return f"http://{HOST}:{self.port}"

    @property
    def api_key(self) -> str:
        """The first key, with the permissions it was given."""
        return next(iter(self._endpoints.keys or ()), SANDBOX_API_KEY)

    def seed(self, users: Iterable[User] | Path) -> int:
        """Create users that Braze has from the start; returns the number of profiles."""
        given = files.read_users(users) if isinstance(users, Path) else users
        return self.workspace.seed(given)

    def define_attribute(
        self, name: str, data_type: DataType | None = None, *, blocklisted: bool = False
    ) -> None:
        """Create a custom attribute as the dashboard does: with a forced type, or blocklisted."""
        with self.workspace.lock:
            attribute = self.workspace.attribute(name)
            attribute.type = data_type or attribute.type
            attribute.blocklisted = blocklisted

    def refuse(self, user: str, sentence: str = "this user is refused") -> None:
        """From now on, refuse every object of this user (external id or braze id) by name."""
        with self.workspace.lock:
            self.workspace.refusals[user] = sentence

    def script(self, faults: Iterable[Fault | FaultKind | None], *, path: str = TRACK) -> None:
        """Let the next requests of a path meet these faults, one each; None is no fault."""
        self.faults.script(faults, path)

    def profile(self, user: str) -> dict[str, Json] | None:
        """A user's fields and custom attributes, by external or braze id; None if unknown."""
        with self.workspace.lock:
            key = self.workspace.profiles.find(user)
            return None if key is None else self.workspace.profiles.get(key).values

    def profiles(self) -> dict[str, dict[str, Json]]:
        """All profiles by external id, or by braze id if they have none."""
        with self.workspace.lock:
            return {name_of(key): one.values for key, one in self.workspace.profiles.items()}

    def objects_sent(self, user: str) -> int:
        """How many objects were applied to a user."""
        return self._profile(user).objects

    def attributes_sent(self, user: str) -> int:
        """How many attributes were applied to a user; one sent twice counts twice."""
        return self._profile(user).attributes

    def _profile(self, user: str) -> Profile:
        """A user's profile; empty if unknown."""
        with self.workspace.lock:
            store = self.workspace.profiles
            return store.get(store.find(user) or user)

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
