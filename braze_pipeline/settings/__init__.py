"""The settings: every value of the configuration, with its default, its limits and its meaning.

Each is declared here once. Where a section has the same form in ``defs.yaml`` and at run time, it
is one class. Where a run needs more (an endpoint, complete paths, derived types), ``XxxSettings``
extends what ``braze_pipeline.config`` reads. Nothing here reads files or the environment, and
nothing contains the API key: only the *name* of the environment variable that does.
"""

from braze_pipeline.settings.destination import (
    DestinationSettings,
    KnownUsers,
    Pricing,
    RateLimit,
)
from braze_pipeline.settings.predicted_value import Bands, PredictedValue, Refit
from braze_pipeline.settings.project import (
    AlertSettings,
    ScheduleSettings,
    SourceChecks,
)
from braze_pipeline.settings.section import Section, replace
from braze_pipeline.settings.sources import SourceSettings
from braze_pipeline.settings.template import (
    Active,
    AttributeSettings,
    AudienceRules,
    Contactable,
    Guards,
    HighValue,
    RecipientGroup,
    TemplateSettings,
)
from braze_pipeline.settings.values import CUSTOMER, PREDICTIONS, Json, ValueType

__all__ = [
    "CUSTOMER", "PREDICTIONS", "Active", "AlertSettings", "AttributeSettings", "AudienceRules",
    "Bands", "Contactable", "DestinationSettings", "Guards", "HighValue", "Json", "KnownUsers",
    "PredictedValue", "Pricing", "RateLimit", "RecipientGroup", "Refit", "ScheduleSettings",
    "Section", "SourceChecks", "SourceSettings", "TemplateSettings", "ValueType", "replace",
]  # fmt: skip
