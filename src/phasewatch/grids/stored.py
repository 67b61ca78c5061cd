"""Windows whose steps are on the disk: strided views of grids, read block by block.

A window of N takes about forty bytes of memory, whatever its channels and steps are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from phasewatch.baseline import NOTE, Record
from phasewatch.episode import NAMES, Floats, Ints
from phasewatch.grids.pack import Pack, Stored
from phasewatch.schema import Grid, Schema
from phasewatch.windowing import (
    BLOCK,
    PAST_BLOCKS,
    Bools,
    Strings,
    Windows,
    block_means,
)

Rows = NDArray[np.int32]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Loss:
    """What a window has lost: the channels `gone[C]`, and all levels where it is the `opening`."""

    gone: tuple[bool, ...]
    opening: bool

    def joined(self, other: "Loss") -> "Loss":
        """Return the loss of all that either has lost."""
        gone = tuple(one or two for one, two in zip(self.gone, other.gone, strict=True))
        return Loss(gone, self.opening or other.opening)


@dataclass(frozen=True)
class Grids:
    """The grids of E episodes, in the order of their ids, as they lie in packs.

    `places[E]` are the pack of each episode and its place in the pack.
    """

    packs: tuple[Pack, ...]
    places: NDArray[np.int64]

    def __reduce__(self) -> tuple[Any, ...]:
        """Return packs and places alone: what follows from them is computed where it is needed."""
        return Grids, (self.packs, self.places)

    @cached_property
    def episodes(self) -> list[Stored]:
        """Each episode, without its arrays."""
        return [self.packs[pack].episodes[place] for pack, place in self.places.tolist()]

    @property
    def records(self) -> dict[str, Record]:
        """What a selection of baseline recordings needs to know of every episode, by id."""
        return {
            one.identity.id: Record(one.identity, {NOTE: True} if one.baseline else {})
            for one in self.episodes
        }

    def take(self, ids: Sequence[str]) -> "Grids":
        """Return the grids of the episodes with these ids."""
        wanted = set(ids)
        chosen = [one.identity.id in wanted for one in self.episodes]
        return replace(self, places=self.places[np.array(chosen, dtype=bool)])

    def windows(self, schema: Schema) -> "StoredWindows":
        """Return the windows of all episodes under the schema that the grids are of."""
        counts = [one.windows for one in self.episodes]
        place = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        levels = [self.packs[pack].levels[place] for pack, place in self.places.tolist()]
        channels = len(schema.channels)
        return StoredWindows(
            grids=self,
            grid=schema.grid,
            rows=np.arange(channels),
            place=place,
            start=self._each("start").astype(np.int32),
            y=self._each("y").astype(np.int64),
            purity=self._each("purity").astype(np.float64),
            since_s=self._each("since_s").astype(np.float64),
            ambiguous=self._each("ambiguous").astype(bool),
            level=place,
            levels=np.array(levels, np.float32).reshape(-1, channels),
            lost=np.full(len(place), -1, np.int32),
            losses=(),
        )

    def _each(self, name: str) -> NDArray[Any]:
        """Return an array of the packs that has a value a window, of all episodes."""
        parts: list[NDArray[Any]] = [np.zeros(0, np.int8)]
        for pack, place in self.places.tolist():
            begin = self._begins[pack][1][place]
            own = slice(begin, begin + self.packs[pack].episodes[place].windows)
            parts.append(getattr(self.packs[pack], name)[own])
        return np.concatenate(parts)

    @cached_property
    def _begins(self) -> list[tuple[list[int], list[int]]]:
        """The first step and the first window of each episode, by pack."""
        return [
            (
                _starts([one.steps for one in pack.episodes]),
                _starts([one.windows for one in pack.episodes]),
            )
            for pack in self.packs
        ]

    @cached_property
    def ids(self) -> Strings:
        """The id of each episode, `[E]`."""
        return np.array([one.identity.id for one in self.episodes], dtype=np.str_)

    @cached_property
    def names(self) -> Mapping[str, Strings]:
        """Host, sample, profile and campaign of each episode, `[E]` each."""
        return {
            name: np.array([getattr(one.identity, name) for one in self.episodes], dtype=np.str_)
            for name in NAMES
        }

    @cached_property
    def start_ns(self) -> Ints:
        """When each episode begins, Unix ns, `[E]`."""
        return np.array([one.identity.start_ns for one in self.episodes], dtype=np.int64)

    @cached_property
    def first_steps(self) -> Ints:
        """The first step of each episode in its pack, `[E]`."""
        return np.array(
            [self._begins[pack][0][place] for pack, place in self.places.tolist()], dtype=np.int64
        )

    def steps(self, place: Rows, start: Rows, many: int, channels: Ints) -> Singles:
        """Return `many` steps of windows `[N]` from `start[N]` of their episodes on, `[N,C,T]`."""
        out = np.empty((len(place), len(channels), many), dtype=np.float32)
        pack, first = self.places[place, 0], self.first_steps[place] + start
        for number in np.unique(pack).tolist():
            rows = np.flatnonzero(pack == number)
            steps = self.packs[number].steps
            found = sliding_window_view(steps, many, axis=0)[first[rows]]
            every = np.array_equal(channels, np.arange(steps.shape[1]))
            out[rows] = found if every else found[:, channels]
        return out

    def columns(self, place: int, channels: Ints) -> Singles:
        """Return all steps of one episode, `[C,M]`."""
        pack, _ = self.places[place].tolist()
        begin = int(self.first_steps[place])
        own = self.packs[pack].steps[begin : begin + self.episodes[place].steps]
        return np.ascontiguousarray(own[:, channels].T)

    def release(self, place: Rows) -> None:
        """Take the pages of these episodes' packs out of this process."""
        for number in np.unique(self.places[place, 0]).tolist():
            self.packs[number].release()


def _starts(lengths: Sequence[int]) -> list[int]:
    """Return where stretches of these lengths begin, one after the other."""
    return [0, *np.cumsum(lengths).tolist()[:-1]]


@dataclass(frozen=True)
class StoredWindows:
    """N windows as `Windows` has them, whose steps are read from the grids of their episodes.

    `rows[C]` are the channels among those of the grids, `place[N]` the episode of a window,
    `start[N]` its first step there, `level[N]` its row of `levels[L,C]`, and `lost[N]` which of
    the `losses` it has; -1 for none.
    """

    grids: Grids
    grid: Grid
    rows: Ints
    place: Rows
    start: Rows
    y: Ints
    purity: Floats
    since_s: Floats
    ambiguous: Bools
    level: Rows
    levels: Singles
    lost: Rows
    losses: tuple[Loss, ...]

    def __len__(self) -> int:
        """Return N, the number of windows."""
        return len(self.y)

    @property
    def t_ns(self) -> Ints:
        """The end of each window in Unix ns, `[N]`."""
        ends = self.start.astype(np.int64) + self.grid.steps
        return np.asarray(self.grids.start_ns[self.place] + ends * self.grid.step_ns)

    @property
    def episode(self) -> Strings:
        """The id of each window's episode, `[N]`."""
        return self.grids.ids[self.place]

    @property
    def host(self) -> Strings:
        """The host of each window, `[N]`."""
        return self.grids.names["host"][self.place]

    @property
    def sample(self) -> Strings:
        """The sample of each window, `[N]`."""
        return self.grids.names["sample"][self.place]

    @property
    def profile(self) -> Strings:
        """The profile of each window, `[N]`."""
        return self.grids.names["profile"][self.place]

    @property
    def campaign(self) -> Strings:
        """The campaign of each window, `[N]`."""
        return self.grids.names["campaign"][self.place]

    @property
    def episodes(self) -> tuple[Strings, Ints]:
        """The sorted ids `[E]` of all episodes, and the place there of each window's, `[N]`."""
        known, place = np.unique(self.place, return_inverse=True)
        return self.grids.ids[known], place

    @property
    def clear(self) -> "StoredWindows":
        """The windows whose phase can be told."""
        return self.take(~self.ambiguous) if self.ambiguous.any() else self

    def take(self, rows: Bools | Ints | slice) -> "StoredWindows":
        """Return the windows of the chosen rows."""
        return replace(self, **{name: getattr(self, name)[rows] for name in PER_WINDOW})

    def channels(self, schema: Schema, other: Schema) -> "StoredWindows":
        """Return the same windows, cut under `schema`, with the channels of `other` alone."""
        rows = np.array([schema.names.index(name) for name in other.names])
        losses = tuple(
            replace(one, gone=tuple(one.gone[row] for row in rows)) for one in self.losses
        )
        levels = np.ascontiguousarray(self.levels[:, rows])
        return replace(self, rows=self.rows[rows], levels=levels, losses=losses)

    def without(self, gone: Bools, opening: bool) -> "StoredWindows":
        """Return the windows with NaN for the channels `gone[C]`, and for all levels if `opening`.

        The levels of those channels are NaN as well.
        """
        more = Loss(tuple(gone.tolist()), opening)
        losses = (*self.losses, more, *(one.joined(more) for one in self.losses))
        # A window that has lost nothing, -1, gets the first new loss; others the one joined to it.
        return replace(self, lost=self.lost + np.int32(len(self.losses) + 1), losses=losses)

    def labelled(self, y: Ints) -> "StoredWindows":
        """Return the same windows with other classes `y[N]`."""
        return replace(self, y=y)

    def openings(self, rows: Ints) -> Singles:
        """Return the levels of the chosen rows, `[R,C]`."""
        return self._levels_of(self.level[rows], self.lost[rows])

    def _levels_of(self, level: Rows, lost: Rows) -> Singles:
        found = self.levels[level]
        for number, loss in enumerate(self.losses):
            gone = np.array(loss.gone) | loss.opening
            found[np.flatnonzero(lost == number)[:, None], np.flatnonzero(gone)] = np.nan
        return found

    def with_levels(self, levels: Singles, place: Ints) -> "StoredWindows":
        """Return the same windows, each with the level `levels[place]` of `levels[L,C]`."""
        return replace(self, levels=levels, level=place.astype(np.int32))

    def join(self, others: Sequence["StoredWindows"]) -> "StoredWindows":
        """Return these windows followed by those of `others`, all of the same grids."""
        if not others:
            return self
        parts = [self, *others]
        losses = tuple(dict.fromkeys(loss for one in parts for loss in one.losses))
        tables = {id(one.levels): one.levels for one in parts}
        begins = dict(zip(tables, _starts([len(one) for one in tables.values()]), strict=True))
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one in parts]) for name in PER_WINDOW
        }
        level = [one.level + np.int32(begins[id(one.levels)]) for one in parts]
        lost = [one._lost_of(losses) for one in parts]
        columns |= {"level": np.concatenate(level), "lost": np.concatenate(lost)}
        every = [*tables.values()]
        levels = every[0] if len(every) == 1 else np.concatenate(every)
        return replace(self, **columns, levels=levels, losses=losses)

    def _lost_of(self, losses: Sequence[Loss]) -> Rows:
        """Return `lost` counted in other losses, which have all of these."""
        number = np.array([*map(losses.index, self.losses), -1], dtype=np.int32)
        return number[self.lost]

    def blocks(self, size: int = BLOCK, past: bool = True) -> Iterator[Windows]:
        """Yield all windows in blocks of `size`, in order; one empty block where there is none.

        Without `past` what came before the windows is left out: its last axis is empty.
        """
        for first in range(0, max(len(self), 1), size):
            block = self.take(slice(first, first + size))
            yield block.read(past)
            self.grids.release(block.place)

    def read(self, past: bool = True) -> Windows:
        """Return all windows in memory."""
        x = self.grids.steps(self.place, self.start, self.grid.steps, self.rows)
        level = self._levels_of(self.level, self.lost)
        before = self._past() if past else np.empty((*x.shape[:2], 0), np.float32)
        for number, loss in enumerate(self.losses):
            some, gone = np.flatnonzero(self.lost == number)[:, None], np.flatnonzero(loss.gone)
            x[some, gone] = before[some, gone] = np.nan
        return replace(self.described(), x=x, opening=level, past=before)

    def _past(self) -> Singles:
        """Return what was measured before each window, `[N,C,B]`."""
        out = np.empty((len(self), len(self.rows), PAST_BLOCKS), dtype=np.float32)
        for place in np.unique(self.place).tolist():
            own = np.flatnonzero(self.place == place)
            columns = self.grids.columns(place, self.rows)
            out[own] = block_means(columns, self.start[own].astype(np.int64), self.grid)
        return out

    def described(self) -> Windows:
        """Return truth and identity of all windows, without steps, levels and past."""
        none = np.empty((len(self), 0, 0), np.float32)
        about = {
            one.name: getattr(self, one.name)
            for one in fields(Windows)
            if one.name not in ("x", "opening", "past")
        }
        return Windows(none, none.reshape(len(self), 0), none, **about)


PER_WINDOW = ("place", "start", "y", "purity", "since_s", "ambiguous", "level", "lost")
"""The fields of `StoredWindows` that have a value a window."""
