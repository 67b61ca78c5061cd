"""The episodes that can be replayed, and the ensemble that predicts them."""

from collections.abc import Sequence
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

REMEMBERED = 4
"""Episodes whose predicted windows stay in memory for scrubbing."""


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
        self.selection = self.ensemble.selection(context.baseline)
        self.scale = Scale.of(self.ensemble)
        self.replayed = lru_cache(REMEMBERED)(self._replayed)

    def read(self, id: str) -> Episode:
        """Return an episode of the store. Raises Refused."""
        if id not in self.manifests:
            remedy = "`phasewatch validate` lists them."
            raise Refused(self.store.root, f"has no episode {id!r}", "an episode of it", remedy)
        return self.store.read(id)

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

    def _replayed(self, id: str) -> tuple[Episode, Machine]:
        episode = self.read(id)
        past, known = self.past(episode), self._known(episode)
        return episode, playback.replay(episode, self.ensemble, past, known)

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
