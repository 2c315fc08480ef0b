"""ARGOS finds people in live video and computes only the parts of the frame that hold them.

The public names are imported when they are first used, so that a subscriber never loads torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from argos.version import VERSION

if TYPE_CHECKING:
    from argos.errors import ArgosError, ConfigError, SchemaError, SourceError, WeightsError
    from argos.pipelines.api import Pipeline
    from argos.publishing.consumer import Consumer
    from argos.publishing.subscriber import Subscriber
    from argos.types import Event, Frame, Hello, Notice, Overlay, Result, Status

__all__ = [
    "ArgosError",
    "ConfigError",
    "Consumer",
    "Event",
    "Frame",
    "Hello",
    "Notice",
    "Overlay",
    "Pipeline",
    "Result",
    "SchemaError",
    "SourceError",
    "Status",
    "Subscriber",
    "WeightsError",
    "__version__",
]

__version__ = VERSION

_MODULES = {
    "ArgosError": "argos.errors",
    "ConfigError": "argos.errors",
    "Consumer": "argos.publishing.consumer",
    "Event": "argos.types",
    "Frame": "argos.types",
    "Hello": "argos.types",
    "Notice": "argos.types",
    "Overlay": "argos.types",
    "Pipeline": "argos.pipelines.api",
    "Result": "argos.types",
    "SchemaError": "argos.errors",
    "SourceError": "argos.errors",
    "Status": "argos.types",
    "Subscriber": "argos.publishing.subscriber",
    "WeightsError": "argos.errors",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'argos' has no attribute '{name}'")
    if name == "Pipeline":  # the first thing that loads torch, unless the program has done so itself
        import_module("argos.engines.threads").prepare_threads(None)
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
