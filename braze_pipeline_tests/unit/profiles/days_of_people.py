"""Days of a few people, for tests of what is read and of what is stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from braze_pipeline.settings import TemplateSettings, ValueType
from braze_pipeline_tests.profiles_world import DAY, World, custom, field_of, template

NEXT = DAY + timedelta(days=1)
LAST = DAY + timedelta(days=2)
PEOPLE = "FROM (VALUES {}) AS v(customer_id, email, dob, tier)"
ANNA = "('a', 'Anna@Example.com', '2011-11-02', 'gold')"
BEN = "('b', 'nobody', '1980-05-01', 'gold')"
CAT = "('c', NULL, '1980-05-01', 'silver')"


def people() -> TemplateSettings:
    return template(field_of("email"), field_of("dob"), custom("Tier", ValueType.STRING))


def days(world: World, t: TemplateSettings, *rows: Iterable[str]) -> list[int]:
    """Builds these days; the number of rows of each that were not read."""
    found = []
    for number, some in enumerate(rows):
        day = DAY + timedelta(days=number)
        world.write(t, PEOPLE.format(", ".join(some)), day)
        found.append(world.build(t, day).unchanged)
    return found
