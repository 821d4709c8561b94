"""The fits of a destination and their predictions, as the warehouse has them.

A fit is kept for good: it is small, and shows what a value of back then came from. Predictions are
kept for the days that the day tables keep, and made again from the same fit where a rerun of an
older day needs them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.predicted_value.fit import Fit
from braze_pipeline.predicted_value.refit_days import newest_refit
from braze_pipeline.settings import PREDICTIONS
from braze_pipeline.sources.places.files import find_source
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.partitions import MIN_RETENTION
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import days_sql, literal
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import PredictedValue, TemplateSettings

FITS: Final = "records.predicted_value_fits"
TABLE: Final = "records.predictions"
_OF = "destination = $destination AND horizon_days = $horizon"


@dataclass(frozen=True)
class StoredFit:
    """A fit of the table.

    Attributes:
        fit: The fit.
        made_at: When it was made; for one made again and published, when its day first had a fit.
        stored: Its predictions are in the table.
        bands: The bands that they were put into, as ``bands_of`` writes them.
    """

    fit: Fit
    made_at: datetime
    stored: bool = False
    bands: str | None = None


def settings_of(t: TemplateSettings) -> PredictedValue:
    """The settings of a template whose predictions are computed."""
    if t.predicted_value is None:  # only a caller's mistake leads here
        raise ValueError("the template has no `predicted_value`")
    return t.predicted_value


def own_table(t: TemplateSettings) -> Path | None:
    """The brand's own predictions in the folder of the sources, which win; None if there are none.

    A table that ``sources:`` names is known earlier: ``t.predicts`` is then false.
    """
    folder = next((source.path for source in t.sources if source.name == PREDICTIONS), None)
    return find_source(folder, PREDICTIONS, shared=True) if folder is not None else None


def computed(t: TemplateSettings) -> bool:
    """Whether the predictions that the template's SQL reads are computed."""
    return t.predicts and own_table(t) is None


def fits_of(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> dict[date, StoredFit]:
    """Every fit of the template's destination and horizon, by the day of its refit, in order."""
    rows = con.execute(
        f"SELECT as_of, fit, made_at, predicted_at IS NOT NULL, bands FROM {FITS} WHERE {_OF} "
        "ORDER BY as_of",
        _key(t),
    ).fetchall()
    return {as_of: StoredFit(Fit.from_json(fit), *others) for as_of, fit, *others in rows}


def in_force(fits: Iterable[StoredFit], day: date) -> Fit | None:
    """The newest published fit that is not after a day; None if there is none.

    A refused refit leaves in force what was in force when it was made. A fit of an earlier day that
    a backfill makes after it changes no day since the refusal: those days have run without it.
    """
    refused_at: datetime | None = None
    for one in sorted(fits, key=lambda one: one.fit.as_of, reverse=True):
        if one.fit.as_of <= day and (refused_at is None or one.made_at <= refused_at):
            if one.fit.published is not None:
                return one.fit
            refused_at = one.made_at
    return None


def fit_of_day(fits: Iterable[StoredFit], t: TemplateSettings, day: date) -> Fit | None:
    """The fit that the predictions of a day come from; None if there is none."""
    return in_force(fits, newest_refit(settings_of(t).refit, day))


def bands_of(t: TemplateSettings) -> str | None:
    """The bands of the configuration, in one form."""
    bands = settings_of(t).bands
    return None if bands is None else json.dumps(bands.model_dump(mode="json"))


def store_fit(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, fit: Fit, *, now: datetime
) -> None:
    """Keep a fit instead of an earlier one of its day, without its predictions."""
    key = _key(t) | {"as_of": fit.as_of}
    delete = f"DELETE FROM {FITS} WHERE {_OF} AND as_of = $as_of RETURNING made_at"
    replaced = con.execute(delete, key).fetchone()
    # One asked for again, because its orders were wrong, counts for the days since its first.
    made_at = replaced[0] if replaced and fit.published else now
    con.execute(f"DELETE FROM {TABLE} WHERE {_OF} AND predicted_on = $as_of", key)
    con.execute(
        f"INSERT INTO {FITS} BY NAME SELECT $destination AS destination, $horizon AS horizon_days, "
        "$as_of::DATE AS as_of, $fit_id AS fit_id, $published AS published, $made_at AS made_at, "
        "$fit AS fit",
        {
            **key, "fit_id": fit.fit_id, "published": fit.published, "made_at": made_at,
            "fit": fit.as_json(),
        },
    )  # fmt: skip


def store_predictions(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    fit: Fit,
    relation: str,
    *,
    before: Fit | None,
    now: datetime,
) -> None:
    """Replace the predictions of a fit with the rows of ``relation``, each with its band.

    Args:
        con: A connection with an open transaction.
        t: The template.
        fit: The fit.
        relation: What ``score`` made.
        before: The fit that was in force before it: its bands hold near a border.
        now: The current time in UTC without a zone.
    """
    key = _key(t) | {"as_of": fit.as_of}
    bands = settings_of(t).bands
    con.execute(f"DELETE FROM {TABLE} WHERE {_OF} AND predicted_on = $as_of", key)
    con.execute(
        read_sql("predicted_value", "stored_predictions", table=TABLE, rows=relation),
        key
        | {
            "before": before.as_of if before else None,
            "names": bands.names if bands else [],
            "borders": bands.borders if bands else [],
            "hold": bands.hold if bands else 0.0,
        },
    )
    con.execute(
        f"UPDATE {FITS} SET predicted_at = $now, bands = $bands WHERE {_OF} AND as_of = $as_of",
        key | {"now": now, "bands": bands_of(t)},
    )


def drop_unneeded(con: duckdb.DuckDBPyConnection, t: TemplateSettings, *, now: datetime) -> None:
    """Delete predictions that no kept day uses. Those of a backfill stay until it has ended."""
    fits = fits_of(con, t)
    first = max(fits) - timedelta(days=t.history_days)
    used = (in_force(fits.values(), max(first, day)) for day in fits)
    oldest = min((fit.as_of for fit in used if fit), default=None)
    values = _key(t) | {"before": now - MIN_RETENTION, "oldest": oldest}
    con.execute(
        f"UPDATE {FITS} SET predicted_at = NULL WHERE destination = $destination "
        "AND predicted_at < $before "
        "AND (horizon_days <> $horizon OR coalesce(as_of < $oldest, false))",
        values,
    )
    con.execute(
        f"DELETE FROM {TABLE} AS p WHERE destination = $destination AND NOT EXISTS ("
        f"FROM {FITS} AS f WHERE f.destination = p.destination AND f.horizon_days = p.horizon_days "
        "AND f.as_of = p.predicted_on AND f.predicted_at IS NOT NULL)",
        {"destination": t.destination.name},
    )


def drop_unused(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> None:
    """Delete all predictions of a destination that has others or none by now. Its fits stay."""
    read = any(source.name == PREDICTIONS for source in t.sources)
    if t.predicted_value is None or (read and not computed(t)):
        values = {"destination": t.destination.name}
        with transaction(con):
            con.execute(f"DELETE FROM {TABLE} WHERE destination = $destination", values)
            con.execute(
                f"UPDATE {FITS} SET predicted_at = NULL WHERE destination = $destination "
                "AND predicted_at IS NOT NULL",
                values,
            )


def copy_to_temp(con: duckdb.DuckDBPyConnection, t: TemplateSettings, fit: Fit) -> None:
    """Copy a fit's predictions into the table ``temp.kept``, to be stored again."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE kept AS FROM {TABLE} WHERE {_OF} AND predicted_on = $as_of",
        _key(t) | {"as_of": fit.as_of},
    )


def copy_predictions(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Collection[date], file: Path
) -> None:
    """Write the predictions of some refit days as a Parquet file, in the form of a source table."""
    columns = ", ".join(column.name for column in TABLES[PREDICTIONS].columns)
    con.execute(
        f"COPY (SELECT {columns} FROM {TABLE} WHERE destination = {literal(t.destination.name)} "
        f"AND horizon_days = {settings_of(t).horizon_days} AND predicted_on IN ({days_sql(days)})) "
        f"TO {literal(str(file))} (FORMAT parquet)"
    )


def _key(t: TemplateSettings) -> dict[str, object]:
    return {"destination": t.destination.name, "horizon": settings_of(t).horizon_days}
