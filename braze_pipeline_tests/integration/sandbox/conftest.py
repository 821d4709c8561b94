"""A client of the sandbox as any HTTP client would be one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from braze_pipeline.sandbox import Sandbox

Post = Callable[..., requests.Response]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox that knows the users 1 to 9."""
    with Sandbox(users=[str(number) for number in range(1, 10)]) as running:
        yield running


@pytest.fixture
def post() -> Iterator[Post]:
    """Posts to a sandbox with its own key: ``post(sandbox, path, document or bytes)``."""
    with requests.Session() as session:

        def send(
            sandbox: Sandbox,
            path: str,
            body: dict[str, Any] | bytes,
            *,
            timeout: float = 20,
            **headers: str,
        ) -> requests.Response:
            sent = {"Authorization": f"Bearer {sandbox.api_key}"} | headers
            address = sandbox.endpoint + path
            if isinstance(body, bytes):
                return session.post(address, data=body, headers=sent, timeout=timeout)
            return session.post(address, json=body, headers=sent, timeout=timeout)

        yield send


def objects(*users: str, **values: Any) -> dict[str, Any]:
    """A body with one update-only object a user, all with the same values."""
    return {
        "attributes": [
            {"external_id": user, "_update_existing_only": True} | values for user in users
        ]
    }
