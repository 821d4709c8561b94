"""What every section of the settings has in common: frozen, strict about keys, helpful errors."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import EnumType
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from braze_pipeline.user_input import did_you_mean

AT_KEY = "at_key"
"""The type of a validation error that names a key below the place where it was found."""

Count = Annotated[int, Field(ge=0)]
PositiveInt = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Choice:
    """Marks a ``Literal`` or an enumeration: another text is refused with the nearest choice.

    Attributes:
        also: What else the key takes, for the message.
    """

    also: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices = source if isinstance(source, EnumType) else get_args(source)
        allowed = [str(choice) for choice in choices]

        def check(value: object) -> object:
            if value is False and "off" in allowed:
                return "off"
            if isinstance(value, str) and value in allowed:
                return value
            raise ValueError(
                f"{value!r} is not allowed here. Allowed: {', '.join((*allowed, *self.also))}."
                f"{did_you_mean(str(value), allowed)}"
            )

        return core_schema.no_info_before_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """With ``false``, as which YAML reads `off`."""
        found = handler(schema)
        if "off" in found.get("enum", ()):
            return {"enum": [*found["enum"], False]}
        return found


CHOICE = Choice()


@dataclass(frozen=True)
class Expected:
    """Marks a type: what does not fit it is refused with these words."""

    words: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type="expected", custom_error_message=self.words
        )


Share = Annotated[float, Field(ge=0, le=1), Expected("Expected a share from 0 to 1: 10 % is 0.1.")]
Ratio = Annotated[
    float, Field(ge=0, lt=50), Expected("Expected a number from 0 to below 50: 200 % is 2.")
]
Slug = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_]{0,62}$"),
    Expected("Expected lower-case letters, digits and underscores, with a letter first (max. 63)."),
]


class Section(BaseModel):
    """A mapping of ``defs.yaml``, or what it becomes for a run.

    The text under a field is its description in the schema, which ``dg check yaml`` and editors
    show.

    Attributes:
        empty_is_default: Keys that may have nothing after them (`rate_limit:`), as if not given.
    """

    empty_is_default: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        allow_inf_nan=False,
        # What is in the wrong place may be a secret.
        hide_input_in_errors=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The schema with the texts under the fields, which no run has to wait for."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for base in reversed(cls.__mro__):
            for name, text in _texts(base.__module__).get(base.__name__, {}).items():
                field = cls.model_fields.get(name)
                properties.get((field and field.alias) or name, {})["description"] = text
        for name in cls.empty_is_default:
            described = properties[name].pop("description", "")
            properties[name] = {
                "anyOf": [properties[name], {"type": "null"}],
                "description": described,
            }
        return schema

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the YAML contains
        if not isinstance(data, dict):
            return data
        known = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = [str(key) for key in data if key not in {*known, *cls.model_fields}]
        if unknown:
            found = " ".join(f"Unknown key '{key}'.{did_you_mean(key, known)}" for key in unknown)
            raise at_key(f"{found} Allowed here: {', '.join(known)}.", unknown[0])
        return {
            key: value
            for key, value in data.items()
            if value is not None or key not in cls.empty_is_default
        }

    @field_validator("*", mode="before")
    @classmethod
    def _no_word_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool):
            forms = forms_of(cls.model_fields[str(info.field_name)].annotation)
            if forms & {int, float}:
                none = " `null` means none." if NoneType in forms else ""
                raise ValueError(
                    "A number is expected here. YAML reads yes, no, on and off as true and false."
                    f"{none}"
                )
        return value


def forms_of(annotation: object) -> set[object]:
    """The types that a value may have."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return forms_of(inner[0])
    if get_origin(annotation) in {Union, UnionType}:
        return set().union(*map(forms_of, inner))
    return {annotation}


@cache
def _texts(module: str) -> dict[str, dict[str, str]]:
    """The text under each field, of each section of a module of this package."""
    if not module.startswith("braze_pipeline."):
        return {}
    classes = ast.parse(inspect.getsource(sys.modules[module])).body
    return {
        found.name: {
            field.target.id: inspect.cleandoc(text.value.value)
            for field, text in pairwise(found.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for found in classes
        if isinstance(found, ast.ClassDef)
    }


def at_key(text: str, *key: str | int) -> PydanticCustomError:
    """An error at a key below the section that finds it, so that the message names its line."""
    return PydanticCustomError(AT_KEY, "{text}", {"text": text, "key": key})


S = TypeVar("S", bound=Section)


def replace(settings: S, /, **changes: object) -> S:
    """The same settings with other values, validated: ``dataclasses.replace`` for a section."""
    return type(settings)(**{**dict(settings), **changes})


def merged(base: S, over: Section, names: Iterable[str]) -> S:
    """``base`` with these fields of ``over``; of a section, with what was written in it."""
    changes = {name: getattr(over, name) for name in names}
    for name, value in changes.items():
        if isinstance(value, Section):
            changes[name] = merged(getattr(base, name), value, value.model_fields_set)
    return base.model_copy(update=changes)


def values_of(settings: Section, shape: type[Section]) -> dict[str, Any]:
    """The values of the fields that ``shape`` declares, by name."""
    return {name: getattr(settings, name) for name in shape.model_fields}
