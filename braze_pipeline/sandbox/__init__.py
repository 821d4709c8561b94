"""The stand-in Braze that ships with the package.

A real HTTP server on the loopback address that answers ``/users/track``, ``/users/export/ids`` and
``/custom_attributes`` the way Braze does, keeps the profiles it was sent, enforces request limits
and, on demand, goes wrong in the ways that Braze and the network can. The demo and the tests run
against it. It imports starlette and uvicorn: import it where it is used.
"""

from __future__ import annotations

from braze_pipeline.sandbox.coercion import DataType
from braze_pipeline.sandbox.faults import Fault, FaultKind, FaultPlan
from braze_pipeline.sandbox.sandbox import SANDBOX_API_KEY, Sandbox
from braze_pipeline.sandbox.serve import serve
from braze_pipeline.sandbox.throttle import Limits
from braze_pipeline.sandbox.traffic import Overlap, RequestRecord

__all__ = [
    "SANDBOX_API_KEY",
    "DataType",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Limits",
    "Overlap",
    "RequestRecord",
    "Sandbox",
    "serve",
]
