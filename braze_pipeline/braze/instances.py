"""Braze's instances by name, and their REST endpoints.

Source: Braze docs, "API overview" (``/api/basics``). The list grows, so a configuration may
always give an endpoint instead of a name.
"""

from __future__ import annotations

import difflib
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from braze_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTANCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "US-01": "https://rest.iad-01.braze.com",
        "US-02": "https://rest.iad-02.braze.com",
        "US-03": "https://rest.iad-03.braze.com",
        "US-04": "https://rest.iad-04.braze.com",
        "US-05": "https://rest.iad-05.braze.com",
        "US-06": "https://rest.iad-06.braze.com",
        "US-07": "https://rest.iad-07.braze.com",
        "US-08": "https://rest.iad-08.braze.com",
        "US-10": "https://rest.us-10.braze.com",
        "EU-01": "https://rest.fra-01.braze.eu",
        "EU-02": "https://rest.fra-02.braze.eu",
        "AU-01": "https://rest.au-01.braze.com",
        "ID-01": "https://rest.id-01.braze.com",
        "JP-01": "https://rest.jp-01.braze.com",
        "KR-01": "https://rest.kr-01.braze.com",
    }
)
"""Instance name to REST endpoint, with no trailing slash."""

_PORTS: Final = {"http": 80, "https": 443}


def nearest_instance(name: str) -> str | None:
    """The instance whose name is most like ``name``; None where none is near."""
    wanted = re.sub(r"[\s_-]*0*(\d)$", r"-0\1", name.strip().upper())
    found = difflib.get_close_matches(wanted, INSTANCES, n=1, cutoff=0.5)
    return found[0] if found else None


def endpoint_for(name: str) -> str:
    """The REST endpoint of an instance; the name's case and outer spaces do not matter.

    Raises:
        ConfigurationError: there is no such instance; the message names the nearest one.
    """
    endpoint = INSTANCES.get(name.strip().upper())
    if endpoint is not None:
        return endpoint
    near = nearest_instance(name)
    hint = f"Did you mean {near}? " if near else ""
    raise ConfigurationError(
        f"Braze has no instance named {name!r}.",
        fix=(
            f"{hint}Give one of {', '.join(INSTANCES)}, or the REST endpoint that the dashboard "
            "shows under Settings > APIs and Identifiers."
        ),
    )


def normal_endpoint(url: str) -> str:
    """An endpoint's address in one form: case, trailing slash and default port do not matter.

    Raises:
        ValueError: its port is not a number.
    """
    split = urlsplit(url.strip())
    host = (split.hostname or "").rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    port = "" if split.port in (None, _PORTS.get(split.scheme)) else f":{split.port}"
    return f"{split.scheme}://{host}{port}"
