"""Whether predicted value is computed, from which fit, and when it is made again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from braze_pipeline.attributes.current_state import newest_day
from braze_pipeline.errors import ConfigurationError, PipelineError
from braze_pipeline.operations.doctor.database import WAIT_SECONDS
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning
from braze_pipeline.predicted_value.likelihood import special_functions
from braze_pipeline.predicted_value.step import Predicted, state_of
from braze_pipeline.predicted_value.stored_fits import StoredFit, fits_of, own_table
from braze_pipeline.settings import PREDICTIONS
from braze_pipeline.storage.migrations import RECORDS

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse


def predicted_value(
    warehouse: Warehouse, templates: Sequence[TemplateSettings], *, now: datetime | None = None
) -> Iterator[Finding]:
    """What a destination's ``predicted_value`` does; nothing where it is off.

    Args:
        warehouse: Where the fits are.
        templates: Those of one destination.
        now: The current time; for tests.
    """
    settings = templates[0].predicted_value
    if settings is None:
        return
    name = f"{templates[0].destination.name}: predicted value"
    t = next((t for t in templates if t.predicts), None)
    if t is None:
        named = any(source.name == PREDICTIONS for t in templates for source in t.sources)
        if named:
            yield ok(name, "`sources: predictions` names a table of your own, which wins.")
        else:
            yield warning(
                name,
                "`predicted_value` is on, but the SQL of no template reads `predictions`.",
                "Read it in the SQL (docs/predicted-value.md), or remove `predicted_value`.",
            )
        return
    if (own := own_table(t)) is not None:
        yield ok(name, Predicted(own=own).sentence())
        return
    try:
        special_functions()
    except ConfigurationError as error:
        yield failure(name, error)
        return
    day = newest_day(t, now or datetime.now(UTC))
    fits = _fits(warehouse, t)
    if fits is None:
        yield ok(name, "Computed, but its fits cannot be read now: see `database`.")
        return
    found = state_of(fits, t, day, newest=fits[-1].fit if fits else None)
    if found.refused:
        fix = "See docs/predicted-value.md for what can be done."
        yield warning(name, found.sentence(), fix)
    else:
        yield ok(name, found.sentence())


def _fits(warehouse: Warehouse, t: TemplateSettings) -> list[StoredFit] | None:
    """The stored fits; None where the file cannot be read, which is a finding of its own."""
    if not warehouse.path.exists():
        return []
    try:
        with replace(warehouse, lock_wait=WAIT_SECONDS).connect(read_only=True) as con:
            if RECORDS.stored_version(con) != RECORDS.version:
                return []  # by an earlier version, which had none
            return list(fits_of(con, t).values())
    except PipelineError:
        return None
