"""The code location: everything that ``defs/`` declares.

``workspace.yaml`` points here. What a brand edits is in ``defs/``; another Dagster project can
declare the same component in its own.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import dagster as dg


# The process of a run asks for them several times; a reload of the code location is a new process.
@dg.definitions
@cache
def defs() -> dg.Definitions:
    """All destinations in ``defs/``."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
