"""What still points at the sandbox: the steps from a trial to the real Braze, as checks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.braze.instances import on_this_machine
from braze_pipeline.operations.doctor.finding import Finding, ok, warning

if TYPE_CHECKING:
    from braze_pipeline.settings import DestinationSettings

CONTRACT_KEYS = ("rate_limit", "pricing")
"""Keys of the destination whose right values are in the brand's contract with Braze."""


def trial(
    destination: DestinationSettings,
    environ: Mapping[str, str],
    *,
    database: Path,
    given: Collection[str],
) -> Iterator[Finding]:
    """Check the address, the key, the database and the contract.

    Args:
        destination: The endpoint.
        environ: Where the key is.
        database: The DuckDB file with the ledger.
        given: The keys that ``defs.yaml`` gives for the destination.
    """
    from braze_pipeline.sandbox import SANDBOX_API_KEY

    name = f"{destination.name}: trial"
    if on_this_machine(destination.endpoint):
        yield warning(
            name,
            f"Requests go to {destination.endpoint}, a sandbox on this machine, and not to Braze.",
            "That is right for a trial. To send to Braze, unset BRAZE_REST_ENDPOINT and "
            "BRAZE_PIPELINE_DATABASE, set `instance` in defs.yaml, set "
            f"{destination.api_key_env} to a key of your workspace, and run doctor again.",
        )
        return
    left = False
    if environ.get(destination.api_key_env, "").strip() == SANDBOX_API_KEY:
        left = True
        yield warning(
            f"{name}: key",
            f"{destination.api_key_env} still contains the key of the sandbox.",
            f"Set {destination.api_key_env} to a REST API key of your workspace.",
        )
    if database.stem.endswith("-sandbox"):
        left = True
        yield warning(
            f"{name}: database",
            f"The database {database} is named like that of a trial.",
            "Unset BRAZE_PIPELINE_DATABASE. What the sandbox acknowledged is not in Braze.",
        )
    if missing := [key for key in CONTRACT_KEYS if key not in given]:
        left = True
        yield warning(
            f"{name}: contract",
            f"{' and '.join(f'`{key}`' for key in missing)} of your contract with Braze "
            f"{'are' if len(missing) > 1 else 'is'} not in defs.yaml, so the defaults count: 3,000 "
            "requests in 3 seconds, and data points.",
            "Look both up in your contract, and write them under `destination`.",
        )
    if not left:
        yield ok(name, "Nothing points at a sandbox.")
