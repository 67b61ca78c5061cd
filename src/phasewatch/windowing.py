"""Computes windows x[C,T] from samples, with one function offline and live.

Time is cut into steps `(edge, edge + step]`. A step's column depends only on the samples up to its
end and no further back than `hold + step`, so a window from a live buffer has the same bits as
the one cut from the complete episode. NaN means: not measured.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, Self, TypeVar

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

BLOCK = 8192
"""Windows that are in memory at once where all of them may not fit."""


class WindowSet(Protocol):
    """N windows, whose steps are in memory (`Windows`) or on the disk (`grids.StoredWindows`).

    Truth and identity of every window are at hand. Steps, levels and past are read by `blocks`.
    """

    @property
    def y(self) -> Ints:
        """The class of each window, `[N]`."""

    @property
    def t_ns(self) -> Ints:
        """The end of each window in Unix ns, `[N]`."""

    @property
    def ambiguous(self) -> Bools:
        """Which windows end in an act whose phase nothing observable distinguishes, `[N]`."""

    @property
    def episode(self) -> Strings:
        """The id of each window's episode, `[N]`."""

    @property
    def host(self) -> Strings:
        """The host of each window, `[N]`."""

    @property
    def sample(self) -> Strings:
        """The sample of each window, `[N]`."""

    @property
    def profile(self) -> Strings:
        """The profile of each window, `[N]`."""

    @property
    def campaign(self) -> Strings:
        """The campaign of each window, `[N]`."""

    @property
    def clear(self) -> Self:
        """The windows whose phase can be told."""

    @property
    def episodes(self) -> tuple[Strings, Ints]:
        """The sorted ids `[E]` of all episodes, and the place there of each window's, `[N]`."""

    def __len__(self) -> int:
        """Return N, the number of windows."""

    def take(self, rows: NDArray[np.bool_] | Ints) -> Self:
        """Return the windows of the chosen rows."""

    def channels(self, schema: Schema, other: Schema) -> Self:
        """Return the same windows, cut under `schema`, with the channels of `other` alone."""

    def without(self, gone: Bools, opening: bool) -> Self:
        """Return the windows with NaN for the channels `gone[C]`, and for all levels if `opening`.

        The levels of those channels are NaN as well.
        """

    def labelled(self, y: Ints) -> Self:
        """Return the same windows with other classes `y[N]`."""

    def openings(self, rows: Ints) -> NDArray[np.float32]:
        """Return the levels of the chosen rows, `[R,C]`."""

    def with_levels(self, levels: NDArray[np.float32], place: Ints) -> Self:
        """Return the same windows, each with the level `levels[place]` of `levels[L,C]`."""

    def join(self, others: "Sequence[Self]") -> Self:
        """Return these windows followed by those of `others`."""

    def blocks(self, size: int = BLOCK, past: bool = True) -> "Iterator[Windows]":
        """Yield all windows in blocks of `size`, in order; one empty block where there is none.

        Without `past` what came before the windows may be left out: its last axis is then empty.
        """

    def read(self, past: bool = True) -> "Windows":
        """Return all windows in memory; without `past` as `blocks` yields them."""

    def described(self) -> "Windows":
        """Return truth and identity of all windows, without steps, levels and past."""


AnyWindows = TypeVar("AnyWindows", bound=WindowSet)


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

    def take(self, rows: NDArray[np.bool_] | Ints | slice) -> "Windows":
        """Return the windows of the chosen rows."""
        return Windows(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def episodes(self) -> tuple[Strings, Ints]:
        """The sorted ids `[E]` of all episodes, and the place there of each window's, `[N]`."""
        ids, place = np.unique(self.episode, return_inverse=True)
        return ids, place

    def without(self, gone: Bools, opening: bool) -> "Windows":
        """Return the windows with NaN for the channels `gone[C]`, and for all levels if `opening`.

        The levels of those channels are NaN as well.
        """
        if not gone.any():
            level = np.full_like(self.opening, np.nan) if opening else self.opening
            return replace(self, opening=level)
        x, level, past = self.x.copy(), self.opening.copy(), self.past.copy()
        x[:, gone], past[:, gone] = np.nan, np.nan
        level[:, gone | opening] = np.nan
        return replace(self, x=x, opening=level, past=past)

    def labelled(self, y: Ints) -> "Windows":
        """Return the same windows with other classes `y[N]`."""
        return replace(self, y=y)

    def openings(self, rows: Ints) -> NDArray[np.float32]:
        """Return the levels of the chosen rows, `[R,C]`."""
        return self.opening[rows]

    def with_levels(self, levels: NDArray[np.float32], place: Ints) -> "Windows":
        """Return the same windows, each with the level `levels[place]` of `levels[L,C]`."""
        return replace(self, opening=levels[place])

    def join(self, others: "Sequence[Windows]") -> "Windows":
        """Return these windows followed by those of `others`."""
        if not others:
            return self
        parts = [self, *others]
        names = [field.name for field in fields(self)]
        return Windows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def blocks(self, size: int = BLOCK, past: bool = True) -> "Iterator[Windows]":
        """Yield all windows in blocks of `size`, in order; one empty block where there is none."""
        if len(self) <= size:
            yield self
            return
        for first in range(0, len(self), size):
            yield self.take(slice(first, first + size))

    def read(self, past: bool = True) -> "Windows":
        """Return all windows, which are in memory already."""
        return self

    def described(self) -> "Windows":
        """Return truth and identity of all windows, without steps, levels and past."""
        many = len(self)
        x, level = np.empty((many, 0, 0), np.float32), np.empty((many, 0), np.float32)
        return replace(self, x=x, opening=level, past=x)

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


@dataclass(frozen=True)
class EpisodeGrid:
    """The steps `columns[C,M]` of one episode, its level `[C]`, and its windows.

    Each of its W windows begins with the step `starts[W]`; the other fields are those of `Windows`.
    """

    columns: NDArray[np.float32]
    level: NDArray[np.float32]
    starts: Ints
    t_ns: Ints
    y: Ints
    purity: Floats
    since_s: Floats
    ambiguous: Bools


def grid_of(episode: Episode, schema: Schema, opening_s: float = 0.0) -> EpisodeGrid:
    """Return the grid of an episode with all complete windows that end after its opening.

    The opening is known to be benign, so no window inside it is predicted. Raises Refused when
    it is not benign, and when its note of ambiguous acts cannot be read.
    """
    _refuse_hostile(episode, schema, opening_s)
    grid = schema.grid
    total = (episode.end_ns - episode.start_ns) // grid.step_ns
    columns = resample(episode.sources, schema, episode.start_ns, 0, total).astype(np.float32)
    ends = np.arange(grid.steps, total + 1, grid.stride, dtype=np.int64)
    ends = ends[ends * grid.step_s > opening_s]
    t_ns = episode.start_ns + ends * grid.step_ns
    spans = ambiguous_spans(episode.notes, f"episode {episode.id}")
    return EpisodeGrid(
        columns,
        opening_level(episode.sources, schema, episode.start_ns, opening_s),
        ends - grid.steps,
        t_ns,
        *_label(episode.labels, schema, t_ns),
        _within(spans, t_ns),
    )


def cut_windows(episode: Episode, schema: Schema, opening_s: float = 0.0) -> Windows:
    """Return all complete windows of an episode that end after its opening.

    Raises Refused as `grid_of` does.
    """
    cut = grid_of(episode, schema, opening_s)
    many, steps = len(cut.starts), schema.grid.steps
    x = np.empty((many, len(cut.columns), steps), dtype=np.float32)
    if many:
        x[:] = sliding_window_view(cut.columns, steps, axis=1)[:, cut.starts].swapaxes(0, 1)
    past = block_means(cut.columns, cut.starts, schema.grid)
    truth = (cut.y, cut.purity, cut.since_s, cut.t_ns)
    identity = [np.full(many, text) for text in episode.provenance.values()]
    windows = Windows(x, np.tile(cut.level, (many, 1)), past, *truth, *identity)
    return replace(windows, ambiguous=cut.ambiguous)


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


def concatenate(parts: Iterable[AnyWindows]) -> AnyWindows:
    """Return the windows of several parts, in their order. Raises ValueError without a part."""
    every = list(parts)
    if not every:
        raise ValueError("no episodes to join")
    return every[0].join(every[1:])


Known = Callable[[str, Sequence[str]], NDArray[np.float32]]
"""Returns levels `[M,C]` of benign stretches of an episode's machine, given its id and those of
earlier episodes of the machine that may be used: see `Baseline.known`."""


def nothing_known(id: str, among: Sequence[str]) -> NDArray[np.float32]:
    """Return no stretch: of every machine, only openings are known."""
    return np.zeros((0, 0), dtype=np.float32)


def pool_openings(windows: AnyWindows, known: Known = nothing_known) -> AnyWindows:
    """Return the same windows with the level of each machine's last `POOLED_OPENINGS` openings.

    Three minutes known to be benign describe a machine better than fifteen seconds. The opening of
    the same episode is the last of them, and no later one is used. What else is `known` joins them.
    """
    ids, place = windows.episodes
    first = np.unique(place, return_index=True)[1]
    earliest = np.full(len(ids), np.iinfo(np.int64).max)
    np.minimum.at(earliest, place, windows.t_ns)
    openings, host = windows.openings(first), windows.host[first]
    levels = openings.copy()
    for name in np.unique(host):
        own = np.flatnonzero(host == name)
        order = own[np.argsort(earliest[own], kind="stable")]
        names = [str(id) for id in ids[order]]
        for number, episode in enumerate(order):
            past = openings[order[max(number + 1 - POOLED_OPENINGS, 0) : number + 1]]
            stretches = known(names[number], names[:number])
            levels[episode] = median_opening(list(past), stretches)
    return windows.with_levels(levels, place)


def of_episodes(windows: AnyWindows, ids: Sequence[str]) -> AnyWindows:
    """Return the windows of the episodes with these ids."""
    known, place = windows.episodes
    return windows.take(np.isin(known, np.array(ids, dtype=np.str_))[place])


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
