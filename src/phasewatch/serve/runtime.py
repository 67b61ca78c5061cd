"""The running producers, each in a separate thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from phasewatch.errors import Refused
from phasewatch.serve import registry
from phasewatch.serve.broker import Broker
from phasewatch.serve.events import Producer, ProducerContext
from phasewatch.serve.producers import fleet, replay


@dataclass
class Runtime:
    """All producers on one context, and the broker to which they publish.

    `failures` has the reason for which a producer has stopped, by its name.
    """

    context: ProducerContext
    control: bool = False
    failures: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.broker = Broker(self.context.counters)
        self.producers: dict[str, Producer] = {
            name: kind(self.context, self.broker.publish) for name, kind in registry.find().items()
        }
        self.replay.playback.control = self.control
        self.fleet.playback = self.replay.playback

    @property
    def replay(self) -> replay.Producer:
        """The producer whose playback can be moved and queried."""
        found = self.producers["replay"]
        assert isinstance(found, replay.Producer)
        return found

    @property
    def fleet(self) -> fleet.Producer:
        """The producer that watches machines and has the ledger of incidents."""
        found = self.producers["fleet"]
        assert isinstance(found, fleet.Producer)
        return found

    @contextmanager
    def running(self) -> Iterator["Runtime"]:
        """Run every producer in a separate thread until the block ends."""
        stop = threading.Event()
        threads = [
            threading.Thread(target=self._work, args=(name, stop), name=name, daemon=True)
            for name in self.producers
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)

    def _work(self, name: str, stop: threading.Event) -> None:
        try:
            self.producers[name].work(stop)
        except Refused as refused:
            self.failures[name] = str(refused)
        except Exception as error:
            # A fault in one producer is shown on its scene and leaves the others running.
            self.failures[name] = f"{type(error).__name__}: {error}; report this"

    def status(self) -> list[dict[str, Any]]:
        """Return each producer's kinds of events, how often they come, and why it has stopped.

        `fill` is the command that gives it something to publish, and `progress` what it does before
        it publishes anything.
        """
        return [
            {
                "name": name,
                "kinds": [kind.kind for kind in producer.kinds],
                "every_s": {kind.kind: kind.every_s for kind in producer.kinds},
                "fill": producer.fill,
                "progress": producer.progress,
                "trouble": self.failures.get(name),
            }
            for name, producer in self.producers.items()
        ]
