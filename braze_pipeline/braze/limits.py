"""Braze's documented limits, each with the page that states it.

What belongs here: numbers. What does not: what is done about them.
"""

from __future__ import annotations

from typing import Final

MAX_OBJECTS: Final = 75
"""Objects in one ``/users/track`` request, over all its arrays (docs, "API limits")."""

MAX_BODY_BYTES: Final = 4_000_000
"""Bytes of one request's body (docs, "API limits", payload size: 4 MB)."""

MAX_BULK_OBJECTS: Final = 1000
"""Objects in one ``/users/track/bulk`` request (docs, "Create and update users in bulk")."""

MAX_BULK_BODY_BYTES: Final = 2_000_000
"""Bytes of one ``/users/track/bulk`` request's body (same page: 2 MB)."""

MAX_BULK_OBJECTS_OF_A_USER: Final = 100
"""Objects of one user in one ``/users/track/bulk`` request (same page)."""

MAX_STRING: Final = 255
"""Characters of a string value, also inside a nested value (docs, "Custom attributes")."""

MAX_NAME: Final = 255
"""Characters of an attribute's name, and of a key inside a nested value (same page)."""

MAX_ARRAY: Final = 500
"""Elements of an array (docs, "Custom data types"); beyond it Braze drops the oldest."""

MAX_OBJECT_BYTES: Final = 100_000
"""Bytes of an object, an array or an array of objects as JSON (docs, "Nested custom attributes").

The page says 100 KB; the smaller reading is taken, because what is over is dropped in silence.
"""

MAX_EXTERNAL_ID_BYTES: Final = 987
"""Bytes of an ``external_id`` (docs, "Create and update users": EXTERNAL_USER_ID_TOO_LARGE)."""

MAX_DEVICE_ID: Final = 255
"""Bytes of a device id (docs, "Create and update users": BAD_DEVICE_ID; 8 at least)."""

MIN_DEVICE_ID: Final = 8
"""Bytes of a device id at least (same page)."""

MAX_IMAGE_URL: Final = 1024
"""Characters of ``image_url`` (docs, "Standard attributes")."""

MAX_DEPTH: Final = 50
"""Levels of a nested value. Not stated for REST; Braze's Web SDK enforces this depth."""

MIN_YEAR: Final = 1
"""First year of a time. Braze takes 0 to 3000; the proleptic year 0 has no place in Python."""

MAX_YEAR: Final = 3000
"""Last year of a time; a later one is stored as a string (docs, "Custom data types")."""

MAX_EXACT_INTEGER: Final = 2**53
"""Integers up to here, either sign, survive JSON readers that hold numbers as doubles."""

EXPORT_IDS: Final = 50
"""Ids in one ``/users/export/ids`` request (docs, "Export users by identifier")."""

CUSTOM_ATTRIBUTES_PAGE: Final = 50
"""Attributes on a page of ``GET /custom_attributes`` (docs, "Export custom attributes")."""

MAX_TRACK_ANSWER_BYTES: Final = 4_000_000
"""Bytes of an answer to ``/users/track`` that are read; 75 refused objects make 20,000."""

MAX_ANSWER_BYTES: Final = 64_000_000
"""Bytes of any other answer that are read; 50 users with nested attributes make fewer."""
