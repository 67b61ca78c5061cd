"""A machine that Phasewatch did not start, on the page: its readings are shown as they come."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from phasewatch.attach.watch.stream import HZ, Clock, SystemClock, stream
from phasewatch.attach.watch.watched import Event, Gap, Say, Watched
from phasewatch.episode import Episode, Samples
from phasewatch.errors import Refused
from phasewatch.schema import NS
from phasewatch.serve.replay.playback import Playback


@dataclass
class LiveAttachment:
    """One machine under watch, shown by `playback`; `log` is given a line for what went wrong.

    Nothing is labelled and nothing is stored. After a gap the page begins anew, with an opening.
    """

    watched: Watched
    playback: Playback
    log: Say
    clock: Clock = field(default_factory=SystemClock)
    _begun: bool = False

    def run(self, seconds: float = 0.0) -> None:
        """Show the machine for `seconds`, or where that is 0 until it has ended for good."""
        try:
            for event in stream([self.watched], self.clock, self.log, HZ, seconds):
                self.receive(event)
        except (Refused, OSError) as error:
            self.log(f"phasewatch: {error}")
        finally:
            self.watched.close()
            if self._begun:
                self.playback.end(self.clock.wall_ns())

    def receive(self, event: Event) -> None:
        """Pass on a reading; a gap ends what is shown, and the next reading begins anew."""
        if isinstance(event, Gap):
            self._begun = False
            return
        if not self._begun:
            self.playback.begin(self._episode(event.t_wall_ns))
            self._begun = True
        times = np.array([event.t_wall_ns], np.int64), np.array([event.t_mono_ns], np.int64)
        values = np.array([event.values], np.float64)
        self.playback.add(event.source, Samples(event.names, *times, values, HZ))

    def _episode(self, start_ns: int) -> Episode:
        """Return what is known of the episode when it begins: no label, no sample, no end."""
        day = datetime.fromtimestamp(start_ns / NS, UTC)
        return Episode(
            id=f"attached.{self.watched.name}.{day:%Y%m%dT%H%M%SZ}",
            host=self.watched.name,
            sample="unlabelled",
            profile=f"attached {self.watched.target.kind}",
            campaign=f"attached-{day:%Y-%m-%d}",
            start_ns=start_ns,
            end_ns=start_ns,
            labels=(),
            sources={},
        )
