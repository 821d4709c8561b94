"""Predicted customer value, computed here: how far ahead, when it is made again, and its bands."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from braze_pipeline.settings.section import CHOICE, Section, at_key

Every = Annotated[Literal["weekly", "monthly", "quarterly"], CHOICE]
_DAYS_OF_A_WEEK: Final = 7


class Refit(Section):
    """The days on which everybody's value is predicted again; in between nothing changes."""

    every: Every = "monthly"
    """`weekly`, `monthly` or `quarterly` (January, April, July and October)."""
    day: Annotated[int, Field(ge=1, le=28)] = 1
    """The day of the month; with `weekly`, of the week (1 is Monday)."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """With the words alone, which mean the first day."""
        words = {"enum": ["weekly", "monthly", "quarterly"], "type": "string"}
        return {"anyOf": [super().__get_pydantic_json_schema__(core_schema, handler), words]}

    @model_validator(mode="before")
    @classmethod
    def _word(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the YAML contains
        return {"every": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _day_of_a_week(self) -> Refit:
        if self.every == "weekly" and self.day > _DAYS_OF_A_WEEK:
            raise at_key("A week has the days 1 (Monday) to 7 (Sunday).", "day")
        return self


class Bands(Section):
    """A word for the predicted value, in the column `predicted_band`."""

    names: Annotated[tuple[str, ...], Field(min_length=2)]
    """From the lowest to the highest."""
    borders: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, alias="from")]
    """Where each band but the lowest begins, rising, in the currency of the orders."""
    hold: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """A customer leaves a band only when the value is past its border by this share of it."""

    @model_validator(mode="after")
    def _rising(self) -> Bands:
        if len(set(self.names)) < len(self.names):
            raise at_key("Each band needs a name of its own.", "names")
        if len(self.borders) != len(self.names) - 1:
            raise at_key(
                "Give one number fewer than there are names: "
                f"{len(self.names) - 1}, not {len(self.borders)}.",
                "from",
            )
        if any(lower >= upper for lower, upper in pairwise(self.borders)):
            raise at_key("Each border has to be above the one before it.", "from")
        return self


class PredictedValue(Section):
    """What each customer will probably spend, computed from `orders`."""

    horizon_days: Annotated[int, Field(ge=30, le=1095)] = 365
    """How many days ahead the predicted value is for."""
    refit: Refit = Refit()
    """When to predict again: `weekly`, `monthly`, `quarterly`, or `{every: monthly, day: 5}`."""
    bands: Bands | None = None
    """A word for the value, which does not change back and forth near a border."""
