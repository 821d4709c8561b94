"""The asset keys of a template: the names of the design, under a prefix where there are several."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from braze_pipeline.settings import TemplateSettings

SOURCES = ("customers", "orders", "consents", "predictions")


@dataclass(frozen=True)
class TemplateKeys:
    """Asset keys and names of one template's definitions."""

    prefix: tuple[str, ...]
    source_prefix: tuple[str, ...]

    @classmethod
    def of(cls, t: TemplateSettings) -> TemplateKeys:
        """The keys of a template; templates of a destination share its source tables."""
        own = () if t.destination.name == "braze" else (t.destination.name,)
        return cls(prefix=t.key_prefix, source_prefix=own)

    def _key(self, name: str) -> dg.AssetKey:
        return dg.AssetKey([*self.prefix, name])

    def source(self, name: str) -> dg.AssetKey:
        """One source table."""
        return dg.AssetKey([*self.source_prefix, name])

    @property
    def attributes(self) -> dg.AssetKey:
        """The customer attributes table."""
        return self._key("customer_attributes")

    @property
    def audience(self) -> dg.AssetKey:
        """The audience."""
        return self._key("braze_audience")

    @property
    def profiles(self) -> dg.AssetKey:
        """The validated profiles."""
        return self._key("braze_profiles")

    @property
    def plan(self) -> dg.AssetKey:
        """The plan."""
        return self._key("braze_plan")

    @property
    def send(self) -> dg.AssetKey:
        """The send."""
        return self._key("braze_send")

    @property
    def ledger(self) -> dg.AssetKey:
        """What Braze acknowledged."""
        return self._key("ledger")

    @property
    def rejections(self) -> dg.AssetKey:
        """What did not get through."""
        return self._key("rejections")

    @property
    def built(self) -> tuple[dg.AssetKey, ...]:
        """Everything short of the plan: what a rebuild without sending makes."""
        return (self.attributes, self.audience, self.profiles)

    @property
    def all(self) -> tuple[dg.AssetKey, ...]:
        """Everything a run materializes, in order."""
        return (*self.built, self.plan, self.send)

    def job(self, name: str) -> str:
        """The name of one of the template's jobs, sensors or schedules."""
        return "_".join((*self.prefix, name))
