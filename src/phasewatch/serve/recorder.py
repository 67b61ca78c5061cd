"""A recording and the page at the same time: rows go to the panel as they come."""

from dataclasses import dataclass, field
from pathlib import Path

from phasewatch.episode import Episode, Label, Samples
from phasewatch.errors import Refused
from phasewatch.lab.recording import Recording, Say, Take
from phasewatch.serve.producers import replay
from phasewatch.store.local import Store


@dataclass
class Show:
    """One take, recorded into `store` and shown by `producer`; `say` is told how it goes."""

    take: Take
    store: Store
    cache: Path
    producer: replay.Producer
    say: Say
    _before: list[tuple[str, Samples]] = field(default_factory=list)
    _begun: bool = False

    def run(self) -> None:
        """Until the episode is published; what goes wrong is said, and the page stays."""
        try:
            recording = Recording(self.take, self.store, self.cache, self.say, self.hear)
        except Refused as refused:
            self.say(f"phasewatch: {refused}")
            return
        try:
            while not recording.done(1.0):
                pass
            id = recording.result()
            self.producer.end(self.store.manifest(id).end_ns)
        except Refused as refused:
            self.say(f"phasewatch: {refused}")
        finally:
            recording.close()

    def hear(self, what: str, value: Samples | tuple[Label, ...]) -> None:
        """Rows of a source, or the labels so far; the first label is where the episode begins."""
        if isinstance(value, Samples):
            if self._begun:
                self.producer.take(what, value)
            else:
                self._before.append((what, value))
            return
        if not self._begun:
            self.producer.begin(self._episode(value))
            self._begun = True
            for source, samples in self._before:
                self.producer.take(source, samples)
        self.producer.label(value)

    def _episode(self, labels: tuple[Label, ...]) -> Episode:
        """What is known of the episode when it begins."""
        take, start_ns = self.take, labels[0].t_wall_ns
        return Episode(
            id=take.id,
            host=take.host.name,
            sample=take.sample.id,
            profile=take.profile.name,
            campaign=take.campaign.name,
            start_ns=start_ns,
            end_ns=start_ns,
            labels=labels,
            sources={},
        )
