"""A client with a planted key, and what must never be seen of it."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from braze_pipeline.braze.client import BrazeClient, NoAnswer
from braze_pipeline.braze.redaction import Secret
from braze_pipeline.braze.request import Body
from braze_pipeline.settings import DestinationSettings

KEY = "planted-key-7f3a91c5-do-not-show"
OK = b'{"message":"success"}'
TEXT = b'{"attributes":[{"external_id":"u1","first_name":"Planted Person"}]}'
BODY = Body(TEXT)


def client_of(endpoint: str, **more: Any) -> BrazeClient:
    destination = DestinationSettings(name="braze", endpoint=endpoint, **more)
    return BrazeClient(destination, Secret(KEY), pool=4)


def cause_of(client: BrazeClient) -> str:
    with pytest.raises(NoAnswer) as caught:
        client.track(BODY)
    holds_no_secret(caught.value)
    return str(caught.value)


def holds_no_secret(error: BaseException) -> None:
    """Not the key nor the body: in no text, and in nothing that hangs on the exception."""
    seen: list[BaseException] = []
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        chain += [one.__cause__, one.__context__]
        text = f"{one} {one!r} {one.args} {getattr(one, '__dict__', {})}"
        text += "".join(traceback.format_exception(one))
        assert KEY not in text
        assert "Planted Person" not in text
        request = getattr(one, "request", None)
        assert request is None, "the exception carries the request with its headers"
