"""Phasewatch: which behavioural phase a virtual machine is in, from telemetry alone.

Names in `__all__` are public; docs/reference/api.md documents each of them. They are imported when
they are first used, so that `import phasewatch` loads no library; `__init__.pyi` declares them for
type checkers, which refuse every other name.
"""

from importlib import import_module

__version__ = "0.2.0"

__all__ = [
    "Bundle",
    "Checkpoint",
    "Drift",
    "Estimator",
    "Recipe",
    "Refused",
    "Run",
    "Schema",
    "Store",
    "ValidationResult",
    "Windows",
    "__version__",
    "open_store",
    "train",
    "validate",
    "watch",
    "windows",
]

_HOMES = {
    "Bundle": "artifacts.bundle",
    "Checkpoint": "artifacts.checkpoint",
    "Drift": "artifacts.contract",
    "Estimator": "training.sklearn",
    "Recipe": "training.recipes",
    "Refused": "errors",
    "Run": "experiment.run",
    "Schema": "schema",
    "Store": "store.local",
    "ValidationResult": "validation.verdict",
    "Windows": "windowing",
    "open_store": "api",
    "train": "api",
    "validate": "api",
    "watch": "api",
    "windows": "api",
}
"""The module of each public name. No public name is also a module: importing one would hide it."""


def __getattr__(name: str) -> object:
    """Import a public name from its module. Raises AttributeError for any other name."""
    if name in _HOMES:
        found = getattr(import_module(f"phasewatch.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'phasewatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
