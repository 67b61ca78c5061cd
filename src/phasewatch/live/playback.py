"""A stored episode played back through the live machine, window by window."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Episode
from phasewatch.live.buffer import taken
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import Machine
from phasewatch.schema import NS
from phasewatch.store.format import Manifest
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_episode
from phasewatch.windowing import POOLED, opening


class Stream:
    """A stored episode's samples in the order in which they were taken."""

    def __init__(self, episode: Episode) -> None:
        self._sources = episode.sources
        self._told = dict.fromkeys(episode.sources, 0)

    def upto(self, t_ns: int, machine: Machine) -> None:
        """Give a machine what was taken since the last call, up to `t_ns`."""
        for source, samples in self._sources.items():
            first = self._told[source]
            end = int(np.searchsorted(samples.t_wall_ns, t_ns, side="right"))
            if end > first:
                machine.add(source, taken(samples, np.arange(first, end)))
                self._told[source] = end


def replay(
    episode: Episode, ensemble: Ensemble, past: Sequence[NDArray[np.float32]] = ()
) -> Machine:
    """A whole stored episode through the live road, a stride at a time; no window is skipped."""
    machine, stream = Machine(ensemble, episode.start_ns, past), Stream(episode)
    stride_ns = round(ensemble.schema.grid.stride_s * NS)
    for now_ns in range(episode.start_ns, episode.end_ns, stride_ns):
        stream.upto(now_ns, machine)
        machine.judge_all(now_ns)
    stream.upto(episode.end_ns, machine)
    machine.close(episode.end_ns)
    machine.judge_all(episode.end_ns)
    return machine


def history(
    store: Store, manifests: Sequence[Manifest], episode: Episode, seconds: float
) -> list[NDArray[np.float32]]:
    """The openings of a host's last usable episodes before this one, oldest first."""
    earlier = [
        one
        for one in manifests
        if one.host == episode.host and one.start_ns < episode.start_ns and one.id != episode.id
    ]
    found: list[NDArray[np.float32]] = []
    for one in sorted(earlier, key=lambda one: -one.start_ns):
        if len(found) == POOLED - 1:
            break
        if validate_episode(store, one.id).usable:
            past = store.load(one)
            found.append(opening(past.sources, store.schema, past.start_ns, seconds))
    return found[::-1]
