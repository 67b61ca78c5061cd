"""Events from a watched machine: the episode with its models, and each predicted window."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from phasewatch.episode import Episode, Samples
from phasewatch.live.ensemble import Ensemble, Member
from phasewatch.live.machine import Machine, WindowPrediction
from phasewatch.live.playback import SampleStream
from phasewatch.schema import NS, Schema
from phasewatch.serve.replay.clock import Clock
from phasewatch.serve.replay.library import Library
from phasewatch.serve.replay.records import (
    Call,
    ChannelFacts,
    EpisodeLoaded,
    ModelFacts,
    SourceFacts,
    Span,
    Window,
)


@dataclass(frozen=True)
class Watched:
    """The machine under watch, its episode, and what validation found; `stream` is None if live."""

    episode: Episode
    machine: Machine
    stream: SampleStream | None
    acceptance: str
    findings: tuple[str, ...]

    @property
    def live(self) -> bool:
        """Whether the machine runs now."""
        return self.stream is None


def episode_event(library: Library, watched: Watched, clock: Clock, control: bool) -> EpisodeLoaded:
    """Return the event that describes a watched machine, its models and its clock."""
    episode, ensemble, live = watched.episode, watched.machine.ensemble, watched.live
    grid = ensemble.schema.grid
    recipe, roles = library.split()
    return EpisodeLoaded(
        episode_id=episode.id,
        mode="live" if live else "replay",
        host=episode.host,
        profile=episode.profile,
        sample=episode.sample,
        campaign=episode.campaign,
        acceptance=watched.acceptance,  # type: ignore[arg-type]
        findings=list(watched.findings),
        start_wall_ns=episode.start_ns,
        duration_s=None if live else episode.seconds,
        opening_s=ensemble.opening_s,
        window_s=grid.window_s,
        stride_s=grid.stride_s,
        n_windows=None if live else _window_count(episode, ensemble),
        labels=list(ensemble.schema.classes),
        channels=_channels(ensemble.schema),
        sources=[_source(name, episode.sources.get(name)) for name in ensemble.schema.sources],
        phases=_phases(episode),
        split_recipe=recipe,
        split_role=roles.get(episode.id, "none") if recipe else None,
        models=_models(ensemble, library.chosen),
        transport=clock.transport(math.inf if live else episode.seconds, control),
    )


def window_event(
    library: Library, episode: Episode, window: WindowPrediction, live: bool
) -> Window:
    """Return the event of a predicted window; in a replay its lag is the time that models took."""
    schema, scale = library.ensemble.schema, library.scale
    grid = schema.grid
    z = scale.z(window.x, window.level) if scale else np.full(len(window.x), np.nan)
    return Window(
        episode_id=episode.id,
        index=(window.end - grid.steps) // grid.stride,
        start_s=window.end * grid.step_s - grid.window_s,
        end_s=window.end * grid.step_s,
        end_wall_ns=window.end_ns,
        truth=_truth(episode, window.end_ns),
        models={
            member.key: _prediction(member, window, schema.classes)
            for member in library.ensemble.members
            # A machine of a fleet is judged by one of them.
            if member.key in window.logits
        },
        z=[round(float(one), 3) if np.isfinite(one) else None for one in z],
        present_ratio=[round(float(one), 3) for one in window.present],
        missing=list(window.missing),
        lag_s=window.lag_s if live else max(sum(window.latency_s.values()), 0.0),
        skipped_before=window.skipped,
    )


def _window_count(episode: Episode, ensemble: Ensemble) -> int:
    grid = ensemble.schema.grid
    steps = (episode.end_ns - episode.start_ns) // grid.step_ns
    first = ensemble.opening_s // grid.step_s + 1
    return sum(end >= first for end in range(grid.steps, steps + 1, grid.stride))


def _channels(schema: Schema) -> list[ChannelFacts]:
    return [
        ChannelFacts(
            name=one.name,
            source=one.source,
            unit=one.unit,
            deployed=one.deployed,
            meaning=one.meaning,
        )
        for one in schema.channels
    ]


def _models(ensemble: Ensemble, chosen: frozenset[str]) -> list[ModelFacts]:
    loaded = [
        ModelFacts(
            key=member.key,
            model=member.checkpoint.model_name,
            mode=member.checkpoint.mode,
            status="loaded",
            reason=None,
            schema_hash=member.checkpoint.schema.fingerprint,
            data_schema_hash=ensemble.schema.for_mode(member.checkpoint.mode).fingerprint,
            temperature=member.temperature,
            chosen=member.key in chosen,
        )
        for member in ensemble.members
    ]
    refused = [
        ModelFacts(
            key=key,
            model=key.partition(".")[0],
            mode=key.partition(".")[2],
            status="refused",
            reason=str(problem),
            schema_hash=None,
            data_schema_hash=ensemble.schema.fingerprint,
            temperature=None,
            chosen=False,
        )
        for key, problem in ensemble.refused.items()
    ]
    return loaded + refused


def _prediction(member: Member, window: WindowPrediction, classes: tuple[str, ...]) -> Call:
    p = member.probabilities(window.logits[member.key])
    entropy = float(-(p * np.log2(np.maximum(p, 1e-300))).sum())
    place = window.places.get(member.key)
    return Call(
        p=[round(float(one), 5) for one in p],
        label=classes[int(p.argmax())],
        entropy_bits=round(max(entropy, 0.0), 4),
        latency_s=round(window.latency_s[member.key], 6),
        xy=None if place is None else (round(float(place[0]), 3), round(float(place[1]), 3)),
    )


def _truth(episode: Episode, t_ns: int) -> str | None:
    """Return the phase at a window's end; as in training, one that begins right then is not it."""
    before = [label.phase for label in episode.labels if label.t_wall_ns < t_ns]
    return before[-1] if before else None


def _phases(episode: Episode) -> list[Span] | None:
    if not episode.labels:
        return None
    end_ns = max(episode.end_ns, episode.labels[-1].t_wall_ns)
    times = [label.t_wall_ns for label in episode.labels] + [end_ns]
    return [
        Span(
            label=label.phase,
            start_s=(begin - episode.start_ns) / NS,
            end_s=(end - episode.start_ns) / NS,
        )
        for label, (begin, end) in zip(episode.labels, pairwise(times), strict=True)
    ]


def _source(name: str, samples: Samples | None) -> SourceFacts:
    if samples is None or not len(samples):
        return SourceFacts(source=name, present=False, rate_hz=None, rows=0)
    return SourceFacts(source=name, present=True, rate_hz=samples.rate_hz, rows=len(samples))
