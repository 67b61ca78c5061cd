"""From samples to x[C,T], one function offline and live.

Time is cut into steps `(edge, edge + step]`. A step's column depends only on the samples up to its
end and no further back than `hold + step`, so a window made from a live buffer has the same bits as
the one cut from the whole episode. NaN means: not measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from phasewatch.episode import Episode, Floats, Ints, Label, Samples
from phasewatch.errors import Refused
from phasewatch.schema import NS, Channel, Grid, Schema

Strings = NDArray[np.str_]
POOLED = 12
"""Openings of a machine that make its level: three minutes of 15 s each."""


@dataclass(frozen=True)
class Windows:
    """N windows: `x[N,C,T]`, `y[N]` the phase's class at the window's end, and who and when.

    `opening[N,C]` is the machine's level, known to be benign: see `opening` and `pool`. `purity[N]`
    is the share of the window spent in its phase; `since_s[N]` the seconds from that phase's
    beginning to the window's end; `t_ns[N]` the window's end, Unix ns.
    """

    x: NDArray[np.float32]
    opening: NDArray[np.float32]
    y: Ints
    purity: Floats
    since_s: Floats
    t_ns: Ints
    episode: Strings
    host: Strings
    sample: Strings
    profile: Strings
    campaign: Strings

    def __len__(self) -> int:
        """N."""
        return len(self.y)

    def aeon(self) -> tuple[Floats, Ints]:
        """`X[N,C,T]` in double precision and `y[N]`, as aeon and sktime take them."""
        return self.x.astype(np.float64), self.y

    def tsai(self) -> tuple[NDArray[np.float32], Ints]:
        """`X[N,C,T]` in single precision and `y[N]`, as tsai and torch take them."""
        return self.x, self.y

    def sklearn(self) -> tuple[Floats, Ints]:
        """`X[N, C*T]`, every step a column, and `y[N]`, as scikit-learn takes them."""
        return self.x.reshape(len(self), -1).astype(np.float64), self.y

    def take(self, rows: NDArray[np.bool_] | Ints) -> "Windows":
        """The chosen rows."""
        return Windows(*(getattr(self, field.name)[rows] for field in fields(self)))

    def channels(self, schema: Schema, other: Schema) -> "Windows":
        """Return the same windows, cut under `schema`, with the channels of `other` alone.

        The arrays are contiguous, as those of `cut` are: sums have the same last bits.
        """
        if schema.names == other.names:
            return self
        rows = [schema.names.index(name) for name in other.names]
        x, level = (np.ascontiguousarray(own[:, rows]) for own in (self.x, self.opening))
        return replace(self, x=x, opening=level)


def columns(
    sources: Mapping[str, Samples], schema: Schema, origin_ns: int, first: int, last: int
) -> Floats:
    """Grid columns `first..last-1` counted from `origin_ns`, as `[C, last - first]`.

    Column k covers `(origin + k*step, origin + (k+1)*step]`: a gauge's mean, a counter's or an
    event's rate per second since the sample before the step. A step without a sample repeats the
    last known column for as long as that is no older than the grid's hold.
    """
    grid = schema.grid
    back = -(-grid.hold_ns // grid.step_ns)
    edges = origin_ns + grid.step_ns * np.arange(first - back, last + 1, dtype=np.int64)
    out = np.full((len(schema.channels), last - first), np.nan)
    for source in schema.sources:
        samples = sources.get(source)
        if samples is None or len(samples) == 0:
            continue
        rows = [row for row, channel in enumerate(schema.channels) if channel.source == source]
        out[rows] = _source(samples, schema.of(source), grid, edges)[:, back:]
    return out


def _source(samples: Samples, channels: tuple[Channel, ...], grid: Grid, edges: Ints) -> Floats:
    """One source's columns between consecutive `edges[M+1]`, as `[C, M]`, held values filled in."""
    t = samples.t_wall_ns
    if np.any(np.diff(t) < 0):
        raise ValueError("samples run back in time; the validator rejects such an episode")
    upto = np.searchsorted(t, edges, side="right")
    begin, end = upto[:-1], upto[1:]
    full = np.flatnonzero(end > begin)
    out = np.full((len(channels), len(begin)), np.nan)
    if len(full) == 0:
        return out
    begin, end = begin[full], end[full]
    before = np.maximum(begin - 1, 0)
    elapsed = t[end - 1] - t[before]
    known = (begin > 0) & (elapsed <= grid.hold_ns + grid.step_ns) & (elapsed > 0)
    seconds = np.where(known, elapsed, np.nan) / NS
    measured = _measure(channels, _values(samples, channels), begin, end, seconds).T
    latest = np.searchsorted(full, np.arange(out.shape[1]), side="right") - 1
    age = edges[1:] - t[end[latest] - 1]
    held = (latest >= 0) & (age <= grid.hold_ns)
    out[:, held] = measured[:, latest[held]]
    return out


def _values(samples: Samples, channels: tuple[Channel, ...]) -> Floats:
    """The channels' values, `[n, C]`; what is absent or no number was not measured: NaN."""
    place = {name: column for column, name in enumerate(samples.names)}
    there = [row for row, channel in enumerate(channels) if channel.name in place]
    value = np.full((len(samples), len(channels)), np.nan)
    value[:, there] = samples.values[:, [place[channels[row].name] for row in there]]
    value[np.isinf(value)] = np.nan
    return value


def _measure(
    channels: tuple[Channel, ...], value: Floats, begin: Ints, end: Ints, seconds: Floats
) -> Floats:
    """The value of every channel in each step `value[begin:end]`, steps not empty, as `[M, C]`."""
    kinds = np.array([channel.kind for channel in channels])
    counter, event, gauge = (kinds == kind for kind in ("counter", "event", "gauge"))
    delta = value[end - 1] - value[np.maximum(begin - 1, 0)]
    # A counter that fell was reset: what passed across the reset is unknown, never negative.
    delta[delta < 0] = np.nan
    out = np.empty_like(delta)
    out[:, counter] = delta[:, counter] / seconds[:, None]
    out[:, event] = _sums(value[:, event], begin, end) / seconds[:, None]
    out[:, gauge] = _sums(value[:, gauge], begin, end) / (end - begin)[:, None]
    return out


def _sums(value: Floats, begin: Ints, end: Ints) -> Floats:
    """Sums over the segments `value[begin:end]`, in order and not empty: `[M, C]` from `[n, C]`."""
    pairs = np.stack([begin, end], axis=1).ravel()
    padded = np.concatenate([value, np.zeros((1, value.shape[1]))])
    return np.asarray(np.add.reduceat(padded, pairs)[::2])


def at(
    sources: Mapping[str, Samples], schema: Schema, origin_ns: int, end: int
) -> NDArray[np.float32]:
    """The live road: the one window `x[C,T]` that ends with column `end - 1`."""
    made = columns(sources, schema, origin_ns, end - schema.grid.steps, end)
    return made.astype(np.float32)


def log(x: NDArray[np.floating[Any]]) -> Floats:
    """log(1 + |x|) with the sign of x: rates of different machines differ by factors."""
    z = x.astype(np.float64)
    return np.asarray(np.sign(z) * np.log1p(np.abs(z)))


def opening(
    sources: Mapping[str, Samples], schema: Schema, origin_ns: int, seconds: float
) -> NDArray[np.float32]:
    """A machine's own benign level: the median of `log` over its first `seconds`, `[C]`.

    NaN for a channel measured in less than half of them, and everywhere when `seconds` is 0.
    """
    steps = round(seconds / schema.grid.step_s)
    level = np.full(len(schema.channels), np.nan, dtype=np.float32)
    if steps:
        z = log(columns(sources, schema, origin_ns, 0, steps))
        known = np.isfinite(z).sum(axis=1) * 2 >= steps
        level[known] = np.nanmedian(z[known], axis=1)
    return level


def _refuse_hostile(episode: Episode, schema: Schema, seconds: float) -> None:
    """Raise Refused when the first `seconds` are not benign: they cannot be a benign level."""
    until = episode.start_ns + round(seconds * NS)
    for label in episode.labels:
        if label.phase != schema.classes[0] and label.t_wall_ns < until:
            after = (label.t_wall_ns - episode.start_ns) / NS
            raise Refused(
                f"episode {episode.id}: labels",
                f"{label.phase} begins after {after:.1f} s",
                f"{seconds:g} s of {schema.classes[0]} at its start, to know the machine by",
                "Say how long the opening is with --opening; 0 does without.",
                code="opening_hostile",
            )


def cut(episode: Episode, schema: Schema, opening_s: float = 0.0) -> Windows:
    """The offline road: all whole windows of an episode that end after its opening.

    The opening is given away as benign, so no window inside it is asked about. Raises Refused when
    it is not benign.
    """
    _refuse_hostile(episode, schema, opening_s)
    grid = schema.grid
    total = (episode.end_ns - episode.start_ns) // grid.step_ns
    made = columns(episode.sources, schema, episode.start_ns, 0, total).astype(np.float32)
    if total < grid.steps:
        made = np.full((len(schema.channels), grid.steps), np.nan, dtype=np.float32)[:, :0]
        x = np.empty((0, len(schema.channels), grid.steps), dtype=np.float32)
    else:
        x = sliding_window_view(made, grid.steps, axis=1)[:, :: grid.stride].swapaxes(0, 1)
    ends = grid.steps + grid.stride * np.arange(len(x), dtype=np.int64)
    asked = ends * grid.step_s > opening_s
    x, ends = np.ascontiguousarray(x[asked]), ends[asked]
    t_ns = episode.start_ns + ends * grid.step_ns
    y, purity, since_s = _label(episode.labels, schema, t_ns)
    level = opening(episode.sources, schema, episode.start_ns, opening_s)
    names = (episode.id, episode.host, episode.sample, episode.profile, episode.campaign)
    who = [np.full(len(x), text) for text in names]
    return Windows(x, np.tile(level, (len(x), 1)), y, purity, since_s, t_ns, *who)


def _label(labels: tuple[Label, ...], schema: Schema, t_ns: Ints) -> tuple[Ints, Floats, Floats]:
    """Class at each window's end, the share of the window spent in it, seconds since it began."""
    window_ns = round(schema.grid.window_s * NS)
    start = np.array([label.t_wall_ns for label in labels], dtype=np.int64)
    classes = np.array([schema.classes.index(label.phase) for label in labels], dtype=np.int64)
    stop = np.append(start[1:], np.iinfo(np.int64).max)
    # Strictly before: a phase that begins at the very end of a window has left no trace in it.
    current = np.maximum(np.searchsorted(start, t_ns, side="left") - 1, 0)
    y = classes[current]
    late = np.minimum(stop[None, :], t_ns[:, None])
    early = np.maximum(start[None, :], t_ns[:, None] - window_ns)
    shared = np.clip(late - early, 0, None) * (classes[None, :] == y[:, None])
    return y, shared.sum(axis=1) / window_ns, (t_ns - start[current]) / NS


def join(parts: Iterable[Windows]) -> Windows:
    """Windows of several episodes, one after the other; raises ValueError when there are none."""
    parts = list(parts)
    if not parts:
        raise ValueError("no episodes to join")
    names = [field.name for field in fields(Windows)]
    return Windows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def pool(windows: Windows) -> Windows:
    """The same windows, each with the level of its machine's last `POOLED` openings.

    Three minutes known to be benign say more of a machine than fifteen seconds. An episode's own
    opening is the last of them, and none that came later is used.
    """
    level = windows.opening.copy()
    for host in np.unique(windows.host):
        own = windows.host == host
        ids = windows.episode[own]
        first = {str(id): int(windows.t_ns[own][ids == id].min()) for id in np.unique(ids)}
        order = sorted(first, key=lambda id: first[id])
        openings = [windows.opening[own][ids == id][0] for id in order]
        for place, id in enumerate(order):
            level[windows.episode == id] = pooled(openings[: place + 1])
    return replace(windows, opening=level)


def pooled(openings: Sequence[NDArray[np.float32]]) -> Floats:
    """The median of a machine's last openings `[C]`, its own the last; NaN where none knows."""
    past = np.array(openings[-POOLED:], dtype=np.float64)
    known = np.isfinite(past).any(axis=0)
    median = np.full(past.shape[1], np.nan)
    median[known] = np.nanmedian(past[:, known], axis=0)
    return median


class Readable(Protocol):
    """What episodes are read from: a store, or whatever else has them by id."""

    def read(self, id: str) -> Episode:
        """Return an episode. Raises Refused when it is absent or damaged."""
        ...


def extract(store: Readable, ids: Sequence[str], schema: Schema, opening_s: float) -> Windows:
    """Return the windows of some episodes, in the order of `ids`."""
    return join(cut(store.read(id), schema, opening_s) for id in ids)
