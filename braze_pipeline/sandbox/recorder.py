"""Requests as JSON lines in a file: everything that arrived, but for the API key."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock
from typing import Final

from braze_pipeline import private
from braze_pipeline.sandbox.endpoints import Request
from braze_pipeline.sandbox.traffic import RequestRecord

_SECRET: Final = frozenset({"authorization", "proxy-authorization", "cookie"})

_TELLTALE: Final = 8
"""Characters of a key from which on it is also struck out of bodies; a shorter one of a trial
would be found in innocent text."""


class Recorder:
    """Writes one line a request, before its answer is sent.

    A line has ``number``, ``received_at``, ``method``, ``path``, ``query``, ``headers`` (without
    credentials), ``body`` (the JSON, or the text where it is none), ``status`` (0: no answer),
    ``fault``.
    """

    def __init__(self, path: Path) -> None:
        self._file = private.file(path).open("a", encoding="utf-8")
        self._lock = Lock()

    def write(self, request: Request, record: RequestRecord) -> None:
        """Add a request to the file."""
        body = request.document
        if body is None and request.body:
            body = request.body.decode("utf-8", "replace")
        line = {
            "number": record.number,
            "received_at": record.received_at.isoformat(),
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": {
                name: text for name, text in request.headers.items() if name not in _SECRET
            },
            "body": body,
            "status": record.status,
            "fault": record.fault,
        }
        text = json.dumps(line, ensure_ascii=False)
        if request.key and len(request.key) >= _TELLTALE:
            text = text.replace(request.key, "***")
        with self._lock:
            self._file.write(text + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
