"""Keeps the API key hidden, and removes it from texts.

Braze repeats the key in the body of a 401 (``Invalid API key: <key>``). So every text from Braze or
from the HTTP library passes through here before anything else sees it, and loggers need no filter
of their own.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote as url_quote

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.errors import CredentialsMissing, InvalidCredentials

REDACTED: Final = "[redacted]"
_PIECE: Final = 8
"""This many consecutive characters of a key are removed wherever they occur."""

_SHORTEST_VALUE: Final = 3
"""Removing shorter values would remove common words from a sentence."""

_STATES: Final = frozenset({"subscribed", "unsubscribed", "opted_in", "user_alias", "attributes"})
_QUOTED: Final = re.compile(
    r"(?<!\w)(['\"`])(.*?)\1(?!\w)|([\u201c\u00ab\u2018])(.*?)[\u201d\u00bb\u2019]", re.DOTALL
)
_TELLING: Final = re.compile(r"\S*[@\d]\S*")
_MAX_TEXT: Final = 300


class Secret:
    """A credential. Only ``reveal`` gives its text; ``repr`` and ``str`` hide it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself; only for the request's header."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        """Refuse to be pickled, because a pickle may be stored.

        Raises:
            TypeError: always.
        """
        raise TypeError("A secret cannot be pickled.")


def has_api_key(environ: Mapping[str, str], name: str) -> bool:
    """Whether an environment variable is set, to whatever."""
    return bool(environ.get(name, "").strip())


def read_api_key(environ: Mapping[str, str], name: str) -> Secret:
    """The API key in an environment variable.

    Raises:
        CredentialsMissing: the variable is not set, or empty.
        InvalidCredentials: its value cannot be a key.
    """
    if not has_api_key(environ, name):
        raise CredentialsMissing(
            f"The environment variable {name} is not set, or is empty.",
            fix=f"Set {name} to a REST API key with the `users.track` permission "
            "(Braze: Settings > APIs and Identifiers).",
        )
    value = environ[name].strip()
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidCredentials(
            f"The environment variable {name} contains characters that are not valid in an API "
            "key.",
            fix="Copy the key again, without quotes, spaces or line breaks.",
        )
    return Secret(value)


class Redactor:
    """Removes a secret from texts, in every form in which it may come back.

    Any eight consecutive characters of the key, or of the key as URL, JSON or base64, are removed:
    a text may have been truncated.
    """

    def __init__(self, secret: Secret) -> None:
        forms = [_lower(form) for form in _forms(secret.reveal())]
        self._length = min(_PIECE, *(len(form) for form in forms))
        self._pieces = frozenset(
            form[start : start + self._length]
            for form in forms
            for start in range(len(form) - self._length + 1)
        )

    def __call__(self, text: str) -> str:
        """The text without the secret."""
        low = _lower(text)
        hits = [
            start
            for start in range(len(low) - self._length + 1)
            if low[start : start + self._length] in self._pieces
        ]
        clean: list[str] = []
        at = 0
        for start in hits:
            if start >= at:
                clean += [text[at:start], REDACTED if start > at or not clean else ""]
            at = start + self._length
        return "".join([*clean, text[at:]]) if hits else text

    def __repr__(self) -> str:
        return "Redactor(hidden)"


def _lower(text: str) -> str:
    """Lower case, character by character, so that positions do not change."""
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def _forms(key: str) -> set[str]:
    escaped = json.dumps(key)[1:-1]
    forms = {key, url_quote(key), url_quote(key, safe=""), escaped}
    forms |= {json.dumps(escaped)[1:-1], repr(key)[1:-1], repr(key.encode())[2:-1]}
    for before in range(3):
        # Base64 has three forms of the key, depending on where it starts in a group of three bytes.
        padded = b"\0" * before + key.encode()
        first, last = -(-before * 8 // 6), len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(padded).decode()[first:last])
    return {form for form in forms if form}


def safe_text(text: str, redact: Redactor, *, values: Iterable[str] = ()) -> str:
    """A sentence from Braze without the key and without any values that it quotes.

    Names of profile fields and of subscription states stay: they say what is wrong. ``values`` are
    texts that were sent; they are removed wherever they occur.
    """
    # JSON may escape half of a character, which no file or database takes.
    clean = redact(text.encode(errors="replace").decode())
    for value in sorted(set(values), key=len, reverse=True):
        if len(value) >= _SHORTEST_VALUE:
            clean = clean.replace(value, "…")
    clean = _QUOTED.sub(_mask_quoted, clean)
    clean = _TELLING.sub("…", clean)
    return " ".join(clean.split())[:_MAX_TEXT]


def _mask_quoted(match: re.Match[str]) -> str:
    inner = match.group(2) if match.group(2) is not None else match.group(4)
    if inner in FIELDS or inner in _STATES:
        return match.group(0)
    quote = match.group(1) or '"'
    return f"{quote}…{quote}"
