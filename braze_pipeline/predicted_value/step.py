"""The step before the customer attributes: makes the fits that some days need and do not have.

Predictions depend on the passing of time, and would change everybody every night. So they are made
on the days of refits and stand still in between. A day uses the newest published fit up to it: a
rerun or backfill of a past day gives what that day gave.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.errors import NotBuilt
from braze_pipeline.predicted_value.fit import Fit
from braze_pipeline.predicted_value.refit import refit, score
from braze_pipeline.predicted_value.refit_days import newest_refit, next_refit
from braze_pipeline.predicted_value.stored_fits import (
    StoredFit,
    bands_of,
    computed,
    copy_predictions,
    copy_to_temp,
    drop_unneeded,
    fit_of_day,
    fits_of,
    in_force,
    own_table,
    settings_of,
    store_fit,
    store_predictions,
)
from braze_pipeline.settings import PREDICTIONS, replace
from braze_pipeline.sources import BUILT, attach_built, sealed
from braze_pipeline.sources.remote.extract import extracted
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.sql_text import day_sql, file_literal, quote
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings, TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What the newest of some days uses.

    Attributes:
        own: The brand's own table, which wins: then nothing is computed.
        newest: The fit of the newest refit day; it may be refused.
        used: The fit in force; None where none was ever published.
        made: How many fits this run made.
        next_refit: The day of the next refit; None if the template ends before.
    """

    own: Path | None = None
    newest: Fit | None = None
    used: Fit | None = None
    made: int = 0
    next_refit: date | None = None

    @property
    def refused(self) -> bool:
        """The newest refit published nothing."""
        return self.newest is not None and self.newest.published is None

    def sentence(self) -> str:
        """For the log, the command line and the check."""
        if self.own is not None:
            return f"Nothing is computed: your own table {self.own} wins over `predicted_value`."
        next_refit = f"Next refit: {self.next_refit}." if self.next_refit else "No refit follows."
        if self.newest is None:
            return f"Nothing was computed yet. {next_refit}"
        parts = [next_refit]
        if self.used is not None:
            parts.insert(
                0,
                f"In force: the fit of {self.used.as_of} ({self.used.published}, "
                f"{self.used.customers:,} customers, {self.used.horizon_days} days ahead"
                f"{_tested(self.used)}).",
            )
        if self.refused:
            why = " ".join(self.newest.refused)
            earlier = "" if self.used else " There was no earlier one, so nobody has a prediction."
            parts.insert(0, f"The refit of {self.newest.as_of} was refused: {why}{earlier}")
        return " ".join(parts)


def _tested(fit: Fit) -> str:
    """What the backtest of a fit could not show: the time was too short to hold all of it out."""
    if fit.backtest_days is None or fit.backtest_days >= fit.horizon_days:
        return ""
    return f", tested on {fit.backtest_days}"


def state_of(
    fits: Iterable[StoredFit], t: TemplateSettings, day: date, *, newest: Fit | None, made: int = 0
) -> Predicted:
    """What a day uses.

    Args:
        fits: Those of the destination.
        t: The template.
        day: The day.
        newest: The fit of its refit day.
        made: How many fits this run made.
    """
    coming = next_refit(settings_of(t).refit, day)
    return Predicted(
        newest=newest,
        used=fit_of_day(fits, t, day),
        made=made,
        next_refit=None if t.end_date is not None and coming > t.end_date else coming,
    )


def predict(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    sources: Callable[[], Sequence[SourceSettings]],
    run_id: str = "manual",
    environ: Mapping[str, str] = os.environ,
    log: Callable[[str], None] = lambda _: None,
    again: bool = False,
) -> Predicted:
    """Make the fits and predictions that the days need and that are missing.

    Sources are only read on the day of a refit. They are all read, in one snapshot, because the
    next step of the run reads the same extract.

    Args:
        warehouse: Where fits and predictions are.
        t: The template.
        days: The as-of dates.
        sources: Gives what its SQL reads, and ``orders``; called only where a fit is missing.
        run_id: The first run of a chain of reruns, which share an extract.
        environ: The environment, with the addresses of the connections.
        log: Called with lines about the progress.
        again: Make the newest day's fit again, although it is there: its orders were wrong. One
            that is refused leaves a published one in force.

    Raises:
        ConfigurationError: scipy is not installed.
        SourceError: see ``attach_sources`` and ``remote.extract``.
    """
    if (own := own_table(t)) is not None:
        found = Predicted(own=own)
        log(found.sentence())
        return found
    now = utc_now()
    refit_days = sorted({newest_refit(settings_of(t).refit, day) for day in days})
    with warehouse.connect() as con:
        stored = fits_of(con, t)
        replaced = stored.pop(refit_days[-1], None) if again else None
        _update_bands(con, t, stored, refit_days, now=now)
    fits = in_table = stored
    if any(_missing(stored, day) for day in refit_days):
        with warehouse.scratch() as scratch:
            extract = warehouse.extracts / t.db_schema / run_id
            with (
                extracted(sources(), extract, environ=environ, log=log) as (local, _),
                sealed(local, time_zone=t.time_zone, scratch=scratch) as (con, _),
            ):
                fits, scored = _fit(con, t, refit_days, stored, log, now)
            with warehouse.connect() as con:
                attach_built(con, scratch)
                with transaction(con):
                    there = fits_of(con, t)
                    if replaced is not None and _may_replace(replaced, fits[refit_days[-1]]):
                        del there[refit_days[-1]]
                    # What another run stored meanwhile was used by then: it stays.
                    for day in fits.keys() - there.keys():
                        store_fit(con, t, fits[day].fit, now=now)
                    in_table = fits | there
                    for fit in scored:
                        if in_table[fit.as_of].fit == fit:
                            before = _before(in_table.values(), fit)
                            rows = _table(fit.as_of)
                            store_predictions(con, t, fit, rows, before=before, now=now)
                    drop_unneeded(con, t, now=now)
    found = state_of(
        in_table.values(), t, max(days),
        newest=fits[refit_days[-1]].fit, made=len(fits) - len(stored),
    )  # fmt: skip
    log(found.sentence())
    return found


def _may_replace(stored: StoredFit, made: StoredFit) -> bool:
    """Whether a fit that was asked for again counts: a refused one does not end a published one."""
    return made.fit.published is not None or stored.fit.published is None


def _missing(stored: Mapping[date, StoredFit], day: date) -> bool:
    """Whether a refit day has no fit yet, or the fit in force then has no predictions any more."""
    used = in_force(stored.values(), day)
    return day not in stored or (used is not None and not stored[used.as_of].stored)


def _before(fits: Iterable[StoredFit], fit: Fit) -> Fit | None:
    """The fit that was in force until this one."""
    return in_force(fits, fit.as_of - timedelta(days=1))


def _table(day: date) -> str:
    """The table in the database ``BUILT`` that has the predictions of a day's fit."""
    return f"{BUILT}.{quote(f'predictions {day}')}"


def _fit(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    days: Sequence[date],
    stored: Mapping[date, StoredFit],
    log: Callable[[str], None],
    now: datetime,
) -> tuple[dict[date, StoredFit], list[Fit]]:
    """All fits with those that were missing, and those whose predictions are now in ``BUILT``."""
    fits = dict(stored)
    there = {day for day, one in stored.items() if one.stored}
    scored = []
    for day in days:
        if day not in fits:
            log(f"Predicted value: fitting with the orders up to {day} ...")
            made = refit(con, day, settings_of(t).horizon_days, table=_table(day))
            fits[day] = StoredFit(fit=made, made_at=now)
            if made.published is not None:
                there.add(day)
                scored.append(made)
        used = in_force(fits.values(), day)
        if used is not None and used.as_of not in there:
            score(con, used, _table(used.as_of))
            there.add(used.as_of)
            scored.append(used)
    return fits, scored


def _update_bands(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    stored: Mapping[date, StoredFit],
    days: Sequence[date],
    *,
    now: datetime,
) -> None:
    """Put the predictions that the days use into the bands of today's configuration."""
    for day in days:
        used = in_force(stored.values(), day)
        if used is None or not stored[used.as_of].stored:
            continue
        if stored[used.as_of].bands != bands_of(t):
            before = _before(stored.values(), used)
            with transaction(con):
                copy_to_temp(con, t, used)
                store_predictions(con, t, used, "temp.kept", before=before, now=now)


def with_predictions(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    sources: Sequence[SourceSettings],
    folder: Path,
) -> tuple[tuple[SourceSettings, ...], dict[date, date | None]]:
    """The sources with the computed predictions of the days as a file, where there are any.

    Also gives the day of the fit in force for each of the days: see ``show_predictions``.

    Args:
        warehouse: Where the predictions are.
        t: The template.
        days: The as-of dates.
        sources: What its SQL reads.
        folder: A private folder for the file.

    Raises:
        NotBuilt: the fit of a day was not made yet.
    """
    if not computed(t):
        return tuple(sources), {}
    file = folder / f"{PREDICTIONS}.parquet"
    with warehouse.connect() as con:
        stored = fits_of(con, t)
        used: dict[date, date | None] = {}
        for day in days:
            refit_day = newest_refit(settings_of(t).refit, day)
            if _missing(stored, refit_day):
                raise NotBuilt(
                    f"The predictions of {day} are not made: there is no fit of {refit_day} yet.",
                    fix="Materialize predicted_value of that day first, or run the day in full.",
                )
            found = in_force(stored.values(), refit_day)
            used[day] = found.as_of if found else None
        fit_days = sorted({day for day in used.values() if day})
        copy_predictions(con, t, fit_days, file)
    location = f"computed here, fits of {', '.join(map(str, fit_days)) or 'no day'}"
    read = tuple(
        replace(source, path=file, shared=False, location=location)
        if source.name == PREDICTIONS
        else source
        for source in sources
    )
    return read, used


def show_predictions(con: duckdb.DuckDBPyConnection, folder: Path, fit_day: date | None) -> None:
    """Leave the rows of one fit alone in the view of the predictions.

    So a run of several days gives each day what a run of that day alone gives: a customer who is
    not in its fit has no prediction, also where an earlier fit of the run has one.

    Args:
        con: A connection that has the sources of ``with_predictions``.
        folder: As there.
        fit_day: The day of the fit in force.
    """
    rows = file_literal(folder / f"{PREDICTIONS}.parquet")
    only = f"predicted_on = {day_sql(fit_day)}" if fit_day else "false"
    con.execute(f"CREATE OR REPLACE TEMP VIEW {PREDICTIONS} AS FROM {rows} WHERE {only}")
