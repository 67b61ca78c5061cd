"""Why this call: what each source, and each channel, added to one logit of one window.

Trees answer exactly, with TreeSHAP. For any other model sources are put back, one coalition after
the other, to the machine's own calm level, and each gets its Shapley value: with four sources these
are sixteen windows, so exact too. Either way the base and the sources sum to the logit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from phasewatch.features.views import Array
from phasewatch.live.ensemble import Member
from phasewatch.live.machine import WindowPrediction
from phasewatch.schema import Schema


@dataclass(frozen=True)
class Share:
    """How much of a logit is owed to one source or channel."""

    name: str
    logit: float


@dataclass(frozen=True)
class Why:
    """`base` and `sources` sum to `logit`; `channels` do too, where `channels_add_up`.

    Otherwise a channel's figure is what its own return to calm would take away, all else as it is.
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


def why(member: Member, judged: WindowPrediction, label: int) -> Why:
    """What carried the logit of class `label` in a window that this juror judged."""
    x, level = judged.x[member.rows], judged.level[member.rows]
    loaded = member.checkpoint
    told = loaded.model.contributions(loaded.normalizer.apply(x[None], level[None]))
    logit = float(judged.logits[member.key][label])
    name = loaded.schema.classes[label]
    if told is not None:
        by_channel = _by_channel(told[0, :-1, label], loaded.schema)
        return Why(
            model=member.key,
            label=name,
            logit=logit,
            base=float(told[0, -1, label]),
            base_is="the average over training",
            method="TreeSHAP",
            sources=_by_source(by_channel, loaded.schema),
            channels=_shares(loaded.schema.names, by_channel),
            channels_add_up=True,
        )
    base, sources, channels = _calmed(member, x, level, label)
    return Why(
        model=member.key,
        label=name,
        logit=logit,
        base=base,
        base_is="the same machine at its own calm level",
        method="Shapley values of sources",
        sources=sources,
        channels=channels,
        channels_add_up=False,
    )


def _by_channel(columns: Array, schema: Schema) -> Array:
    """Columns are S statistics a channel, of rates and then of rates beside the level."""
    count = len(schema.channels)
    return np.asarray(columns.reshape(2, count, -1).sum(axis=(0, 2)))


def _by_source(by_channel: Array, schema: Schema) -> tuple[Share, ...]:
    of = np.array([channel.source for channel in schema.channels])
    return tuple(Share(source, float(by_channel[of == source].sum())) for source in schema.sources)


def _shares(names: Sequence[str], values: Array) -> tuple[Share, ...]:
    """Largest first, whatever the sign."""
    order = np.argsort(-np.abs(values), kind="stable")
    return tuple(Share(names[place], float(values[place])) for place in order)


def _calmed(
    member: Member, x: NDArray[np.float32], level: NDArray[np.float32], label: int
) -> tuple[float, tuple[Share, ...], tuple[Share, ...]]:
    """The logit with everything calm, each source's Shapley value, each channel's own weight."""
    loaded, schema = member.checkpoint, member.checkpoint.schema
    usual = np.where(np.isfinite(level), level, loaded.normalizer.opening)
    # The inverse of `windows.log`.
    calm = np.broadcast_to((np.sign(usual) * np.expm1(np.abs(usual)))[:, None], x.shape)
    of = np.array([channel.source for channel in schema.channels])
    players = range(len(schema.sources))
    coalitions = [c for size in range(len(players) + 1) for c in combinations(players, size)]
    kept = [np.isin(of, [schema.sources[player] for player in own]) for own in coalitions]
    kept += [np.arange(len(of)) != channel for channel in range(len(of))]
    asked = np.stack([np.where(rows[:, None], x, calm) for rows in kept]).astype(np.float32)
    logits = loaded.logits(asked, np.tile(level, (len(asked), 1)))[:, label]
    worth = dict(zip(coalitions, logits[: len(coalitions)], strict=True))
    sources = tuple(
        Share(source, _shapley(worth, player, len(players)))
        for player, source in enumerate(schema.sources)
    )
    alone = worth[tuple(players)] - logits[len(coalitions) :]
    return float(worth[()]), sources, _shares(schema.names, alone)


def _shapley(worth: dict[tuple[int, ...], float], player: int, count: int) -> float:
    """Shapley (1953): what a player adds, over all orders in which they may come."""
    total = 0.0
    for own, value in worth.items():
        if player not in own:
            weight = factorial(len(own)) * factorial(count - len(own) - 1) / factorial(count)
            total += weight * (worth[tuple(sorted((*own, player)))] - value)
    return float(total)
