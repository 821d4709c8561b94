"""Everything that a sandbox remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from braze_pipeline.sandbox.faults import Faults
from braze_pipeline.sandbox.traffic import Traffic
from braze_pipeline.sandbox.workspace import Workspace


@dataclass(repr=False, eq=False)
class SandboxState:
    """Profiles, faults and requests; the workspace's lock also guards the requests."""

    workspace: Workspace
    faults: Faults
    traffic: Traffic = field(default_factory=Traffic)

    def counts(self) -> dict[str, Any]:
        """Totals, as ``/sandbox/state.json`` gives them; ``answers`` are responses by status."""
        with self.workspace.lock:
            totals, traffic = self.workspace.totals, self.traffic
            return {
                "requests": traffic.received,
                "profiles": len(self.workspace.profiles),
                "objects_taken": totals["objects_taken"],
                "objects_refused": totals["objects_refused"],
                "objects_ignored": totals["objects_ignored"],
                "objects_applied": totals["objects_taken"] - totals["objects_ignored"],
                "attributes_sent": totals["attributes_sent"],
                "data_points": totals["data_points"],
                "overlaps": len(traffic.overlaps),
                "answers": dict(sorted(traffic.answers.items())),
            }

    def reset(self) -> None:
        """Forget profiles, attributes, requests, counts and faults."""
        with self.workspace.lock:
            self.workspace.reset()
            self.traffic = Traffic()
            self.faults.clear()
