"""What computed predictions cost in a plan: on the first day of a fit they change for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.attributes.lineage import last_lineage
from braze_pipeline.ledger.ledger import count
from braze_pipeline.predicted_value.stored_fits import computed, fit_of_day, fits_of
from braze_pipeline.settings import PREDICTIONS
from braze_pipeline.storage.sql_text import file_literal, name_key
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from braze_pipeline.ledger.layout import Layout
    from braze_pipeline.plan.forecast import Forecast
    from braze_pipeline.settings import TemplateSettings


@dataclass(frozen=True, kw_only=True)
class PredictedCost:
    """The part of a plan that comes from computed predictions.

    Attributes:
        fit_id: The fit in force on the plan's newest day.
        fit_of: The day of its refit.
        first_day: The last plan that was sent had another fit.
        attributes: The attributes that the SQL makes from predictions.
        wholly: Those of them that it makes from nothing else.
        users: Users who get at least one of these.
        data_points: What these attributes cost.
    """

    fit_id: str
    fit_of: date
    first_day: bool
    attributes: tuple[str, ...]
    wholly: tuple[str, ...] = ()
    users: int
    data_points: int

    def sentence(self) -> str:
        """For the log, the command line and the UI."""
        when = "first day of the" if self.first_day else "the"
        return (
            f"Predicted value, {when} fit of {self.fit_of}: "
            f"{counted(self.users, 'user gets', 'users get')} "
            f"{', '.join(self.attributes) or 'no attribute'}, {self.data_points:,} data points"
        )


def predicted_cost(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    layout: Layout,
    day: date,
    snapshot: Path,
    forecast: Forecast,
    *,
    before: PredictedCost | None,
) -> PredictedCost | None:
    """The part of a plan that comes from computed predictions; None where there are none.

    Args:
        con: The warehouse.
        t: The template.
        layout: Where its attributes are.
        day: The plan's newest day.
        snapshot: The plan's snapshot.
        forecast: What the plan costs.
        before: The same of the last plan that was sent.
    """
    if not computed(t):
        return None
    fit = fit_of_day(fits_of(con, t).values(), t, day)
    if fit is None:
        return None
    origins = {
        column: {table for table, _ in found}
        for column, found in last_lineage(con, t).origins.items()
    }
    made = [
        column
        for column in layout.columns
        if PREDICTIONS in origins.get(name_key(column.settings.column), ())
    ]
    wholly = [
        column.name for column in made if origins[name_key(column.settings.column)] == {PREDICTIONS}
    ]
    names = {column.name for column in made}
    sent = " OR ".join(column.changed for column in made) or "false"
    rows = f"read_parquet({file_literal(snapshot)})"
    return PredictedCost(
        fit_id=fit.fit_id,
        fit_of=fit.as_of,
        first_day=before is None or before.fit_id != fit.fit_id,
        attributes=tuple(sorted(names)),
        wholly=tuple(sorted(wholly)),
        users=count(con, f"SELECT count(*) FROM {rows} WHERE {sent}"),
        data_points=sum(one.data_points for one in forecast.by_attribute if one.name in names),
    )
