"""Fills ``{{ env.NAME }}`` in the configuration from the environment, but never with a secret."""

from __future__ import annotations

import os
import re

from braze_pipeline.settings.section import at_key

_ENV = re.compile(r"\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_SECRET = re.compile(r"(API_?KEY|SECRET|TOKEN|PASSWORD)", re.IGNORECASE)


def fill(value: object, *key: str | int) -> object:
    """The value at a key, with every ``{{ env.NAME }}`` in it replaced.

    Raises:
        PydanticCustomError: a variable is not set, or its name is that of a secret.
    """
    if isinstance(value, str):
        return _ENV.sub(lambda match: _variable(match.group(1), *key), value)
    if isinstance(value, list):
        return [fill(item, *key, index) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {name: fill(item, *key, name) for name, item in value.items()}
    return value


def _variable(name: str, *key: str | int) -> str:
    if _SECRET.search(name):
        raise at_key(
            f"{{{{ env.{name} }}}} would copy a secret into the configuration. "
            f"Give the name of the variable instead, as in `api_key_env: {name}`.",
            *key,
        )
    if name not in os.environ:
        raise at_key(f"The environment variable {name} is not set.", *key)
    return os.environ[name]
