"""What the contract with Braze sets: the limits, the share of them that is used, and the pricing.

Source: Braze docs, "API rate limits": customers whose pricing has data points have a limit for each
workspace; all others have limits "configured according to your contract terms", by hour and in a
burst, which the whole company shares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.instances import on_this_machine
from braze_pipeline.settings import DestinationSettings, RateLimit, replace
from braze_pipeline.settings.destination import UNKNOWN_LIMIT
from braze_pipeline.settings.section import at_key

if TYPE_CHECKING:
    from braze_pipeline.settings import Pricing
    from braze_pipeline.settings.destination import Contract

_COMPANY_SHARE: Final = 0.8
"""Of limits that the whole company shares; the rest is for its other systems."""

_DASHBOARD: Final = "Braze: Settings > APIs and Identifiers > API Usage Dashboard"


def check_contract(contract: Contract | None, limit: RateLimit | None, pricing: Pricing) -> None:
    """Refuse a contract without its limits (None: none were written), or with other pricing.

    Raises:
        PydanticCustomError: at the key that is missing or wrong.
    """
    written = limit.model_fields_set if limit is not None else ()
    given = [key for key in written if getattr(limit, key) is not None]
    if contract == "mau":
        missing = [key for key in ("requests", "seconds", "requests_per_hour") if key not in given]
        if missing:
            raise at_key(
                f"`contract: mau` needs `{'`, `'.join(missing)}` under `rate_limit`: your hourly "
                f"limit, and the burst limit ({_DASHBOARD}).",
                "contract",
            )
    if contract == "custom" and "requests" not in given:
        raise at_key(
            "`contract: custom` needs `requests` under `rate_limit`: what your contract allows "
            f"({_DASHBOARD}).",
            "contract",
        )
    named = pricing.model if "model" in pricing.model_fields_set else None
    if contract in ("data_points", "mau") and named not in (None, "none", contract):
        raise at_key(
            f"`contract: {contract}` is not billed by {named!r}. Remove one of the two, or "
            "use `contract: custom`.",
            "pricing",
            "model",
        )


def with_contract(destination: DestinationSettings, *, limit_given: bool) -> DestinationSettings:
    """The destination with what its contract sets and nobody wrote.

    Args:
        destination: As it was written, with its endpoint.
        limit_given: Whether ``requests`` were written under ``rate_limit``.
    """
    changes: dict[str, object] = {}
    contract, pricing = destination.contract, destination.pricing
    if contract is None and not limit_given and not on_this_machine(destination.endpoint):
        changes["rate_limit"] = replace(
            destination.rate_limit, requests=UNKNOWN_LIMIT.requests, seconds=UNKNOWN_LIMIT.seconds
        )
    if contract in ("data_points", "mau") and "model" not in pricing.model_fields_set:
        changes["pricing"] = replace(pricing, model=contract)
    if contract == "mau":
        changes["rate_limit"] = _reserved(destination.rate_limit)
        bulk = destination.bulk
        changes["bulk"] = replace(bulk, rate_limit=_reserved(bulk.rate_limit))
    return replace(destination, **changes)


def _reserved(limit: RateLimit) -> RateLimit:
    if limit.use_at_most is not None:
        return limit
    return replace(limit, use_at_most=_COMPANY_SHARE)
