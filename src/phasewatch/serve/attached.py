"""Machines that Phasewatch did not start, on the page: their readings are shown as they come.

Nothing is labelled and nothing is stored. After a gap windows begin anew, in an episode of its own;
the level of the machine and an open incident stay.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from phasewatch.attach.watch.fit import lacking, lost
from phasewatch.attach.watch.session import schema_of
from phasewatch.attach.watch.stream import HZ, Clock, SystemClock, stream
from phasewatch.attach.watch.watched import Event, Gap, Reading, Say, Watched
from phasewatch.episode import Episode, Samples
from phasewatch.errors import Refused
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import Machine, WindowPrediction
from phasewatch.schema import NS
from phasewatch.serve.fleet.observed import Observed
from phasewatch.serve.fleet.played import headlined
from phasewatch.serve.replay import describe
from phasewatch.serve.replay.playback import Playback

Predicted = Callable[[Observed, WindowPrediction | None], None]
"""Given a machine with its new window; with None when it begins, and when it has ended."""


@dataclass
class LiveAttachment:
    """One machine under watch, shown by `playback` with all models.

    `log` is given a line for what went wrong.
    """

    watched: Watched
    playback: Playback
    log: Say
    clock: Clock = field(default_factory=SystemClock)
    _begun: bool = False
    _shown: Machine | None = None

    def run(self, seconds: float = 0.0) -> None:
        """Show the machine for `seconds`, or where that is 0 until it has ended for good."""
        try:
            for event in stream([self.watched], self.clock, self.log, HZ, seconds):
                self.receive(event)
        except (Refused, OSError) as error:
            self.log(f"phasewatch: {error}")
        finally:
            self.watched.close()
            self.end()

    def receive(self, event: Event) -> None:
        """Pass on a reading; a gap ends what is shown, and the next reading begins anew."""
        if isinstance(event, Gap):
            self._begun = False
            return
        if not self._begun:
            self.playback.begin(episode_of(self.watched, event.t_wall_ns), self._shown)
            watched = self.playback.watched
            self._shown = watched.machine if watched else None
            self._begun = True
        self.playback.add(event.source, samples_of(event))

    def end(self) -> None:
        """End the machine on the page, if it has begun."""
        if self._begun:
            self.playback.end(self.clock.wall_ns())


class AttachedFleet:
    """Several machines under watch, each judged by the model that was chosen.

    `predicted` is told of every window. The first of the machines is also the one under watch,
    with all models. `say` is given a line for what went wrong.
    """

    def __init__(
        self,
        watched: Sequence[Watched],
        playback: Playback,
        predicted: Predicted,
        say: Say,
        clock: Clock | None = None,
    ) -> None:
        self._watched, self._playback = watched, playback
        self._predicted, self._say = predicted, say
        self._clock = clock or SystemClock()
        self._member = headlined(playback.library)
        self._ensemble = Ensemble(playback.library.store.schema, (self._member,))
        self._first = LiveAttachment(watched[0], playback, say, self._clock)
        self._by_name = {one.name: one for one in watched}
        self._observed: dict[str, Observed] = {}
        self._interrupted: set[str] = set()

    def run(self, seconds: float = 0.0) -> None:
        """Show the machines for `seconds`, or where that is 0 until all have ended for good."""
        try:
            for event in stream(self._watched, self._clock, self._say, HZ, seconds):
                self.receive(event)
                self._end([one for one in self._watched if one.over])
        except (Refused, OSError) as error:
            self._say(f"phasewatch: {error}")
        finally:
            for one in self._watched:
                one.close()
            self._end(self._watched)
            self._first.end()

    def receive(self, event: Event) -> None:
        """Take an event of a machine: predict the window that is due, or begin anew at a gap."""
        if event.machine == self._watched[0].name:
            self._first.receive(event)
        if isinstance(event, Gap):
            self._interrupted.add(event.machine)
            return
        observed = self._of(event)
        if event.source in self._ensemble.schema.sources:
            observed.machine.add(event.source, samples_of(event))
        # By the time of the readings: those of a machine elsewhere come late, and many at once.
        window = observed.machine.predict(event.t_wall_ns)
        if window is not None:
            lag_s = (self._clock.wall_ns() - window.end_ns) / NS
            self._predicted(observed, replace(window, lag_s=lag_s))

    def _of(self, event: Reading) -> Observed:
        """Return what is observed of the machine of a reading; it begins with it."""
        name = event.machine
        before = self._observed.get(name)
        if before is not None and name not in self._interrupted:
            return before
        self._interrupted.discard(name)
        episode = episode_of(self._by_name[name], event.t_wall_ns)
        if before is None:
            known = self._playback.library.machine(episode)
            machine = Machine(self._ensemble, event.t_wall_ns, known.past, known.stretches)
            observed = Observed(name, name, episode.id, machine, self._member)
        else:
            self._playback.beside.pop(before.episode, None)
            machine = before.machine.after_gap(event.t_wall_ns)
            observed = replace(before, episode=episode.id, machine=machine)
        if name != self._watched[0].name:
            shown = describe.Watched(episode, machine, None, "recording", ())
            self._playback.beside[episode.id] = shown
        self._observed[name] = observed
        self._predicted(observed, None)
        return observed

    def _end(self, ended: Sequence[Watched]) -> None:
        """Show that machines have ended for good."""
        for one in ended:
            observed = self._observed.get(one.name)
            if observed is not None and not observed.stopped:
                observed.stopped = True
                self._predicted(observed, None)


def samples_of(reading: Reading) -> Samples:
    """Return a reading as samples of one row."""
    times = np.array([reading.t_wall_ns], np.int64), np.array([reading.t_mono_ns], np.int64)
    return Samples(reading.names, *times, np.array([reading.values], np.float64), HZ)


def episode_of(watched: Watched, start_ns: int) -> Episode:
    """Return what is known of a machine's episode when it begins: no label, no sample, no end."""
    day = datetime.fromtimestamp(start_ns / NS, UTC)
    # Names of machines may have signs that an address does not take.
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", watched.name).strip("-.")[:64] or watched.target.kind
    return Episode(
        id=f"attached.{name}.{day:%Y%m%dT%H%M%SZ}",
        host=watched.name,
        sample="unlabelled",
        profile=f"attached {watched.target.kind}",
        campaign=f"attached-{day:%Y-%m-%d}",
        start_ns=start_ns,
        end_ns=start_ns,
        labels=(),
        sources={},
    )


def refuse_unloaded(ensemble: Ensemble) -> None:
    """Raise Refused where no model of a run is loaded: the first that was refused says why."""
    if not ensemble.members:
        raise next(iter(ensemble.refused.values()))


def said_missing(ensemble: Ensemble, watched: Watched, key: str) -> str:
    """Return a line on the channels that a model reads and that a machine lacks; "" for none."""
    trained = ensemble.member(key).checkpoint.schema
    line = lost(lacking(trained, schema_of(watched.target), watched.missing()))
    return f"{watched.name}: {key} {line}" if line else ""
