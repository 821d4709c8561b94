"""The certificates that are trusted: what REQUESTS_CA_BUNDLE names, as ``requests`` has it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TypedDict


class Bundle(TypedDict, total=False):
    """Where trusted certificates are, as arguments of ``ssl``: in a file, or in a folder."""

    cafile: str
    capath: str


def bundle_path() -> str | None:
    """The file or folder that REQUESTS_CA_BUNDLE names; None if it is not set."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or None


def bundle() -> Bundle:
    """The same for ``ssl``; empty if it is not set."""
    place = bundle_path()
    if place is None:
        return {}
    return {"capath": place} if Path(place).is_dir() else {"cafile": place}


def tls_context() -> ssl.SSLContext:
    """Verifies; trusts what requests to Braze trust: REQUESTS_CA_BUNDLE, or what ``requests`` has.

    Raises:
        OSError: these certificates cannot be used.
    """
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return ssl.create_default_context(**(bundle() or {"cafile": DEFAULT_CA_BUNDLE_PATH}))
