"""What still points at the sandbox: the steps from a trial to the real Braze, as checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.braze.instances import on_this_machine
from braze_pipeline.operations.doctor.finding import Finding, ok, warning

if TYPE_CHECKING:
    from braze_pipeline.settings import DestinationSettings


def trial(
    destination: DestinationSettings,
    environ: Mapping[str, str],
    *,
    database: Path,
) -> Iterator[Finding]:
    """Check the address, the key and the database; ``contract`` checks the limits.

    Args:
        destination: The endpoint.
        environ: Where the key is.
        database: The DuckDB file with the ledger.
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
    if not left:
        yield ok(name, "Nothing points at a sandbox.")
