"""Whether the endpoint's name resolves and its port takes connections, with a trusted certificate.

Nothing is sent: no key, no request.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from braze_pipeline.braze.instances import other_host
from braze_pipeline.errors import BrazeUnavailable, WrongInstance
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from braze_pipeline.settings import DestinationSettings

_PORTS = {"http": 80, "https": 443}


def reach(destination: DestinationSettings) -> list[Finding]:
    """Whose host it is, then name and connection, which behind a proxy are the proxy's business."""
    if other := other_host(destination.endpoint):
        allowed = "`allow_other_host: true` allows it; correct the endpoint if it is not yours."
        return [warning(f"{destination.name}: host", other, allowed), *_reached(destination)]
    return _reached(destination)


def _reached(destination: DestinationSettings) -> list[Finding]:
    name, connection = f"{destination.name}: name", f"{destination.name}: connection"
    if _proxied(destination.endpoint):
        saw = f"{destination.endpoint} is reached through a proxy, which looks the name up."
        return [ok(name, saw)]
    split = urlsplit(destination.endpoint)
    host, port = split.hostname or "", split.port or _PORTS.get(split.scheme, 443)
    try:
        addresses = {
            entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        }
    except (OSError, UnicodeError) as error:
        return [failure(name, _no_name(host, error))]
    found = [ok(name, f"{host} has {len(addresses)} address{'es' * (len(addresses) > 1)}.")]
    try:
        saw = _connect(host, port, tls=split.scheme == "https", wait=destination.connect_timeout)
    except ssl.SSLError as error:
        found.append(failure(connection, _untrusted(host, error)))
    except OSError as error:
        found.append(failure(connection, _no_connection(host, port, error)))
    else:
        found.append(ok(connection, saw))
    return found


def _connect(host: str, port: int, *, tls: bool, wait: float) -> str:
    with socket.create_connection((host, port), timeout=wait) as plain:
        if not tls:
            return f"Port {port} answers; plain http, which stays on this machine."
        context = ssl.create_default_context(cafile=_trusted())
        with context.wrap_socket(plain, server_hostname=host) as secured:
            return f"Port {port} answers with {secured.version()} and a trusted certificate."


def _trusted() -> str:
    """The certificates that requests trusts."""
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH


def _proxied(endpoint: str) -> bool:
    from requests.utils import get_environ_proxies, select_proxy

    return bool(select_proxy(endpoint, get_environ_proxies(endpoint)))


def _no_name(host: str, error: Exception) -> BrazeUnavailable:
    why = getattr(error, "strerror", None) or "not a name"
    return BrazeUnavailable(
        f"The name {host} cannot be looked up ({why}).",
        fix="Check `instance` or `rest_endpoint` in defs.yaml, BRAZE_REST_ENDPOINT, and this "
        "machine's DNS; where only a proxy leads out, set HTTPS_PROXY.",
    )


def _no_connection(host: str, port: int, error: OSError) -> BrazeUnavailable:
    return BrazeUnavailable(
        f"Port {port} of {host} takes no connection ({error.strerror or type(error).__name__}).",
        fix="Check the firewall, HTTPS_PROXY where one is needed, and Braze's status page.",
    )


def _untrusted(host: str, error: ssl.SSLError) -> WrongInstance:
    reason = getattr(error, "verify_message", "") or error.reason or "no TLS"
    return WrongInstance(
        f"{host} shows no certificate that is trusted here ({reason}).",
        fix="Check the endpoint; if a proxy of yours opens TLS, set REQUESTS_CA_BUNDLE to its "
        "certificate.",
    )
