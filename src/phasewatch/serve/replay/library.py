"""The episodes that can be replayed, and the ensemble that predicts them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.live import playback
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import Machine, Scale
from phasewatch.serve.events import ProducerContext
from phasewatch.store.local import Store

REMEMBERED = 12
"""Episodes whose predicted windows stay in memory for scrubbing."""


@dataclass(frozen=True)
class Progress:
    """How far the windows of an episode are predicted: by how many models, and which share."""

    models: int
    done_ratio: float


class Library:
    """A store, its manifests, and the ensemble of the run that is given; opened once.

    Without a run the ensemble is empty. Raises Refused without a store, or for a run without
    checkpoints.
    """

    def __init__(self, context: ProducerContext) -> None:
        self.store: Store = _store(context)
        self.manifests = playback.manifests(self.store)
        self.ensemble = (
            Ensemble.of_run(context.run, self.store.schema, context.trust)
            if context.run is not None
            else Ensemble(self.store.schema, ())
        )
        self.chosen = frozenset(context.run.chosen.values() if context.run is not None else ())
        """Keys of the models that are best on validation, one for each mode."""
        self.selection = self.ensemble.selection(context.baseline)
        self.scale = Scale.of(self.ensemble)
        self._replayed = lru_cache(REMEMBERED)(self._replay)
        self._share: dict[str, float] = {}
        self._judging = threading.Lock()

    def read(self, id: str) -> Episode:
        """Return an episode of the store. Raises Refused."""
        self.refuse_unknown(id)
        return self.store.read(id)

    def refuse_unknown(self, id: str) -> None:
        """Raise Refused, with code "unknown", when the store has no episode of this id."""
        if id not in self.manifests:
            remedy = "`phasewatch validate` lists them."
            problem = f"has no episode {id!r}"
            raise Refused(self.store.root, problem, "an episode of it", remedy, code="unknown")

    def past(self, episode: Episode) -> Sequence[NDArray[np.float32]]:
        """Return the openings `[C]` of the host's earlier episodes, oldest first."""
        known = list(self.manifests.values())
        opening_s = self.ensemble.opening_s
        return playback.history(self.store, known, episode, opening_s, self.selection)

    def machine(self, episode: Episode) -> Machine:
        """Return a machine at the beginning of an episode, with all that is known of its host."""
        return Machine(self.ensemble, episode.start_ns, self.past(episode), self._known(episode))

    def _known(self, episode: Episode) -> NDArray[np.float32]:
        """Return the levels `[M,C]` of the recordings that teach the level of the host."""
        known = list(self.manifests.values())
        return playback.stretches(self.store, known, episode, self.selection)

    def replayed(self, id: str) -> tuple[Episode, Machine]:
        """Return an episode and the machine that has seen all of it. Raises Refused.

        One episode is predicted at a time: a second request for it waits, and takes the result.
        """
        with self._judging:
            return self._replayed(id)

    def _replay(self, id: str) -> tuple[Episode, Machine]:
        episode = self.read(id)

        def note(share: float) -> None:
            self._share[id] = share

        past, known = self.past(episode), self._known(episode)
        machine = playback.replay(episode, self.ensemble, past, known, note)
        self._share[id] = 1.0
        return episode, machine

    def progress(self, id: str) -> Progress:
        """Return how far `replayed` has come with an episode. Raises Refused for an unknown one."""
        self.refuse_unknown(id)
        return Progress(len(self.ensemble.members), self._share.get(id, 0.0))

    def split(self) -> tuple[str | None, dict[str, str]]:
        """Return the split of the run, in words, and each episode's part of it, by id."""
        if not self.ensemble.members:
            return None, {}
        split = self.ensemble.members[0].checkpoint.split
        roles = {
            str(id): part
            for part in ("train", "validation", "seen", "test")
            for id in split.get(part, ())
        }
        return f"{split['recipe']} {split['held_out']}", roles


def _store(context: ProducerContext) -> Store:
    if context.store is None:
        remedy = "Give it --store STORE."
        raise Refused("serve", "has no store to play from", "an episode store", remedy)
    return context.store
