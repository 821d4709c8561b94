"""The stand-in Braze that ships with the package.

A real HTTP server on the loopback address that answers ``/users/track``, ``/users/export/ids`` and
``/custom_attributes`` the way Braze does, keeps the profiles it was sent, enforces request limits
and, on demand, goes wrong in the ways that Braze and the network can. The demo and the tests run
against it. It imports starlette and uvicorn: import it where it is used.
"""

from __future__ import annotations

from braze_pipeline.sandbox.answers import ErrorShape
from braze_pipeline.sandbox.faults import ABORTS_RUN, WRITES, Fault, FaultKind, FaultPlan
from braze_pipeline.sandbox.running import HOST
from braze_pipeline.sandbox.sandbox import SANDBOX_API_KEY, Sandbox
from braze_pipeline.sandbox.server import Latency
from braze_pipeline.sandbox.serving import serve
from braze_pipeline.sandbox.throttle import Limits
from braze_pipeline.sandbox.traffic import Overlap, RequestRecord
from braze_pipeline.sandbox.values import DataType

__all__ = [
    "ABORTS_RUN",
    "HOST",
    "SANDBOX_API_KEY",
    "WRITES",
    "DataType",
    "ErrorShape",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Latency",
    "Limits",
    "Overlap",
    "RequestRecord",
    "Sandbox",
    "serve",
]
