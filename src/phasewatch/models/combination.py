"""A combination of models: the mean of the calibrated log-probabilities of its members.

Trees and a smooth model err on different windows of a machine that neither has seen. Members are
trained here, on the same windows, so a combination is saved, exported and watched like any model.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from scipy.special import log_softmax

from phasewatch.features.views import Array
from phasewatch.io import atomic
from phasewatch.models.base import (
    UNMONITORED,
    Classifier,
    Data,
    Epoch,
    TrainingMonitor,
    Unfit,
    find,
)
from phasewatch.temperature import TEMPERATURE_RANGE, fit_temperature

COLDEST = 0.5
"""Lowest temperature of a member: a lower one would multiply the rounding of its exported graph."""

SHARES = {"gbt": 0.5, "mlp": 0.5}
"""The members, all of one view, and the weight of each one's log-probabilities."""


class Model(Classifier):
    """Boosted trees and a network on the same statistics, each with a temperature of its own."""

    view = "summary"
    suffix = "members.json"

    def __init__(self, classes: int, seed: int = 0) -> None:
        """Create untrained members, all of the same seed."""
        self._classes = classes
        self._members = {name: find(name)(classes, seed) for name in SHARES}
        self._temperatures = dict.fromkeys(SHARES, 1.0)

    @property
    def config(self) -> dict[str, Any]:
        """The shares, and the hyperparameters of each member."""
        return {"shares": SHARES, **{name: one.config for name, one in self._members.items()}}

    @property
    def parameters(self) -> int:
        """The number of learned parameters of all members."""
        return sum(member.parameters for member in self._members.values())

    def fit(
        self, train: Data, validation: Data, watch: TrainingMonitor = UNMONITORED, cluster: str = ""
    ) -> None:
        """Fit each member, which `validation` stops; it also fits each member's temperature."""
        numbered = _Numbering(watch)
        for name, member in self._members.items():
            member.fit(train, validation, replace(watch, on_epoch=numbered.of_next()), cluster)
            logits = np.concatenate([member.logits(z) for z in validation.blocks()])
            fitted = fit_temperature(logits, validation.y)
            self._temperatures[name] = max(fitted, COLDEST)

    @property
    def choices(self) -> dict[str, float]:
        """The choices of each member and its temperature, each under the member's name."""
        return {
            f"{name}.{key}": value
            for name, member in self._members.items()
            for key, value in {"temperature": self._temperatures[name], **member.choices}.items()
        }

    def refit(
        self, train: Data, choices: Mapping[str, float], watch: TrainingMonitor = UNMONITORED
    ) -> None:
        """Fit each member by its choices; its temperature is one of them."""
        numbered = _Numbering(watch)
        for name, member in self._members.items():
            prefix = f"{name}."
            own = {key[len(prefix) :]: choices[key] for key in choices if key.startswith(prefix)}
            member.refit(train, own, replace(watch, on_epoch=numbered.of_next()))
            self._temperatures[name] = own["temperature"]

    def logits(self, z: Array) -> Array:
        """Return the weighted mean of the members' calibrated log-probabilities, `[N,K]`."""
        parts = (
            SHARES[name] * log_softmax(member.logits(z) / self._temperatures[name], axis=1)
            for name, member in self._members.items()
        )
        return np.asarray(sum(parts))

    def save(self) -> bytes:
        """Return the members as JSON: name, temperature, and weights in base64."""
        return atomic.canonical_json(
            [
                {
                    "model": name,
                    "temperature": self._temperatures[name],
                    "weights": base64.b64encode(member.save()).decode(),
                }
                for name, member in self._members.items()
            ]
        )

    @classmethod
    def load(cls, weights: bytes, shape: tuple[int, ...], classes: int) -> Self:
        """Load every member as its own model loads its weights, which checks them."""
        model = cls(classes)
        stored = json.loads(weights)
        if [one["model"] for one in stored] != [*SHARES]:
            raise Unfit("semantics_config", f"the members are not {', '.join(SHARES)}")
        for one in stored:
            name, temperature = one["model"], float(one["temperature"])
            if not COLDEST <= temperature <= TEMPERATURE_RANGE[1]:
                raise Unfit("weights_nonfinite", f"the temperature of {name} is {temperature:g}")
            data = base64.b64decode(one["weights"], validate=True)
            model._members[name] = find(name).load(data, shape, classes)
            model._temperatures[name] = temperature
        return model

    def onnx(self, shape: tuple[int, ...]) -> bytes:
        """Return one graph with the graphs of all members side by side."""
        from onnx import load_from_string

        graphs = {
            name: load_from_string(member.onnx(shape)) for name, member in self._members.items()
        }
        return _joined(graphs, self._temperatures, shape, self._classes)


class _Numbering:
    """Numbers the epochs of one member after another as those of one training."""

    def __init__(self, watch: TrainingMonitor) -> None:
        self._watch, self._done = watch, 0

    def of_next(self) -> Callable[[Epoch], None]:
        """Return what reports the epochs of the next member."""
        before = self._done

        def report(epoch: Epoch) -> None:
            self._done = before + epoch.number
            numbers = {"number": self._done, "of": before + epoch.of}
            self._watch.on_epoch(epoch._replace(**numbers))

        return report


def _joined(
    graphs: dict[str, Any], temperatures: dict[str, float], shape: tuple[int, ...], classes: int
) -> bytes:
    """Return the graph from `z` to `logits` that adds the members' graphs as `Model.logits` does.

    The members agree on the version of each operator set: none of them is converted.
    """
    from onnx import TensorProto, compose, helper

    parts = [compose.add_prefix(graph, f"{name}/").graph for name, graph in graphs.items()]
    nodes, constants = [], []
    for name, part in zip(graphs, parts, strict=True):
        nodes += [helper.make_node("Identity", ["z"], [f"{name}/z"]), *part.node]
        constants += part.initializer
        for kind, value in (("heat", temperatures[name]), ("share", SHARES[name])):
            constants.append(helper.make_tensor(f"{name}/{kind}", TensorProto.FLOAT, [], [value]))
        nodes += _calibrated(name)
    nodes.append(helper.make_node("Sum", [f"{name}/added" for name in graphs], ["logits"]))
    given, asked = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *sizes])]
        for name, sizes in (("z", shape), ("logits", (classes,)))
    )
    model = helper.make_model(
        helper.make_graph(nodes, "combination", given, asked, constants),
        opset_imports=list(_operator_sets(graphs.values())),
        ir_version=max(graph.ir_version for graph in graphs.values()),
    )
    return bytes(model.SerializeToString())


def _calibrated(name: str) -> Iterator[Any]:
    """Yield the nodes from a member's logits to its share of the sum."""
    from onnx import helper

    yield helper.make_node("Div", [f"{name}/logits", f"{name}/heat"], [f"{name}/cool"])
    yield helper.make_node("LogSoftmax", [f"{name}/cool"], [f"{name}/log"], axis=1)
    yield helper.make_node("Mul", [f"{name}/log", f"{name}/share"], [f"{name}/added"])


def _operator_sets(graphs: Iterable[Any]) -> Iterator[Any]:
    """Yield each operator set once, at the newest version that a graph asks for."""
    from onnx import helper

    versions: dict[str, int] = {}
    for one in (one for graph in graphs for one in graph.opset_import):
        versions[one.domain] = max(one.version, versions.get(one.domain, 0))
    yield from (helper.make_opsetid(*one) for one in versions.items())
