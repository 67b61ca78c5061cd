"""A graph in int8: smaller, and not the same any more; how far off it is stands in its bundle."""

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
"""Share of the test windows whose label may change; beyond that it is another model."""


def int8(graph: bytes, name: str) -> bytes:
    """The graph with weights in int8 and activations quantised as they come. Raises Refused.

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


def loss(made: Checkpoint, small: Bundle, windows: Windows, size: int) -> Loss:
    """How far int8 is from the model on the test split. Raises Refused when it is too far.

    `size` is that of the float32 graph, in bytes.
    """
    own = made.logits(windows.x, windows.opening)
    other = small.logits(windows.x, windows.opening)
    guess = other.argmax(axis=1)
    changed = int(np.count_nonzero(guess != own.argmax(axis=1)))
    apart = float(np.abs(own - other).max())
    if not apart <= MOST_LOSS or changed > MOST_OTHER * len(windows):
        raise Refused(
            f"{made.name} in int8",
            f"is up to {apart:.3g} off, with {changed} of {len(windows)} labels changed",
            f"at most {MOST_LOSS:g}, and {MOST_OTHER:.0%} of them",
            "Nothing was written. Export it without --int8.",
            code="parity",
        )
    _, cube = metrics.confusions(windows.episode, windows.y, guess, len(made.schema.classes))
    return Loss(
        other_labels=changed,
        largest=apart,
        macro_f1=float(metrics.macro_f1(cube.sum(axis=0))),
        float32_bytes=size,
    )
