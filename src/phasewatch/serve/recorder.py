"""A recording and the page at the same time: samples go to the playback as they are taken."""

from dataclasses import dataclass, field
from pathlib import Path

from phasewatch.episode import Episode, Label, Samples
from phasewatch.errors import Refused
from phasewatch.lab.recording import Recording, Say, Take
from phasewatch.serve.replay.playback import Playback
from phasewatch.store.local import Store


@dataclass
class LiveRecording:
    """One take, recorded into `store` and shown by `playback`; `log` is given progress lines.

    `cache` is the folder of guest images.
    """

    take: Take
    store: Store
    cache: Path
    playback: Playback
    log: Say
    _before: list[tuple[str, Samples]] = field(default_factory=list)
    _begun: bool = False

    def run(self) -> None:
        """Record until the episode is published; a refusal is logged, and the page stays."""
        self.playback.progress = f"starting the guest {self.take.host.name}"
        try:
            recording = Recording(self.take, self.store, self.cache, self._note, self.receive)
        except Refused as refused:
            self.log(f"phasewatch: {refused}")
            return
        try:
            while not recording.done(1.0):
                pass
            id = recording.result()
            self.playback.end(self.store.manifest(id).end_ns)
        except (Refused, OSError) as error:
            self.log(f"phasewatch: {error}")
        finally:
            recording.close()

    def _note(self, line: str) -> None:
        """Log a line of progress, which the page shows while the guest boots."""
        self.playback.progress = line
        self.log(line)

    def receive(self, what: str, value: Samples | tuple[Label, ...]) -> None:
        """Pass on samples of the source `what`, or the labels so far.

        The first label is where the episode begins; samples from before wait for it.
        """
        if isinstance(value, Samples):
            if self._begun:
                self.playback.add(what, value)
            else:
                self._before.append((what, value))
            return
        if not self._begun:
            self.playback.begin(self._episode(value))
            self._begun = True
            for source, samples in self._before:
                self.playback.add(source, samples)
        self.playback.label(value)

    def _episode(self, labels: tuple[Label, ...]) -> Episode:
        """Return what is known of the episode when it begins."""
        take, start_ns = self.take, labels[0].t_wall_ns
        return Episode(
            **take.provenance,
            start_ns=start_ns,
            end_ns=start_ns,
            labels=labels,
            sources={},
        )
