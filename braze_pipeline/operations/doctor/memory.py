"""How much of this machine or container DuckDB may use."""

from __future__ import annotations

from collections.abc import Mapping

from braze_pipeline.errors import PipelineError
from braze_pipeline.operations.doctor.finding import Finding, failure, ok
from braze_pipeline.storage import machine
from braze_pipeline.storage.warehouse import prepare


def memory(environ: Mapping[str, str]) -> list[Finding]:
    """Whether DuckDB accepts the limits that a run would set."""
    import duckdb

    try:
        with duckdb.connect() as con:
            prepare(con, environ)
    except PipelineError as error:
        return [failure("memory", error)]
    return [ok("memory", machine.limits(environ).sentence())]
