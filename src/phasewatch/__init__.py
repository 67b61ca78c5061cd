"""Phasewatch: which behavioural phase a virtual machine is in, from telemetry alone."""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_PUBLIC = {
    "Estimator": "estimator",
    "Schema": "schema",
    "Store": "store",
    "Windows": "windows",
    "extract": "pipeline",
}
"""What `from phasewatch import …` finds, and where; loaded when asked for."""


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"phasewatch.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'phasewatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
