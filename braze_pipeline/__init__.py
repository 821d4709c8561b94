"""Keeps customer attributes in Braze up to date, with Dagster and DuckDB."""

from typing import Any

__version__ = "0.1.0"
_COMPONENT = "BrazeDestination"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class, loaded only when somebody asks for it
    """``braze_pipeline.BrazeDestination``: the component, which needs Dagster."""
    if name != _COMPONENT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from braze_pipeline.orchestration import BrazeDestination

    return BrazeDestination


def __dir__() -> list[str]:
    return [*globals(), _COMPONENT]
