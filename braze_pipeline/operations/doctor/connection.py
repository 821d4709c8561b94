"""Whether the endpoint's name resolves and its port accepts connections with a trusted certificate.

Nothing is sent: no key, no request.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from braze_pipeline.braze.bounded import proxy_variable
from braze_pipeline.braze.certificates import tls_context
from braze_pipeline.braze.client import untrusted
from braze_pipeline.braze.instances import other_host_warning
from braze_pipeline.errors import BrazeUnavailable, ConfigurationError
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from braze_pipeline.settings import DestinationSettings

_PORTS = {"http": 80, "https": 443}


def reach(destination: DestinationSettings) -> list[Finding]:
    """Check the host, its name and the connection; behind a proxy the last two are the proxy's."""
    if other := other_host_warning(destination.endpoint):
        allowed = "`allow_other_host: true` allows it. Correct the endpoint if it is not yours."
        return [warning(f"{destination.name}: host", other, allowed), *_reach(destination)]
    return _reach(destination)


def _reach(destination: DestinationSettings) -> list[Finding]:
    name = f"{destination.name}: name"
    if proxy := proxy_variable(destination.endpoint):
        through = f"is reached through the proxy in {proxy}, which looks up the name"
        return [ok(name, f"{destination.endpoint} {through}.")]
    split = urlsplit(destination.endpoint)
    host, port = split.hostname or "", split.port or _PORTS.get(split.scheme, 443)
    try:
        addresses = {
            entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        }
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "not a valid host name"
        unresolved = BrazeUnavailable(
            f"The name {host} cannot be looked up ({why}).",
            fix="Check `instance` or `rest_endpoint` in defs.yaml, BRAZE_REST_ENDPOINT, and this "
            "machine's DNS. If the network needs a proxy, set HTTPS_PROXY.",
        )
        return [failure(name, unresolved)]
    return [
        ok(name, f"{host} has {len(addresses)} address{'es' * (len(addresses) > 1)}."),
        _connection(destination, host, port, tls=split.scheme == "https"),
    ]


def _connection(destination: DestinationSettings, host: str, port: int, *, tls: bool) -> Finding:
    name = f"{destination.name}: connection"
    try:
        context = tls_context() if tls else None
    except OSError as error:
        return failure(name, _no_certificates(error))
    try:
        with socket.create_connection((host, port), timeout=destination.connect_timeout) as plain:
            if context is None:
                return ok(name, f"Port {port} answers; plain http, which stays on this machine.")
            with context.wrap_socket(plain, server_hostname=host) as secured:
                version = secured.version()
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "no TLS"
        return failure(name, untrusted(host, reason))
    except OSError as error:
        refused = BrazeUnavailable(
            f"Port {port} of {host} accepts no connection "
            f"({error.strerror or type(error).__name__}).",
            fix="Check the firewall, HTTPS_PROXY if one is needed, and Braze's status page.",
        )
        return failure(name, refused)
    return ok(name, f"Port {port} answers with {version} and a trusted certificate.")


def _no_certificates(error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The certificates in REQUESTS_CA_BUNDLE cannot be used ({error.strerror or 'no PEM'}).",
        fix="Set it to a file of certificates in PEM format, or to a folder of such files that "
        "`openssl rehash` prepared.",
    )
