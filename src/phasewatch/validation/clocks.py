"""Compares the clocks of an episode by activity that several sources count.

A packet that leaves the guest is counted inside it and on its wire. Where two such series correlate
better when one is shifted, one clock is off. Labels are tested alike: whether they explain the
telemetry better when all of them are shifted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phasewatch.episode import Episode, Floats, Ints, Samples
from phasewatch.schema import NS, Schema

PAIRED_CHANNELS = (
    ("guest.tx_pkts", "netflow.pkts_out"),
    ("guest.wr_sectors", "qmp.blk_wr_bytes"),
    ("proc.vcpu_run", "guest.cpu_user"),
)
"""Channels of two sources that count the same activity."""

_PAIRED_NAMES = tuple(dict.fromkeys(name for pair in PAIRED_CHANNELS for name in pair))

MAX_SHIFT_S, MIN_COMMON_S = 30.0, 20.0
"""The largest shift that is tried, and the shortest common time that it needs, in seconds."""

MIN_COVERED = 0.9
"""Share of an episode that all sources must cover before its labels are compared with them."""


@dataclass(frozen=True)
class ClockPair:
    """Two sources: the shift of the left one at which they agree best, in seconds.

    `unshifted` and `shifted` are their correlation as stamped and at that shift; `second` is the
    best one more than `NEIGHBOURHOOD_S` from it, since a periodic signal agrees with itself at
    several shifts. `steps` is the number of grid steps that it rests on: two isolated peaks
    correlate perfectly by chance.
    """

    left: str
    right: str
    offset_s: float
    unshifted: float
    shifted: float
    second: float
    steps: float

    MIN_SHIFT_S, MIN_CORRELATION, MIN_CERTAIN, MIN_GAIN = 1.5, 0.7, 0.9, 0.25
    NEIGHBOURHOOD_S, MIN_LEAD, MIN_STEPS = 4.0, 0.1, 8

    @property
    def known(self) -> bool:
        """Whether the best correlation is higher than chance gives."""
        return self.shifted >= self.MIN_CORRELATION and self.steps >= self.MIN_STEPS

    @property
    def apart(self) -> bool:
        """Whether one of the two clocks is off."""
        far = abs(self.offset_s) >= self.MIN_SHIFT_S
        alone = self.shifted - self.second >= self.MIN_LEAD
        better = self.shifted - self.unshifted >= self.MIN_GAIN
        return self.known and self.shifted >= self.MIN_CERTAIN and far and alone and better


@dataclass(frozen=True)
class LabelShift:
    """How much later than its labels the telemetry changes, and what share of it they explain.

    `unshifted` is the share with the labels where they are, `shifted` with all of them shifted.
    """

    late_s: float
    unshifted: float
    shifted: float

    MIN_SHIFT_S, MIN_CORRELATION, MIN_GAIN = 4.0, 0.5, 0.2

    @property
    def apart(self) -> bool:
        """Whether the labels are off."""
        far = abs(self.late_s) >= self.MIN_SHIFT_S
        return (
            far
            and self.shifted >= self.MIN_CORRELATION
            and self.shifted - self.unshifted >= self.MIN_GAIN
        )


@dataclass(frozen=True)
class ClockEvidence:
    """The offsets between clocks, and of the labels, that could be measured."""

    pairs: tuple[ClockPair, ...] = ()
    onset: LabelShift | None = None

    @property
    def offsets(self) -> tuple[tuple[str, float], ...]:
        """The offset in seconds of each pair "left-right" that correlates well enough."""
        return tuple(
            (f"{pair.left}-{pair.right}", round(pair.offset_s, 2))
            for pair in self.pairs
            if pair.known
        )


def measure(episode: Episode, sources: Mapping[str, Samples], schema: Schema) -> ClockEvidence:
    """Return the offsets between `sources`, which must have ordered times and finite values."""
    sources = {name: samples for name, samples in sources.items() if len(samples)}
    if not sources:
        return ClockEvidence()
    first = max(int(samples.t_wall_ns[0]) for samples in sources.values())
    last = min(int(samples.t_wall_ns[-1]) for samples in sources.values())
    first, last = max(first, episode.start_ns), min(last, episode.end_ns)
    most = round(min(MAX_SHIFT_S, (last - first) / NS / 3) / schema.grid.step_s)
    if last - first < MIN_COMMON_S * NS or not most:
        return ClockEvidence()
    edges = np.arange(first, last, schema.grid.step_ns)
    rates = _rates(sources, schema, edges)
    # Labels beyond the recorded time cannot be distinguished from late ones.
    covered = last - first >= MIN_COVERED * (episode.end_ns - episode.start_ns)
    onset = _label_shift(episode, rates, edges, most) if covered else None
    return ClockEvidence(_pairs(rates, most, schema.grid.step_s), onset)


def _rates(sources: Mapping[str, Samples], schema: Schema, edges: Ints) -> dict[str, Floats]:
    """Return log1p counts `[M]` of the paired channels between `edges[M+1]`, mean 0, norm 1."""
    # Converted once: interp would do it for every channel.
    at = edges.astype(float)
    times = {source: samples.t_wall_ns.astype(float) for source, samples in sources.items()}
    totals = {}
    for name in _PAIRED_NAMES:
        source = name.partition(".")[0]
        samples, kind = sources.get(source), schema.kinds.get(name)
        if samples is None or kind is None or name not in samples.names:
            continue
        value = samples.values[:, samples.names.index(name)]
        total = value.cumsum() if kind == "event" else value
        totals[name] = np.interp(at, times[source], total)
    if not totals:
        return {}
    total = np.stack(list(totals.values()))
    z = np.log1p(np.maximum(total[:, 1:] - total[:, :-1], 0.0))
    z -= z.sum(axis=1, keepdims=True) / z.shape[1]
    norms = np.sqrt(np.einsum("cm,cm->c", z, z)).tolist()
    normalized = zip(totals, z, norms, strict=True)
    return {name: row / norm for name, row, norm in normalized if norm > 1e-9}


def _pairs(rates: Mapping[str, Floats], most: int, step_s: float) -> tuple[ClockPair, ...]:
    """Return every pair of varying channels, at its best shift of at most `most` steps."""
    pairs = [(left, right) for left, right in PAIRED_CHANNELS if left in rates and right in rates]
    if not pairs:
        return ()
    z = np.array([[rates[left], rates[right]] for left, right in pairs])
    padded = np.zeros((len(z), z.shape[2] + 2 * most))
    padded[:, most:-most] = z[:, 0]
    curves = np.array([np.correlate(*both) for both in zip(padded, z[:, 1], strict=True)])
    curves /= _overlap_norm(z, most)
    found = zip(pairs, z, curves.tolist(), strict=True)
    return tuple(_pair(*one, step_s) for one in found)


def _overlap_norm(z: Floats, most: int) -> Floats:
    """Return for `z[P,2,M]` the norm of the overlap at shifts from -L to L, `[P,2L+1]`."""
    steps = z.shape[2]
    energy = np.zeros((*z.shape[:2], steps + 1))
    np.cumsum(z * z, axis=2, out=energy[:, :, 1:])
    # Shifted to the left, a series keeps its beginning; to the right, its end.
    begun, ended = energy[:, :, -most - 1 : -1], energy[:, :, -1:] - energy[:, :, : most + 1]
    held = np.concatenate((begun, ended), axis=2)
    # Where most of what happened lies outside, the quiet rest would agree too well.
    norm: Floats = np.sqrt(np.maximum(held[:, 0] * held[:, 1, ::-1], 0.25))
    return norm


def _pair(names: tuple[str, str], z: Floats, curve: list[float], step_s: float) -> ClockPair:
    """Return the pair of `z[2,M]` from its correlation at shifts from -L to L, `curve[2L+1]`."""
    highest = max(curve)
    most, best = len(curve) // 2, curve.index(highest)
    apart = round(ClockPair.NEIGHBOURHOOD_S / step_s)
    second = max([-1.0, *curve[: max(best - apart + 1, 0)], *curve[best + apart :]])
    return ClockPair(
        names[0].partition(".")[0],
        names[1].partition(".")[0],
        (best - most + _peak_offset(curve, best)) * step_s,
        curve[most],
        highest,
        second,
        _steps(z, best - most) if highest >= ClockPair.MIN_CORRELATION else 0.0,
    )


def _steps(z: Floats, shift: int) -> float:
    """Return the effective number of steps of `z[2,M]` that a correlation at a shift rests on."""
    late, early = max(shift, 0), max(-shift, 0)
    both = z[0, late : z.shape[1] - early] * z[1, early : z.shape[1] - late]
    return float(both.sum() ** 2 / max(both @ both, 1e-18))


def _peak_offset(curve: Sequence[float], best: int) -> float:
    """Return the offset, in steps, of the top of a parabola through the best and its neighbours."""
    if not 0 < best < len(curve) - 1:
        return 0.0
    before, top, after = curve[best - 1 : best + 2]
    sharp = before - 2 * top + after
    return 0.5 * (before - after) / sharp if sharp < 0 else 0.0


def _label_shift(
    episode: Episode, rates: Mapping[str, Floats], edges: Ints, most: int
) -> LabelShift | None:
    """Return the common shift at which the labels explain most; None without rates or changes."""
    inner = [label.t_wall_ns for label in episode.labels[1:]]
    if not inner or not rates:
        return None
    steps = len(edges) - 1
    total = np.zeros((steps + 1, len(rates)))
    np.cumsum(np.stack(list(rates.values()), axis=1), axis=0, out=total[1:])
    step = edges[1] - edges[0]
    at = np.rint((np.array(inner) - edges[0]) / step).astype(np.int64)
    shifts = np.arange(-most, most + 1)
    cuts = np.full((len(shifts), len(inner) + 2), steps)
    cuts[:, 0] = 0
    cuts[:, 1:-1] = np.minimum(np.maximum(at + shifts[:, None], 0), steps)
    length = np.maximum(cuts[:, 1:] - cuts[:, :-1], 1)
    at_cuts = total[cuts]
    sums = at_cuts[:, 1:] - at_cuts[:, :-1]
    # The columns have norm 1: the mean over them is the share of all that labels explain.
    share = np.einsum("slc,slc,sl->s", sums, sums, 1 / length) / len(rates)
    best = int(share.argmax())
    return LabelShift(float(shifts[best] * step / NS), float(share[most]), float(share[best]))
