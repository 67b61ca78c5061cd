"""What each source, and each channel, contributed to one logit of one window.

Trees have exact contributions (TreeSHAP, Lundberg et al. 2020). For any other model each coalition
of sources is evaluated with the others set to the machine's benign level, and each source gets its
Shapley value: four sources make sixteen windows, so this is exact as well. Either way the base and
the sources sum to the logit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np

from phasewatch.artifacts.contract import Inputs
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.views import OLDEST, Array, count_columns
from phasewatch.live.ensemble import Member
from phasewatch.live.machine import WindowPrediction
from phasewatch.schema import Schema


@dataclass(frozen=True)
class Share:
    """The part of a logit that one source or channel contributed."""

    name: str
    logit: float


@dataclass(frozen=True)
class Attribution:
    """The contributions to one logit: `base` and `sources` sum to `logit`.

    `channels` sum to it as well where `channels_add_up`. Otherwise a channel's value is by how much
    the logit falls when that channel alone is set to its benign level.
    """

    model: str
    label: str
    logit: float
    base: float
    base_is: str
    method: str
    sources: tuple[Share, ...]
    channels: tuple[Share, ...]
    channels_add_up: bool


def attribute(member: Member, window: WindowPrediction, label: int) -> Attribution:
    """Return what contributed to the logit of class `label`, an index, in a predicted window."""
    x, level, past = (one[member.rows] for one in (window.x, window.level, window.past))
    loaded = member.checkpoint
    z = loaded.normalizer.apply(x[None], level[None], past[None])
    exact = loaded.model.contributions(z)
    logit = float(window.logits[member.key][label])
    name = loaded.schema.classes[label]
    if exact is not None:
        by_channel = _by_channel(exact[0, :-1, label], loaded.normalizer, loaded.schema)
        return Attribution(
            model=member.key,
            label=name,
            logit=logit,
            base=float(exact[0, -1, label]),
            base_is="the average over training",
            method="TreeSHAP",
            sources=_by_source(by_channel, loaded.schema),
            channels=_shares(loaded.schema.names, by_channel),
            channels_add_up=True,
        )
    base, sources, channels = _source_values(member, (x, level, past), label)
    return Attribution(
        model=member.key,
        label=name,
        logit=logit,
        base=base,
        base_is="the same machine at its benign level",
        method="Shapley values of sources",
        sources=sources,
        channels=channels,
        channels_add_up=False,
    )


def _by_channel(columns: Array, normalizer: Normalizer, schema: Schema) -> Array:
    """Sum columns by channel: S statistics each, of rates and then of rates beside the level.

    Those of the past follow, and ratios, of which either channel gets one half.
    """
    count = len(schema.channels)
    own = count_columns(normalizer.view, OLDEST, schema)
    ratios = len(normalizer.pairs)
    total = np.asarray(columns[:own].reshape(2, count, -1).sum(axis=(0, 2)))
    total += columns[own : len(columns) - ratios].reshape(count, -1).sum(axis=1)
    for pair, value in zip(normalizer.pairs, columns[len(columns) - ratios :], strict=True):
        total[[*pair]] += value / 2
    return total


def _by_source(by_channel: Array, schema: Schema) -> tuple[Share, ...]:
    source_of = np.array([channel.source for channel in schema.channels])
    return tuple(
        Share(source, float(by_channel[source_of == source].sum())) for source in schema.sources
    )


def _shares(names: Sequence[str], values: Array) -> tuple[Share, ...]:
    """Return shares with the largest magnitude first."""
    order = np.argsort(-np.abs(values), kind="stable")
    return tuple(Share(names[place], float(values[place])) for place in order)


def _source_values(
    member: Member, window: Inputs, label: int
) -> tuple[float, tuple[Share, ...], tuple[Share, ...]]:
    """Return the logit at the benign level, Shapley values of sources, effects of channels."""
    loaded, schema = member.checkpoint, member.checkpoint.schema
    x, level, past = window
    usual = np.where(np.isfinite(level), level, loaded.normalizer.opening)
    # The inverse of `windowing.signed_log`; the past holds logarithms.
    benign = np.broadcast_to((np.sign(usual) * np.expm1(np.abs(usual)))[:, None], x.shape)
    source_of = np.array([channel.source for channel in schema.channels])
    players = range(len(schema.sources))
    coalitions = [c for size in range(len(players) + 1) for c in combinations(players, size)]
    present = [
        np.isin(source_of, [schema.sources[player] for player in members]) for members in coalitions
    ]
    present += [np.arange(len(source_of)) != channel for channel in range(len(source_of))]
    calm = np.where(np.isfinite(past), usual[:, None], np.nan)
    windows, before = (
        np.stack([np.where(rows[:, None], *pair) for rows in present]).astype(np.float32)
        for pair in ((x, benign), (past, calm))
    )
    logits = loaded.logits(windows, np.tile(level, (len(windows), 1)), before)[:, label]
    worth = dict(zip(coalitions, logits[: len(coalitions)], strict=True))
    sources = tuple(
        Share(source, _shapley(worth, player, len(players)))
        for player, source in enumerate(schema.sources)
    )
    alone = worth[tuple(players)] - logits[len(coalitions) :]
    return float(worth[()]), sources, _shares(schema.names, alone)


def _shapley(worth: dict[tuple[int, ...], float], player: int, count: int) -> float:
    """Return a player's value (Shapley 1953): what it adds, averaged over all orders."""
    total = 0.0
    for coalition, value in worth.items():
        if player not in coalition:
            size = len(coalition)
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            total += weight * (worth[tuple(sorted((*coalition, player)))] - value)
    return float(total)
