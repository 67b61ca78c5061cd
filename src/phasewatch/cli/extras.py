"""The optional libraries: which extra installs each of them, and which are missing here.

Commands import heavy libraries when they run, so a missing one is noticed only then. The error
message and `phasewatch doctor` both look up here which extra has to be installed.
"""

from collections.abc import Mapping
from importlib.util import find_spec

EXTRAS: Mapping[str, Mapping[str, str]] = {
    "data": {"fsspec": "fsspec", "pyarrow": "pyarrow"},
    "train": {
        "lightning_fabric": "lightning-fabric",
        "safetensors": "safetensors",
        "sklearn": "scikit-learn",
        "scipy": "scipy",
        "torch": "torch",
        "xgboost": "xgboost-cpu",
    },
    "live": {"cryptography": "cryptography", "onnxruntime": "onnxruntime"},
    "export": {
        "cryptography": "cryptography",
        "onnx": "onnx",
        "onnxmltools": "onnxmltools",
        "onnxruntime": "onnxruntime",
        "onnxscript": "onnxscript",
    },
    "report": {"matplotlib": "matplotlib", "jinja2": "jinja2"},
    "serve": {
        "fastapi": "fastapi",
        "prometheus_client": "prometheus-client",
        "psutil": "psutil",
        "stix2": "stix2",
        "uvicorn": "uvicorn",
    },
    "fast": {"numba": "numba"},
    "metrics": {"prometheus_client": "prometheus-client"},
    "mqtt": {"paho": "paho-mqtt"},
    "cluster": {"distributed": "distributed", "pandas": "pandas"},
}
"""For each extra of `pyproject.toml` that a command needs: import name to distribution name."""


def extra_of(module: str) -> str | None:
    """Return the first extra that installs `module`, or None if no extra does."""
    top = module.split(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def missing(extra: str) -> list[str]:
    """Return the distributions of an extra that cannot be imported here, without importing them."""
    return [name for module, name in EXTRAS[extra].items() if find_spec(module) is None]


def install_line(*extras: str) -> str:
    """Return the shell line that installs the given extras."""
    return f"pip install 'phasewatch[{','.join(extras)}]'"
