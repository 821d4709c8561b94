"""The profiles: the audience mapped to Braze's names and types, normalised and validated.

================= ============================================================================
``build``         a day from start to end
``columns``       from a column's type to an attribute's, in SQL where SQL is enough
``numbers``       the SQL for numbers and booleans
``unchanged``     which rows must be read, as the outcome of an earlier day does not stand
``made_from``     what that outcome depends on, besides the row
``staging``       the rows that are read, in temporary tables
``normalise``     readers of messy text: phones, e-mails, countries, dates, words
``cache``         raw values that were read once are not read again
``rules``         what the values of an attribute must be
``schema``        these rules as a pandera schema
``contract``      the validation of all rows, page by page
``reasons``       what the code of a rejection means
``profile_store`` profiles and rejections in their tables
``parts``         the profiles as they are stored: once, however many days they stand for
``identifier``    the user identifier, without which nothing can be sent
``leave``         the value that an attribute is set to when a user leaves the audience
================= ============================================================================
"""

from braze_pipeline.profiles.build import (
    ProfilesSummary,
    build_profiles,
    built_with,
    require_built_with,
    require_profiles,
)
from braze_pipeline.profiles.profile_store import preview
from braze_pipeline.profiles.rules import rule_for

__all__ = [
    "ProfilesSummary",
    "build_profiles",
    "built_with",
    "preview",
    "require_built_with",
    "require_profiles",
    "rule_for",
]
