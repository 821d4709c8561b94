"""The asset keys and job names of a template.

The names are those of the design; where a project has several templates or destinations, a prefix
tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from braze_pipeline.settings import PREDICTIONS, TemplateSettings

PREDICTED = "predicted_value"


@dataclass(frozen=True, kw_only=True)
class TemplateKeys:
    """Asset keys and names of one template's definitions.

    Attributes:
        prefix: What the template's asset keys begin with.
        source_prefix: What the keys of its source tables begin with; the templates of a
            destination share these tables.
        upstream: The brand's own assets that write source tables.
        predicted: The computed predictions; None where they are not computed.
        ledger: What Braze acknowledged.
        rejections: Rows and values that did not get through.
        actions: The open workflow actions of its destination.
    """

    prefix: tuple[str, ...]
    source_prefix: tuple[str, ...]
    upstream: Mapping[str, dg.AssetKey]
    predicted: dg.AssetKey | None
    attributes: dg.AssetKey
    audience: dg.AssetKey
    profiles: dg.AssetKey
    plan: dg.AssetKey
    send: dg.AssetKey
    ledger: dg.AssetKey
    rejections: dg.AssetKey
    actions: dg.AssetKey

    @classmethod
    def of(cls, t: TemplateSettings) -> TemplateKeys:
        """The keys of a template."""

        def key(name: str) -> dg.AssetKey:
            return dg.AssetKey([*t.key_prefix, name])

        destination = t.destination.name
        of_destination = () if destination == "braze" else (destination,)
        return cls(
            prefix=t.key_prefix,
            source_prefix=of_destination,
            upstream={s.name: dg.AssetKey(s.asset_key) for s in t.sources if s.asset_key},
            predicted=key(PREDICTED) if t.predicts else None,
            attributes=key("customer_attributes"),
            audience=key("braze_audience"),
            profiles=key("braze_profiles"),
            plan=key("braze_plan"),
            send=key("braze_send"),
            ledger=key("ledger"),
            rejections=key("rejections"),
            actions=dg.AssetKey([*of_destination, "workflow_actions"]),
        )

    def source(self, name: str) -> dg.AssetKey:
        """The key of a source table; that of computed predictions is their own asset."""
        if name == PREDICTIONS and self.predicted is not None:
            return self.predicted
        return self.upstream.get(name) or dg.AssetKey([*self.source_prefix, name])

    @property
    def built(self) -> tuple[dg.AssetKey, ...]:
        """The assets before the plan: what a rebuild without sending makes."""
        first = (self.predicted,) if self.predicted is not None else ()
        return (*first, self.attributes, self.audience, self.profiles)

    @property
    def all(self) -> tuple[dg.AssetKey, ...]:
        """Every asset that a run materializes, in order."""
        return (*self.built, self.plan, self.send)

    def job(self, name: str) -> str:
        """The full name of one of the template's jobs or schedules."""
        return "_".join((*self.prefix, name))
