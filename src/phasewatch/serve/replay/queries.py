"""What the page queries about an episode: its facts, windows, attributions and incidents."""

from typing import Any

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.live.attribution import Attribution, attribute
from phasewatch.live.incidents import Incident, machine_incidents
from phasewatch.live.machine import Machine
from phasewatch.live.playback import manifests
from phasewatch.schema import NS
from phasewatch.serve.replay.describe import window_event
from phasewatch.serve.replay.playback import Playback, validated
from phasewatch.serve.replay.records import EpisodeLoaded, Window


class Queries:
    """Serves queries about the machine under watch and about every stored episode."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback

    def corpus(self) -> list[dict[str, Any]]:
        """Return every episode that can be loaded; none without a store."""
        store = self._playback.context.store
        if store is None:
            return []
        try:
            library = self._playback.library
            known, (recipe, roles) = library.manifests, library.split()
        except Refused:
            # Without models to watch with, what the store holds can still be listed.
            known, recipe, roles = manifests(store), None, {}
        return [
            {
                "episode_id": id,
                "host": one.host,
                "profile": one.profile,
                "duration_s": (one.end_ns - one.start_ns) / NS,
                "split_recipe": recipe,
                "split_role": roles.get(id),
            }
            for id, one in known.items()
        ]

    def current(self) -> str:
        """Return the id of the episode under watch; raises Refused when there is none."""
        watched = self._playback.watched
        if watched is None:
            raise Refused("serve", "watches nothing yet", "an episode", "Load one.")
        return watched.episode.id

    def episode(self, id: str) -> EpisodeLoaded:
        """Return what the episode event of an episode is. Raises Refused."""
        watched = self._playback.watched
        if watched is not None and watched.episode.id == id:
            return self._playback.event(watched)
        library = self._playback.library
        return self._playback.event(validated(library, *library.replayed(id)))

    def windows(self, id: str) -> list[Window]:
        """Return every window of a stored episode, or those that a running machine still holds."""
        episode, machine, live = self._machine(id)
        windows = list(machine.predictions.values())
        return [window_event(self._playback.library, episode, one, live) for one in windows]

    def attribution(self, id: str, index: int, key: str, label: str = "") -> Attribution:
        """Return what contributed to a model's predicted phase, or to `label`, in one window.

        Raises Refused for a window, a model or a label that is not there.
        """
        _, machine, _ = self._machine(id)
        member, schema = machine.ensemble.member(key), machine.ensemble.schema
        classes, grid = schema.classes, schema.grid
        window = machine.predictions.get(grid.steps + index * grid.stride)
        if window is None:
            remedy = "Choose one that the page shows."
            raise Refused(f"{id}: window {index}", "was not predicted", "a known window", remedy)
        if label and label not in classes:
            remedy = "Choose one."
            raise Refused(f"label {label!r}", "is no phase", f"one of {', '.join(classes)}", remedy)
        place = classes.index(label) if label else int(window.logits[key].argmax())
        return attribute(member, window, place)

    def incidents(self, id: str, key: str) -> list[Incident]:
        """Return an episode's incidents under one model, at its operating point. Raises Refused."""
        episode, machine, _ = self._machine(id)
        run = self._playback.context.run
        threshold = run.thresholds.get(key) if run else None
        return machine_incidents(machine, episode.id, episode.host, key, threshold)

    def _machine(self, id: str) -> tuple[Episode, Machine, bool]:
        watched = self._playback.watched
        if watched is not None and watched.live and watched.episode.id == id:
            return watched.episode, watched.machine, True
        return *self._playback.library.replayed(id), False
