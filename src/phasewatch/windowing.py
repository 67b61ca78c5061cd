"""Computes windows x[C,T] from samples, with one function offline and live.

Time is cut into steps `(edge, edge + step]`. A step's column depends only on the samples up to its
end and no further back than `hold + step`, so a window from a live buffer has the same bits as
the one cut from the complete episode. NaN means: not measured.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from phasewatch.alignment import align as align
from phasewatch.episode import Episode, Floats, Ints, Label, Samples, Span, ambiguous_spans
from phasewatch.errors import Refused
from phasewatch.schema import NS, Grid, Schema

Strings = NDArray[np.str_]
Bools = NDArray[np.bool_]
POOLED_OPENINGS = 12
"""Openings of a machine that make its level: three minutes of 15 s each."""

PAST_BLOCKS = 14
"""B, the number of blocks of half a window each that a model may look back at before a window."""


@dataclass(frozen=True)
class Windows:
    """N windows: `x[N,C,T]`, class `y[N]` of the phase at the window's end, time and identity.

    `opening[N,C]` is the benign level: see `opening_level` and `pool_openings`. `past[N,C,B]` is
    what was measured before the window, at a coarser step: see `block_means`. `purity[N]`
    is the share of the window spent in its phase; `since_s[N]` the seconds from that phase's
    beginning to the window's end; `t_ns[N]` the window's end, Unix ns. `ambiguous[N]` marks windows
    that end in an act whose phase nothing observable distinguishes; without it, none does.
    """

    x: NDArray[np.float32]
    opening: NDArray[np.float32]
    past: NDArray[np.float32]
    y: Ints
    purity: Floats
    since_s: Floats
    t_ns: Ints
    episode: Strings
    host: Strings
    sample: Strings
    profile: Strings
    campaign: Strings
    ambiguous: Bools = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def __post_init__(self) -> None:
        """Mark no window as ambiguous where nothing is given."""
        if not len(self.ambiguous):
            object.__setattr__(self, "ambiguous", np.zeros(len(self.y), dtype=bool))

    def __len__(self) -> int:
        """Return N, the number of windows."""
        return len(self.y)

    def aeon(self) -> tuple[Floats, Ints]:
        """Return `X[N,C,T]` in double precision and `y[N]`, as aeon and sktime take them."""
        return self.x.astype(np.float64), self.y

    def tsai(self) -> tuple[NDArray[np.float32], Ints]:
        """Return `X[N,C,T]` in single precision and `y[N]`, as tsai and torch take them."""
        return self.x, self.y

    def sklearn(self) -> tuple[Floats, Ints]:
        """Return `X[N, C*T]`, every step a column, and `y[N]`, as scikit-learn takes them."""
        return self.x.reshape(len(self), -1).astype(np.float64), self.y

    def take(self, rows: NDArray[np.bool_] | Ints) -> "Windows":
        """Return the windows of the chosen rows."""
        return Windows(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def clear(self) -> "Windows":
        """The windows whose phase can be told: those to train on, and those that scores count."""
        return self.take(~self.ambiguous) if self.ambiguous.any() else self

    def channels(self, schema: Schema, other: Schema) -> "Windows":
        """Return the same windows, cut under `schema`, with the channels of `other` alone.

        The arrays are contiguous, as those of `cut_windows` are: sums have the same last bits.
        """
        if schema.names == other.names:
            return self
        rows = [schema.names.index(name) for name in other.names]
        arrays = (self.x, self.opening, self.past)
        x, level, past = (np.ascontiguousarray(one[:, rows]) for one in arrays)
        return replace(self, x=x, opening=level, past=past)


def resample(
    sources: Mapping[str, Samples], schema: Schema, origin_ns: int, first: int, last: int
) -> Floats:
    """Return grid columns `first..last-1`, counted from `origin_ns`, as `[C, last - first]`.

    Column k covers `(origin + k*step, origin + (k+1)*step]`: a gauge's mean, a counter's or an
    event's rate per second since the sample before the step. A step without a sample repeats the
    last known column for as long as that is no older than the grid's hold; NaN after that. Raises
    ValueError for samples that run back in time.
    """
    grid = schema.grid
    back = -(-grid.hold_ns // grid.step_ns)
    edges = origin_ns + grid.step_ns * np.arange(first - back, last + 1, dtype=np.int64)
    out = np.full((len(schema.channels), last - first), np.nan)
    for source, columns in schema.columns.items():
        samples = sources.get(source)
        if samples is not None and len(samples):
            out[columns.rows] = align(samples, columns, grid, edges)[back:].T
    return out


def window_at(
    sources: Mapping[str, Samples], schema: Schema, origin_ns: int, end: int
) -> NDArray[np.float32]:
    """Return the window `x[C,T]` that ends with column `end - 1`, as a live machine needs it."""
    x = resample(sources, schema, origin_ns, end - schema.grid.steps, end)
    return x.astype(np.float32)


def block_steps(grid: Grid) -> int:
    """Return the steps of a block of the past: half a window, rounded down, at least one."""
    return max(grid.steps // 2, 1)


def past_steps(grid: Grid) -> int:
    """Return the number of steps before a window that its past covers."""
    return PAST_BLOCKS * block_steps(grid)


def past_at(
    sources: Mapping[str, Samples], schema: Schema, origin_ns: int, end: int
) -> NDArray[np.float32]:
    """Return the past `[C,B]` of the window that ends with column `end - 1`.

    It has the same bits as the past that `cut_windows` gives that window.
    """
    last = max(end - schema.grid.steps, 0)
    first = max(last - past_steps(schema.grid), 0)
    columns = resample(sources, schema, origin_ns, first, last).astype(np.float32)
    past: NDArray[np.float32] = block_means(columns, np.array([last - first]), schema.grid)[0]
    return past


def block_means(columns: NDArray[np.float32], starts: Ints, grid: Grid) -> NDArray[np.float32]:
    """Return the past `[N,C,B]` of windows that begin with column `starts[N]` of `columns[C,M]`.

    Each of the `PAST_BLOCKS` blocks, the oldest first, is the mean of `signed_log` over its
    measured steps. A block is NaN where no step of it was measured, and where it would begin before
    the first column: less than that has happened, or was recorded.
    """
    steps = block_steps(grid)
    places = columns.shape[1] - steps + 1
    if places < 1:
        return np.full((len(starts), len(columns), PAST_BLOCKS), np.nan, dtype=np.float32)
    z = signed_log(columns)
    known = np.isfinite(z)
    filled = np.where(known, z, 0.0)
    # Summed step after step at every place, so that a block has the same bits wherever it stands.
    total, count = np.zeros((len(z), places)), np.zeros((len(z), places))
    for step in range(steps):
        total += filled[:, step : step + places]
        count += known[:, step : step + places]
    means = total / np.where(count > 0, count, np.nan)
    begins = starts[:, None] - steps * np.arange(PAST_BLOCKS, 0, -1)
    past = np.empty((len(starts), len(z), PAST_BLOCKS), dtype=np.float32)
    past[:] = means[:, np.maximum(begins, 0)].swapaxes(0, 1)
    past[np.broadcast_to((begins < 0)[:, None], past.shape)] = np.nan
    return past


def signed_log(x: NDArray[np.floating[Any]]) -> Floats:
    """Return log(1 + |x|) with the sign of x: rates of different machines differ by factors."""
    z = x.astype(np.float64)
    return np.asarray(np.sign(z) * np.log1p(np.abs(z)))


def opening_level(
    sources: Mapping[str, Samples], schema: Schema, origin_ns: int, seconds: float
) -> NDArray[np.float32]:
    """Return a machine's benign level `[C]`: the median of `signed_log` over the first `seconds`.

    NaN for a channel measured in less than half of them, and everywhere when `seconds` is 0.
    """
    steps = round(seconds / schema.grid.step_s)
    level = np.full(len(schema.channels), np.nan, dtype=np.float32)
    if steps:
        z = signed_log(resample(sources, schema, origin_ns, 0, steps))
        known = np.isfinite(z).sum(axis=1) * 2 >= steps
        level[known] = medians(z[known])
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
                "Give the length of the opening with --opening; 0 does without.",
                code="opening_hostile",
            )


def cut_windows(episode: Episode, schema: Schema, opening_s: float = 0.0) -> Windows:
    """Return all complete windows of an episode that end after its opening.

    The opening is known to be benign, so no window inside it is predicted. Raises Refused when
    it is not benign, and when its note of ambiguous acts cannot be read.
    """
    _refuse_hostile(episode, schema, opening_s)
    grid = schema.grid
    total = (episode.end_ns - episode.start_ns) // grid.step_ns
    columns = resample(episode.sources, schema, episode.start_ns, 0, total).astype(np.float32)
    if total < grid.steps:
        x = np.empty((0, len(schema.channels), grid.steps), dtype=np.float32)
    else:
        x = sliding_window_view(columns, grid.steps, axis=1)[:, :: grid.stride].swapaxes(0, 1)
    ends = grid.steps + grid.stride * np.arange(len(x), dtype=np.int64)
    after = ends * grid.step_s > opening_s
    x, ends = np.ascontiguousarray(x[after]), ends[after]
    t_ns = episode.start_ns + ends * grid.step_ns
    y, purity, since_s = _label(episode.labels, schema, t_ns)
    level = opening_level(episode.sources, schema, episode.start_ns, opening_s)
    past = block_means(columns, ends - grid.steps, grid)
    identity = [np.full(len(x), text) for text in episode.provenance.values()]
    spans = ambiguous_spans(episode.notes, f"episode {episode.id}")
    cut = Windows(x, np.tile(level, (len(x), 1)), past, y, purity, since_s, t_ns, *identity)
    return replace(cut, ambiguous=_within(spans, t_ns))


def _within(spans: Sequence[Span], t_ns: Ints) -> Bools:
    """Return which times lie in a span; one at its very beginning does not, as with labels."""
    inside = np.zeros(len(t_ns), dtype=bool)
    for begin, end in spans:
        inside |= (t_ns > begin) & (t_ns <= end)
    return inside


def _label(labels: tuple[Label, ...], schema: Schema, t_ns: Ints) -> tuple[Ints, Floats, Floats]:
    """Return per window the class at its end, the share spent in it, seconds since it began."""
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


def concatenate(parts: Iterable[Windows]) -> Windows:
    """Return the windows of several parts, in their order. Raises ValueError without a part."""
    parts = list(parts)
    if not parts:
        raise ValueError("no episodes to join")
    names = [field.name for field in fields(Windows)]
    return Windows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


Known = Callable[[str, Sequence[str]], NDArray[np.float32]]
"""Returns levels `[M,C]` of benign stretches of an episode's machine, given its id and those of
earlier episodes of the machine that may be used: see `Baseline.known`."""


def nothing_known(id: str, among: Sequence[str]) -> NDArray[np.float32]:
    """Return no stretch: of every machine, only openings are known."""
    return np.zeros((0, 0), dtype=np.float32)


def pool_openings(windows: Windows, known: Known = nothing_known) -> Windows:
    """Return the same windows with the level of each machine's last `POOLED_OPENINGS` openings.

    Three minutes known to be benign describe a machine better than fifteen seconds. The opening of
    the same episode is the last of them, and no later one is used. What else is `known` joins them.
    """
    level = windows.opening.copy()
    for host in np.unique(windows.host):
        of_host = windows.host == host
        ids = windows.episode[of_host]
        first = {str(id): int(windows.t_ns[of_host][ids == id].min()) for id in np.unique(ids)}
        order = sorted(first, key=lambda id: first[id])
        openings = [windows.opening[of_host][ids == id][0] for id in order]
        for place, id in enumerate(order):
            stretches = known(id, order[:place])
            level[windows.episode == id] = median_opening(openings[: place + 1], stretches)
    return replace(windows, opening=level)


def median_opening(
    openings: Sequence[NDArray[np.float32]], stretches: NDArray[np.float32] | None = None
) -> Floats:
    """Return the median `[C]` of a machine's last openings; NaN where none has a value.

    Levels `[M,C]` of other benign stretches count like openings.
    """
    past = np.array(openings[-POOLED_OPENINGS:], dtype=np.float64)
    if stretches is not None and len(stretches):
        past = np.concatenate([past, stretches.astype(np.float64)])
    known = np.isfinite(past).any(axis=0)
    median = np.full(past.shape[1], np.nan)
    median[known] = medians(past[:, known].T)
    return median


def medians(z: Floats) -> Floats:
    """Return the median `[C]` of the measured values of each row of `z[C,M]`, which has some.

    The bits are those of `np.nanmedian`, which takes several times as long for short rows.
    """
    ordered = np.sort(z, axis=1)
    count = (~np.isnan(ordered)).sum(axis=1)
    rows = np.arange(len(ordered))
    return np.asarray((ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2)


class Readable(Protocol):
    """A source of episodes by id, such as a store."""

    def read(self, id: str) -> Episode:
        """Return an episode. Raises Refused when it is absent or damaged."""
        ...


def extract(store: Readable, ids: Sequence[str], schema: Schema, opening_s: float) -> Windows:
    """Return the windows of some episodes, in the order of `ids`.

    Raises Refused for an episode that is absent or damaged, or whose opening is not benign, and
    ValueError without an id.
    """
    return concatenate(cut_windows(store.read(id), schema, opening_s) for id in ids)
