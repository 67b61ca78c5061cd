"""Predictions of machines under watch, by a bundle that is fed as they are read."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch.attach.watch.watched import Event, Gap, Say
from phasewatch.episode import Samples
from phasewatch.live.levels import KeptLevels, described
from phasewatch.live.watcher import Prediction, Watcher


class Predictions:
    """The predictions of some machines, each by its name, under one bundle.

    With `levels`, a machine's level is that of its file; one that has none gets it as soon as
    its first seconds are over. `say` is given a line about each.
    """

    def __init__(
        self, bundle: Any, levels: KeptLevels | None = None, say: Say = lambda line: None
    ) -> None:
        self.bundle = bundle
        self._kept, self._say = levels, say
        self._sources = set(bundle.schema.sources)
        self.watchers: dict[str, Watcher] = {}

    def begin(self, machine: str, now_ns: int, anew: bool = False) -> str:
        """Begin with a machine, and return what is known of its level, as the end of a line.

        With `anew`, what is known is forgotten. Raises Refused for a damaged file.
        """
        known = None if anew or self._kept is None else self._kept.read(machine)
        level = None if known is None else known.of(self.bundle.schema.names)
        self.watchers[machine] = Watcher(self.bundle, self.bundle.alarm, level, machine)
        if known is not None:
            return described(known, now_ns)
        return (
            f"has no level yet: the first {self.bundle.opening_s:g} s must be "
            f"{self.bundle.schema.classes[0]}, and nothing is predicted before they are over"
        )

    def take(self, event: Event) -> Iterator[Prediction]:
        """Take an event, and yield what it makes due. Sources the bundle does not read are left."""
        watcher = self._of(event)
        if isinstance(event, Gap):
            watcher.gap()
        elif event.source in self._sources:
            times = np.array([event.t_wall_ns], np.int64), np.array([event.t_mono_ns], np.int64)
            values = np.array([event.values], np.float64)
            fresh = watcher.level is None
            yield from watcher.add(event.source, Samples(event.names, *times, values, 1.0))
            if fresh and watcher.level is not None:
                self._keep(event.machine, watcher.level, event.t_wall_ns)

    def _of(self, event: Event) -> Watcher:
        machine = event.machine
        if machine not in self.watchers:
            self.begin(machine, event.t_wall_ns)
        return self.watchers[machine]

    def _keep(self, machine: str, level: NDArray[np.float32], now_ns: int) -> None:
        """Write the level of a machine. A full disk is said, and predictions go on."""
        if self._kept is None:
            return
        try:
            self._kept.write(machine, level, self.bundle.opening_s, now_ns)
        except OSError as error:
            self._say(f"{machine}: its level is not kept: {error.strerror or error}")
        else:
            self._say(f"{machine}: its level is kept in {self._kept.path(machine)}")
