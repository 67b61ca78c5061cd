"""Quantises a graph to int8, which makes it smaller, and measures the loss for its bundle."""

import logging
import tempfile
from pathlib import Path

import numpy as np

from phasewatch import metrics
from phasewatch.artifacts.bundle import MOST_LOSS, Bundle, Loss
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.errors import Refused
from phasewatch.windowing import Windows

MOST_OTHER = 0.05
"""Largest share of the test windows whose predicted label may change."""


def int8(graph: bytes, name: str) -> bytes:
    """Return a graph with int8 weights and dynamically quantised activations. Raises Refused.

    The method is onnxruntime's dynamic quantisation; recurrent cells stay in float32, since the
    runtime has no GRU in int8.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load_from_string(graph)
    if not any(tensor.data_type == onnx.TensorProto.FLOAT for tensor in model.graph.initializer):
        problem, expected = "has trees, and no weights to quantise", "a network"
        raise Refused(f"model {name}", problem, expected, "Export it without --int8.", code="int8")
    logging.getLogger().disabled, before = True, logging.getLogger().disabled
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "model.onnx"
            quantize_dynamic(model, place, weight_type=QuantType.QInt8)
            return place.read_bytes()
    finally:
        logging.getLogger().disabled = before


def loss(trained: Checkpoint, small: Bundle, windows: Windows, size: int) -> Loss:
    """Return the loss by int8 on the test split. Raises Refused when it is too large.

    `size` is that of the float32 graph, in bytes.
    """
    expected = trained.logits(windows.x, windows.opening, windows.past)
    other = small.logits(windows.x, windows.opening, windows.past)
    predicted = other.argmax(axis=1)
    changed = int(np.count_nonzero(predicted != expected.argmax(axis=1)))
    apart = float(np.abs(expected - other).max())
    if not apart <= MOST_LOSS or changed > MOST_OTHER * len(windows):
        raise Refused(
            f"{trained.name} in int8",
            f"is up to {apart:.3g} off, with {changed} of {len(windows)} labels changed",
            f"at most {MOST_LOSS:g}, and {MOST_OTHER:.0%} of them",
            "Nothing was written. Export it without --int8.",
            code="parity",
        )
    _, cube = metrics.confusions(windows.episode, windows.y, predicted, len(trained.schema.classes))
    return Loss(
        other_labels=changed,
        largest=apart,
        macro_f1=float(metrics.macro_f1(cube.sum(axis=0))),
        float32_bytes=size,
    )
