"""The producers at work, each in a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from phasewatch.errors import Refused
from phasewatch.serve import documents
from phasewatch.serve.broker import Broker
from phasewatch.serve.events import Producer, ProducerContext
from phasewatch.serve.producers import replay


@dataclass
class Runtime:
    """Producers at work on what is given, and the hub that they tell.

    `troubles` says why a producer has stopped, by its name.
    """

    given: ProducerContext
    control: bool = False
    troubles: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.broker = Broker(self.given.counted)
        self.producers: dict[str, Producer] = {
            name: kind(self.given, self.broker.tell) for name, kind in documents.find().items()
        }
        self.replay.control = self.control

    @property
    def replay(self) -> replay.Producer:
        """The producer that can be moved and asked."""
        found = self.producers["replay"]
        assert isinstance(found, replay.Producer)
        return found

    @contextmanager
    def working(self) -> Iterator["Runtime"]:
        """Every producer in a thread of its own, until the block ends."""
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
            self.troubles[name] = str(refused)
        except Exception as error:
            # A fault in one producer is told on its scene, and leaves the others at work.
            self.troubles[name] = f"{type(error).__name__}: {error}; report this"

    def told(self) -> list[dict[str, Any]]:
        """Every producer: what it tells, what would give it something to tell, what stopped it."""
        return [
            {
                "name": name,
                "kinds": [kind.kind for kind in producer.kinds],
                "every_s": {kind.kind: kind.every_s for kind in producer.kinds},
                "fill": producer.fill,
                "trouble": self.troubles.get(name),
            }
            for name, producer in self.producers.items()
        ]
