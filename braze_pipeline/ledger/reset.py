"""Have values sent again, whatever the ledger has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from braze_pipeline.errors import UsageError
from braze_pipeline.ledger.ledger import Ledger
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings


def reset_attributes(
    ledger: Ledger, t: TemplateSettings, attributes: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The next plan sends these attributes (or all of the template) again for everybody.

    The values stay, so that older days still cannot overwrite newer ones, and so that what became
    null is cleared. An attribute that was blocked because its type changed is released, and so are
    objects that Braze rejected; whichever template sends an attribute. Returns the names that were
    reset.

    Raises:
        UsageError: a name that the ledger does not have.
    """
    rows = ledger.con.execute(
        "SELECT attribute FROM ledger.attributes WHERE ledger = ?", [ledger.name]
    ).fetchall()
    have = {name for (name,) in rows}
    missing = [name for name in attributes or () if name not in have]
    if missing:
        raise UsageError(
            f"The ledger {ledger.name} has no attribute {', '.join(missing)}.",
            fix=f"It has: {', '.join(sorted(have)) or 'none yet'}.",
        )
    wanted = [a.name for a in t.attributes] if attributes is None else list(attributes)
    with transaction(ledger.con):
        ledger.con.execute(
            "UPDATE ledger.attributes SET type = NULL, reset_ack = ? "
            "WHERE ledger = ? AND list_contains(?::VARCHAR[], attribute)",
            [ledger.last_ack_no(), ledger.name, wanted],
        )
        senders = [t.name] if attributes is None else [one.template for one in ledger.templates()]
        for name in senders:
            ledger.release_refused(name)
        ledger.record_change("reset", None)
    return tuple(name for name in wanted if name in have)
