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
from braze_pipeline.predicted_value.refit_days import next_refit
from braze_pipeline.predicted_value.stored_fits import SOURCE, fit_of_day, fits_of, own_table
from braze_pipeline.storage.migrations import RECORDS

if TYPE_CHECKING:
    from braze_pipeline.predicted_value.fit import Fit
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
        named = any(source.name == SOURCE for t in templates for source in t.sources)
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
        yield ok(name, f"Not computed: your own table {own} wins.")
        return
    try:
        special_functions()
    except ConfigurationError as error:
        yield failure(name, error)
        return
    day = newest_day(t, now or datetime.now(UTC))
    coming = next_refit(settings.refit, day)
    if t.end_date is not None and coming > t.end_date:
        then = f"No refit after `end_date`, {t.end_date}."
    else:
        then = f"Next refit: {coming}."
    fits = _fits(warehouse, t)
    used = fit_of_day(fits, t, day)
    if fits and fits[-1].published is None:
        why = " ".join(fits[-1].refused)
        yield warning(
            name,
            f"The refit of {fits[-1].as_of} was refused: {why}",
            f"{f'The fit of {used.as_of} stays in force' if used else 'Nobody has a prediction'}; "
            f"docs/predicted-value.md says what can be done. {then}",
        )
    elif used is None:
        yield ok(name, f"Computed by the next run. {then}")
    else:
        yield ok(name, f"In force: the fit of {used.as_of} ({used.published}). {then}")


def _fits(warehouse: Warehouse, t: TemplateSettings) -> list[Fit]:
    """The stored fits; none where the file has no such table yet, or has a finding of its own."""
    if not warehouse.path.exists():
        return []
    try:
        with replace(warehouse, lock_wait=WAIT_SECONDS).connect(read_only=True) as con:
            if RECORDS.stored_version(con) != RECORDS.version:
                return []
            return [one.fit for one in fits_of(con, t).values()]
    except PipelineError:
        return []
