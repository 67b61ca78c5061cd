"""One machine under a bundle: its samples in, a prediction every stride out, gaps survived."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from phasewatch.alarm import AlarmRule
from phasewatch.artifacts.contract import Inputs, Predictor
from phasewatch.episode import Samples
from phasewatch.live.buffer import Buffer, first_end, missing
from phasewatch.live.incident_log import IncidentLog, IncidentSpan
from phasewatch.windowing import median_opening, opening_level, past_at, window_at


@dataclass(frozen=True)
class Prediction:
    """The prediction for the window that ended at `end_ns`.

    `probability` has one value for each phase, the softmax of the logits without a temperature;
    `missing` are the sources without a value in the window. `incident` is the one that is open at
    it; None where none is, and always where no rule is known that raises one. `machine` is its
    name, "" where only one machine is watched.
    """

    end_ns: int
    phase: str
    probability: dict[str, float]
    missing: list[str]
    incident: IncidentSpan | None = None
    machine: str = ""

    def line(self) -> str:
        """Return the prediction as a line of JSON."""
        value = asdict(self)
        if not self.machine:
            del value["machine"]
        return json.dumps(value) + "\n"


class Watcher:
    """Predicts one machine from its first sample on.

    `level[C]` is the machine's benign level; without one it is that of its own first seconds, which
    are not predicted, joined by `stretches[M,C]`, other benign levels of it. `log` has the
    machine's incidents, None where the bundle has no rule.
    """

    def __init__(
        self,
        bundle: Predictor,
        rule: AlarmRule | None = None,
        level: NDArray[np.float32] | None = None,
        machine: str = "",
        stretches: NDArray[np.float32] | None = None,
    ) -> None:
        self.level = level
        self._stretches = stretches
        self.log = IncidentLog(rule, bundle.schema.classes) if rule else None
        self._bundle, self._machine = bundle, machine
        self.gap()

    def gap(self) -> None:
        """Begin windows anew with the next sample; the level and the incidents stay."""
        opening_s = 0.0 if self.level is not None else self._bundle.opening_s
        self.buffer = Buffer()
        self._origin: int | None = None
        self._end = first_end(self._bundle.schema.grid, opening_s)

    def next_end_ns(self, now_ns: int) -> int:
        """Return when the next window ends, Unix ns; the first sample comes at `now_ns`."""
        origin = now_ns if self._origin is None else self._origin
        return origin + self._end * self._bundle.schema.grid.step_ns

    def add(self, source: str, samples: Samples) -> Iterator[Prediction]:
        """Take samples of a source, and yield the predictions of the windows that are due."""
        now = int(samples.t_wall_ns[0])
        if self._origin is None:
            self._origin = now
        self.buffer.add(source, samples)
        grid = self._bundle.schema.grid
        while self.buffer.ready(self.next_end_ns(now), now):
            yield self._predict(self._window(self._origin), self.next_end_ns(now))
            self._end += grid.stride
            self.buffer.forget(self.next_end_ns(now), grid)

    def _window(self, origin: int) -> Inputs:
        """Return the window `[C,T]` that ends next, the level `[C]` and the past `[C,B]`."""
        schema, sources = self._bundle.schema, self.buffer.sources
        if self.level is None:
            current = opening_level(sources, schema, origin, self._bundle.opening_s)
            self.level = median_opening([current], self._stretches).astype(np.float32)
        x = window_at(sources, schema, origin, self._end)
        return x, self.level, past_at(sources, schema, origin, self._end)

    def _predict(self, window: Inputs, end_ns: int) -> Prediction:
        logits = self._bundle.logits(*(part[None] for part in window))[0]
        if self.log is not None:
            self.log.add(end_ns, logits)
        chance = np.exp(logits - logits.max())
        chance /= chance.sum()
        classes = self._bundle.schema.classes
        return Prediction(
            end_ns=end_ns,
            phase=classes[int(chance.argmax())],
            probability=dict(zip(classes, chance.tolist(), strict=True)),
            missing=list(missing(self._bundle.schema, window[0])),
            incident=self.log.current if self.log else None,
            machine=self._machine,
        )
