"""What every part of the configuration has in common: strict keys, near names, environment.

Each model of the configuration refuses a key that it does not know and names the nearest one it
does. A text may hold ``{{ env.NAME }}``; it is replaced before it is checked.
"""

from __future__ import annotations

import os
import re
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from braze_pipeline.user_input import did_you_mean

_ENV = re.compile(r"\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_SECRET = re.compile(r"(API_?KEY|SECRET|TOKEN|PASSWORD)", re.IGNORECASE)


def one_of(*allowed: str) -> BeforeValidator:
    """A text that is one of the given ones, with the nearest named when it is not."""

    def check(value: object) -> object:
        if isinstance(value, str) and value in allowed:
            return value
        shown = ", ".join(allowed)
        msg = f"{value!r} is not allowed here; allowed: {shown}.{did_you_mean(str(value), allowed)}"
        raise ValueError(msg)

    return BeforeValidator(check)


def _fill(value: object) -> object:
    if isinstance(value, str):
        return _ENV.sub(_environment, value)
    if isinstance(value, list):
        return [_fill(item) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item) for key, item in value.items()}
    return value


def _environment(match: re.Match[str]) -> str:
    name = match.group(1)
    if _SECRET.search(name):
        msg = (
            f"{{{{ env.{name} }}}} would copy a secret into the configuration; "
            f"name the variable instead, as in `api_key_env: {name}`."
        )
        raise ValueError(msg)
    if name not in os.environ:
        msg = f"The environment variable {name} is not set."
        raise ValueError(msg)
    return os.environ[name]


class Part(BaseModel):
    """A mapping in the YAML file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # What is in the wrong place may be a secret.
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the YAML held
        if not isinstance(data, dict):
            return data
        known = [field.alias or name for name, field in cls.model_fields.items()]
        names = {*known, *cls.model_fields}
        unknown = [str(key) for key in data if key not in names]
        if unknown:
            told = " ".join(f"Unknown key '{k}'.{did_you_mean(k, known)}" for k in unknown)
            text = f"{told} Allowed here: {', '.join(known)}."
            # The first key goes along, so that the message can name its own line.
            raise PydanticCustomError("unknown_key", "{text}", {"text": text, "key": unknown[0]})
        return _fill(data)
