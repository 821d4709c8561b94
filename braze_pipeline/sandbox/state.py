"""Everything that a sandbox remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from braze_pipeline.sandbox.faults import Faults
from braze_pipeline.sandbox.traffic import Traffic
from braze_pipeline.sandbox.workspace import Workspace


@dataclass
class SandboxState:
    """Profiles, requests and faults; the workspace's lock is that of the requests too."""

    workspace: Workspace
    traffic: Traffic
    faults: Faults

    def counts(self) -> dict[str, Any]:
        """Totals: requests, objects, profiles, overlaps, and the responses by status."""
        with self.workspace.lock:
            totals, traffic = self.workspace.totals, self.traffic
            return {
                "requests": traffic.totals["requests"],
                "bytes": traffic.totals["bytes"],
                "profiles": len(self.workspace.profiles),
                "custom_attributes": len(self.workspace.attributes),
                "objects_taken": totals["objects_taken"],
                "objects_refused": totals["objects_refused"],
                "objects_ignored": totals["objects_ignored"],
                "objects_applied": totals["objects_taken"] - totals["objects_ignored"],
                "attributes_sent": totals["attributes_sent"],
                "data_points": totals["data_points"],
                "in_flight": traffic.in_flight,
                "peak_in_flight": traffic.peak_in_flight,
                "overlaps": len(traffic.overlaps),
                "answers": traffic.counted("status"),
                "faults": traffic.counted("fault"),
            }

    def reset(self) -> None:
        """Forget profiles, attributes, requests, counts and faults."""
        with self.workspace.lock:
            self.workspace.reset()
            self.traffic.clear()
            self.faults.clear()
