"""Requests as JSON lines in a file: everything that arrived except the API key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from braze_pipeline import private
from braze_pipeline.sandbox.endpoints import Request
from braze_pipeline.sandbox.traffic import RequestRecord

_SECRET: Final = frozenset({"authorization", "proxy-authorization", "cookie"})

_MIN_KEY_LENGTH: Final = 8
"""Characters. Keys of at least this length are also removed from bodies; a shorter trial key could
match ordinary text."""


class Recorder:
    """Writes one line per request, before its response is sent; only the server's thread writes.

    A line has ``number``, ``received_at``, ``method``, ``path``, ``query``, ``headers`` (without
    credentials), ``body`` (JSON, or text if it is not JSON), ``status`` (0: no response),
    ``fault``.
    """

    def __init__(self, path: Path) -> None:
        self._file = private.file(path).open("a", encoding="utf-8")

    def write(self, request: Request, record: RequestRecord) -> None:
        """Add a request to the file."""
        body = request.document
        if body is None and request.body:
            body = request.body.decode("utf-8", "replace")
        headers = {name: text for name, text in request.headers.items() if name not in _SECRET}
        line = {
            "number": record.number,
            "received_at": record.received_at.isoformat(),
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": headers,
            "body": body,
            "status": record.status,
            "fault": record.fault,
        }
        text = json.dumps(line, ensure_ascii=False)
        if request.key and len(request.key) >= _MIN_KEY_LENGTH:
            text = text.replace(request.key, "***")
        self._file.write(text + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
