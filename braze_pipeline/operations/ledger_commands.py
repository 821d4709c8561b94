"""What an operator does to the ledger by command: show a user, reset attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from braze_pipeline.errors import EndpointMismatch
from braze_pipeline.ledger import endpoint, user
from braze_pipeline.ledger.apply import open_all, open_ledger
from braze_pipeline.ledger.reset import reset_attributes
from braze_pipeline.plan import payload

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.user import LedgerUser
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse


def show_user(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, user_id: str
) -> list[LedgerUser]:
    """What each ledger has about a user. The values are real: only for the operator's terminal."""
    found = (user.find_user(one, user_id, payload.value_sql) for one in open_all(con, warehouse))
    return [one for one in found if one is not None]


def reset(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    t: TemplateSettings,
    attributes: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Make the next plan send these attributes (or all of the template) again for every user.

    A ledger that is about another endpoint is emptied instead. Returns the names that were reset.

    Raises:
        EndpointMismatch: the ledger is about another Braze endpoint, and ``attributes`` are given.
        UsageError: the ledger does not have one of the names.
    """
    ledger = open_ledger(con, warehouse, t)
    try:
        endpoint.check(con, warehouse, t)
    except EndpointMismatch:
        if attributes is not None:
            raise
        endpoint.start_over(ledger, t)
        return tuple(a.name for a in t.attributes)
    return reset_attributes(ledger, t, attributes)
