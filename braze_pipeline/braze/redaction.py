"""The API key, held so that it does not show, and the one point where it is taken out of texts.

Braze echoes the key in the body of a 401 (``Invalid API key: <key>``), so every text that comes
from Braze or from the HTTP library passes through here before anything else sees it.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote as url_quote

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.errors import InvalidCredentials

REDACTED: Final = "[redacted]"
_SHORTEST: Final = 6
"""A piece of a key shorter than this says nothing, and would redact half a sentence."""

_STATES: Final = frozenset({"subscribed", "unsubscribed", "opted_in", "user_alias", "attributes"})
_QUOTED: Final = re.compile(r"(['\"`])(.*?)\1", re.DOTALL)
_TELLING: Final = re.compile(r"\S*[@\d]\S*")
_MAX_TEXT: Final = 300


class Secret:
    """A credential. Its text comes out of ``reveal`` only; ``repr`` and ``str`` hide it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself; for the request's header and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        """Refuse to be pickled: a pickle may be stored.

        Raises:
            TypeError: always.
        """
        msg = "A secret cannot be pickled."
        raise TypeError(msg)


def secret_of(environ: Mapping[str, str], name: str) -> Secret:
    """The API key in an environment variable.

    Raises:
        InvalidCredentials: the variable is not set, or holds what cannot be a key.
    """
    value = environ.get(name, "").strip()
    if not value:
        raise InvalidCredentials(
            f"The environment variable {name} holds no API key.",
            fix=f"Set {name} to a REST API key with the permission users.track "
            "(Braze: Settings > APIs and Identifiers).",
        )
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidCredentials(
            f"The environment variable {name} holds signs that no API key has.",
            fix="Copy the key again, without quotes, spaces or line ends.",
        )
    return Secret(value)


class Redactor:
    """Takes a secret out of texts, in every form in which it may come back."""

    def __init__(self, secret: Secret) -> None:
        key = secret.reveal()
        forms = {
            key,
            key.lower(),
            key.upper(),
            url_quote(key, safe=""),
            json.dumps(key)[1:-1],
            base64.b64encode(key.encode()).decode(),
            # All but a little of the key is the key: a text may have been cut.
            key[: max(_SHORTEST, len(key) * 2 // 3)],
            key[-max(_SHORTEST, len(key) * 2 // 3) :],
        }
        ordered = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(form) for form in ordered) or r"(?!)")

    def __call__(self, text: str) -> str:
        """The text without the secret."""
        return self._pattern.sub(REDACTED, text)

    def __repr__(self) -> str:
        return "Redactor(hidden)"


class RedactingFilter(logging.Filter):
    """Takes the secret out of log records, also out of the arguments of other libraries."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record where it holds the secret; never drop it."""
        message = record.getMessage()
        clean = self._redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        return True


def safe_text(text: str, redact: Redactor) -> str:
    """A sentence of Braze's without the key and without the values it may quote.

    Names of profile fields and of subscription states stay: they tell what is wrong.
    """
    clean = _QUOTED.sub(_mask_quoted, redact(text))
    clean = _TELLING.sub("…", clean)
    return " ".join(clean.split())[:_MAX_TEXT]


def _mask_quoted(match: re.Match[str]) -> str:
    sign, inner = match.group(1), match.group(2)
    return match.group(0) if inner in FIELDS or inner in _STATES else f"{sign}…{sign}"
