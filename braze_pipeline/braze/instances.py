"""Braze's instances by name, and their REST endpoints.

Source: Braze docs, "API overview" (``/api/basics``). The list grows, so a configuration may
always give an endpoint instead of a name.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.user_input import did_you_mean
from braze_pipeline.wordlists import meanings

INSTANCES: Final = MappingProxyType(
    {
        name: f"https://{host}"
        for name, host in meanings(Path(__file__).with_name("instances.txt")).items()
    }
)
"""Instance name to REST endpoint, with no trailing slash."""

_PORTS: Final = {"http": 80, "https": 443}


def endpoint_for(name: str) -> str:
    """The REST endpoint of an instance; the name's case and outer spaces do not matter.

    Raises:
        ConfigurationError: there is no such instance; the message names the nearest one.
    """
    endpoint = INSTANCES.get(name.strip().upper())
    if endpoint is not None:
        return endpoint
    usual = re.sub(r"[\s_-]*0*(\d)$", r"-0\1", name.strip().upper())
    raise ConfigurationError(
        f"Braze has no instance named {name!r}.{did_you_mean(usual, INSTANCES)}",
        fix=(
            f"Use one of {', '.join(INSTANCES)}, or the REST endpoint that the dashboard "
            "shows under Settings > APIs and Identifiers."
        ),
    )


def normalise_endpoint(url: str) -> str:
    """An endpoint's address in one form, without case, trailing slash and default port.

    Raises:
        ValueError: its port is not a number.
    """
    split = urlsplit(url.strip())
    host = (split.hostname or "").rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    port = "" if split.port in (None, _PORTS.get(split.scheme)) else f":{split.port}"
    return f"{split.scheme}://{host}{port}"


def is_unencrypted(url: str) -> bool:
    """Whether requests to an address travel unencrypted: no https, and not on this machine."""
    split = urlsplit(url)
    here = split.scheme == "http" and _is_loopback(split.hostname or "")
    return split.scheme != "https" and not here


def other_host_warning(endpoint: str) -> str:
    """A warning if an endpoint is neither a known instance nor on this machine; else empty."""
    host = (urlsplit(endpoint).hostname or "").rstrip(".")
    if _is_loopback(host) or f"https://{host}" in INSTANCES.values():
        return ""
    return (
        f"{host} is not the host of a Braze instance that this version knows: the API key and "
        "personal data are sent there."
    )


def on_this_machine(endpoint: str) -> bool:
    """Whether an endpoint is a sandbox's: only this machine can reach it."""
    return _is_loopback((urlsplit(endpoint).hostname or "").rstrip("."))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def validate_endpoint(url: str, *, named: str, allow_other_host: bool) -> str:
    """A REST endpoint in its normal form.

    Args:
        url: As it was given.
        named: Where it was given, for messages.
        allow_other_host: Whether hosts other than Braze's and this machine are allowed.

    Raises:
        ConfigurationError: it is not an https address (plain http is for loopback only), contains
            a path, user or query, is a dashboard's address, or its host is not allowed.
    """
    fix = "It looks like https://rest.iad-01.braze.com (Settings > APIs and Identifiers)."
    try:
        split, normal = urlsplit(url.strip()), normalise_endpoint(url)
    except ValueError as error:
        raise ConfigurationError(f"{named} is not a REST endpoint.", fix=fix) from error
    if split.scheme not in {"http", "https"} or not split.hostname:
        raise ConfigurationError(f"{named} is not a REST endpoint.", fix=fix)
    if split.username or split.password or split.query or split.fragment:
        raise ConfigurationError(
            f"{named} contains more than an address: remove the user, password or query.",
            fix=fix,
        )
    if split.path.strip("/"):
        raise ConfigurationError(f"{named} must not contain a path ({split.path}).", fix=fix)
    if split.hostname.startswith("dashboard"):
        raise ConfigurationError(f"{named} is the address of a dashboard.", fix=fix)
    if is_unencrypted(normal):
        raise ConfigurationError(
            f"{named} uses plain http: the API key and personal data would be sent unencrypted.",
            fix="Use https.",
        )
    warning = other_host_warning(normal)
    if warning and not allow_other_host:
        raise ConfigurationError(
            f"{named}: {warning}",
            fix="Correct the address. If it is a newer instance, your own proxy or a test server, "
            "add `allow_other_host: true` under `destination`.",
        )
    return normal
