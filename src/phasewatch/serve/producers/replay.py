"""What is happening, and which model sees it? A stored episode, or a machine that runs now."""

from threading import Event as Signal
from typing import ClassVar

from phasewatch.serve import events
from phasewatch.serve.events import Event, ProducerContext, Publish
from phasewatch.serve.replay.playback import Playback
from phasewatch.serve.replay.queries import Queries
from phasewatch.serve.replay.records import EpisodeLoaded, Window

TICK_S = 0.05
"""Seconds between two looks at the clock."""


class Producer(events.Producer):
    """Plays the given episodes one after the other, or shows a machine that runs now.

    `playback` moves the clock, `queries` returns what the page requests.
    """

    kinds: ClassVar[tuple[type[Event], ...]] = (EpisodeLoaded, Window)
    fill = "phasewatch serve --run RUN --store STORE"

    def __init__(self, context: ProducerContext, publish: Publish) -> None:
        super().__init__(context, publish)
        self.playback = Playback(context, publish)
        self.queries = Queries(self.playback)

    @property
    def progress(self) -> str:
        """What is waited for while nothing is watched."""
        return self.playback.progress

    def work(self, stop: Signal) -> None:
        """Play the first episode, then keep to the clock until `stop`. Raises Refused."""
        self.open()
        if self.context.store is not None and self.context.episodes:
            # A fleet has the processor to itself until a viewer asks for a replay.
            show = self.playback.load if self.context.fleet else self.playback.play
            show(self.context.episodes[0])
        while not stop.wait(TICK_S):
            self.playback.advance()

    def open(self) -> None:
        """Load store and checkpoints now, if there is a store. Raises Refused."""
        if self.context.store is not None:
            self.playback.open()
