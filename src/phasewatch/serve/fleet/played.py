"""Stored episodes played as machines that run now, many at once, by the model that was chosen.

Every machine begins at its own moment, so that windows fall due one after the other and not
together. When its episode ends, it goes on with the next.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event as Signal

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.live.ensemble import Ensemble, Member
from phasewatch.live.machine import Machine, WindowPrediction
from phasewatch.live.playback import SampleStream
from phasewatch.schema import NS
from phasewatch.serve.fleet.observed import Observed
from phasewatch.serve.replay.library import Library

TICK_S = 0.1
"""Seconds between two looks at every machine."""

MOST_MACHINES = 200
"""Machines of a fleet; it bounds the series of /metrics as well."""

READ_AHEAD_S = 40.0
"""Seconds before the end of an episode at which the next one is read."""

Predicted = Callable[[Observed, WindowPrediction | None], None]
"""Given a machine with its new window; with None when it begins, or has ended an episode."""


@dataclass
class PlayedMachine:
    """One machine of the fleet: what is observed of it, and the samples that are still to come."""

    observed: Observed
    stream: SampleStream
    end_ns: int
    place: int
    following: "Future[tuple[Episode, Machine]] | None" = None


class PlayedFleet:
    """N machines that play the episodes `ids` of a library; see `run`.

    Raises Refused where the library has no usable episode, or no model was chosen or loaded.
    """

    def __init__(self, library: Library, ids: Sequence[str], count: int) -> None:
        self._library, self._ids, self._count = library, tuple(ids), count
        self._member = headlined(library)
        self._ensemble = Ensemble(library.store.schema, (self._member,))
        self.machines: list[PlayedMachine] = []
        if not ids:
            where = library.store.root
            raise Refused(where, "has no episode to play", "a store of episodes", "Record some.")

    def run(self, stop: Signal, predicted: Predicted) -> None:
        """Play until `stop`, and report every machine that has something new to `predicted`."""
        with ThreadPoolExecutor(1, "fleet-reader") as reader:
            for place in range(self._count):
                if stop.is_set():
                    return
                self.machines.append(self._begin(place, self._read(place), self._first_ns(place)))
                predicted(self.machines[-1].observed, None)
                self.look(time.time_ns(), predicted)
            while not stop.wait(TICK_S):
                self._read_ahead(reader, time.time_ns())
                self.look(time.time_ns(), predicted)
            reader.shutdown(cancel_futures=True)

    def _first_ns(self, place: int) -> int:
        """Return when a machine begins: the windows of all fall due evenly over a stride."""
        stride_ns = round(self._ensemble.schema.grid.stride_s * NS)
        now_ns = time.time_ns()
        return now_ns - now_ns % stride_ns + stride_ns * place // self._count

    def _read_ahead(self, reader: ThreadPoolExecutor, now_ns: int) -> None:
        """Have the next episode of every machine read that is about to need it."""
        for machine in self.machines:
            if machine.following is None and now_ns > machine.end_ns - READ_AHEAD_S * NS:
                machine.following = reader.submit(self._read, machine.place + self._count)

    def look(self, now_ns: int, predicted: Predicted) -> None:
        """Give every machine its samples up to now, and predict the windows that are due."""
        for place, machine in enumerate(self.machines):
            observed = machine.observed
            machine.stream.advance(now_ns, observed.machine)
            if now_ns >= machine.end_ns:
                observed.machine.close(machine.end_ns)
            # The time of this machine, and not that at which the first of all was looked at.
            window = observed.machine.predict(max(now_ns, time.time_ns()))
            if window is not None:
                predicted(observed, window)
            elif now_ns >= machine.end_ns and machine.following and machine.following.done():
                observed.stopped = True
                predicted(observed, None)
                self.machines[place] = self._next(machine, now_ns)

    def _next(self, machine: PlayedMachine, now_ns: int) -> PlayedMachine:
        """Return the machine with its next episode, which is already read."""
        assert machine.following is not None
        return self._begin(machine.place + self._count, machine.following.result(), now_ns)

    def _read(self, place: int) -> tuple[Episode, Machine]:
        """Read the episode of a place in the endless list, and what its host's level is pooled of.

        Neighbours play different episodes, and a machine plays another one each time.
        """
        turn, number = divmod(place, self._count)
        for further in range(len(self._ids)):
            with suppress(Refused):
                id = self._ids[(number + turn + further) % len(self._ids)]
                episode = self._library.read(id)
                return episode, self._library.machine(episode)
        where = self._library.store.root
        raise Refused(where, "has no readable episode", "one to play", "`phasewatch validate` it.")

    def _begin(self, place: int, read: tuple[Episode, Machine], now_ns: int) -> PlayedMachine:
        episode, blank = read
        late_ns = now_ns - episode.start_ns
        sources = {
            name: replace(samples, t_wall_ns=samples.t_wall_ns + late_ns)
            for name, samples in episode.sources.items()
        }
        moved = replace(episode, start_ns=now_ns, end_ns=episode.end_ns + late_ns, sources=sources)
        machine = Machine(self._ensemble, now_ns, blank.past, blank.stretches)
        name = f"{place % self._count + 1:02d}-{episode.host}"
        observed = Observed(name, episode.host, episode.id, machine, self._member)
        return PlayedMachine(observed, SampleStream(moved), moved.end_ns, place)


def headlined(library: Library) -> Member:
    """Return the model that is headlined: best on validation in realistic mode, or the first.

    Raises Refused where no model is loaded.
    """
    members = library.ensemble.members
    if not members:
        remedy = "Give it --run RUN."
        raise Refused("serve", "has no model to judge with", "a run with checkpoints", remedy)
    realistic = [one for one in members if one.checkpoint.mode == "realistic"] or list(members)
    chosen = [one for one in realistic if one.key in library.chosen]
    return (chosen or realistic)[0]
