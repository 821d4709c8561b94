"""Phone numbers that belong to nobody, from ranges that regulators reserve for drama and fiction.

The sample uses only these. Other invented numbers, and the example numbers in libraries, may belong
to somebody.
"""

from __future__ import annotations

from random import Random
from typing import Final

FICTIONAL: Final[dict[str, tuple[tuple[str, int, int], ...]]] = {
    # Ofcom, numbers for use in TV and radio drama: city by city, 1,000 each.
    "GB": (
        *((f"+44{area}4960", 0, 999) for area in
          ("113", "114", "116", "117", "118", "121", "131", "141", "151", "161")),
        ("+442079460", 0, 999),
        ("+441914980", 0, 999),
        ("+442896496", 0, 999),
        ("+442920180", 0, 999),
    ),
    # North American Numbering Plan: 555-0100 to 555-0199 in any area.
    "US": tuple((f"+1{area}55501", 0, 99) for area in ("202", "212", "312", "415")),
    "CA": tuple((f"+1{area}55501", 0, 99) for area in ("416", "613")),
    # Bundesnetzagentur, numbers for media productions.
    "DE": (
        ("+493023125", 0, 999), ("+496990009", 0, 999), ("+494066969", 0, 999),
        ("+492214710", 0, 999), ("+498999998", 0, 999),
    ),
    # Arcep, numbers for audiovisual works.
    "FR": tuple(
        (f"+33{start}", 0, 9999) for start in ("19900", "26191", "35301", "46571", "53649")
    ),
    # Post- och telestyrelsen, numbers for film and literature.
    "SE": (("+467017406", 5, 99), ("+468465004", 0, 49)),
    # Australian Communications and Media Authority, numbers for creative works.
    "AU": tuple((f"+61{area}5550", 0, 9999) for area in "2378"),
}  # fmt: skip
"""By region: how a number begins, and the first and last of the digits that follow."""

_UNROUTABLE_SHARE = 0.04
UNROUTABLE: Final = ("+447700900", 0, 999)
"""Ofcom's fictional mobile numbers: well formed, but not valid in any numbering plan."""


def number_for(random: Random, region: str) -> str:
    """A fictional number in E.164; a British one if we know no range for the region."""
    ranges = FICTIONAL.get(region, FICTIONAL["GB"])
    start, first, last = random.choice(ranges)
    if region == "GB" and random.random() < _UNROUTABLE_SHARE:
        start, first, last = UNROUTABLE
    return f"{start}{random.randint(first, last):0{len(str(last))}d}"
