"""The profiles: the audience mapped to Braze's names and types, normalised and validated.

============= ================================================================================
``build``     a day, start to end
``columns``   how a column of one type becomes a value of another, in SQL where SQL can tell
``staging``   the day's audience in temporary tables
``normalise`` reading messy text: phones, e-mails, countries, dates, words
``cache``     what was read once is not read again
``schema``    the pandera schema of a template
``contract``  its validation, page by page, and what it refuses
``reasons``   what a rejection's code means
``store``     profiles and rejections into their tables
``describe``  rules in words, rows as masks
============= ================================================================================
"""

from braze_pipeline.profiles.build import ProfilesSummary, build_profiles, require_profiles
from braze_pipeline.profiles.cache import forget_values
from braze_pipeline.profiles.describe import preview, rule_for
from braze_pipeline.profiles.schema import build_schema

__all__ = [
    "ProfilesSummary",
    "build_profiles",
    "build_schema",
    "forget_values",
    "preview",
    "require_profiles",
    "rule_for",
]
