"""Rows of one identity become episodes: sorted, joined or summed, cut at gaps, and labelled."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phasewatch.adapters.ledger import Ledger
from phasewatch.adapters.mapping import Mapping
from phasewatch.adapters.partitions import Rows
from phasewatch.adapters.records import UNLABELLED, Identity
from phasewatch.episode import Episode, Ints, Label, Samples
from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.schema import NS, Schema

MAX_BINS = 1_000_000
"""The most bins of an episode of events: a week in bins of less than a second."""


@dataclass(frozen=True)
class Origin:
    """The files that rows are from, by their number, and where their omissions are counted."""

    files: tuple[str, ...]
    ledgers: tuple[Ledger, ...]

    def place(self, row: np.void) -> str:
        """Return the file and line of a row."""
        return f"{self.files[row['file']]}: line {row['line']}"

    def drop(self, rows: Rows, reason: str) -> None:
        """Count rows as left out, for a reason."""
        for number in np.unique(rows["file"]):
            chosen = rows[rows["file"] == number]
            self.ledgers[number].add(reason, chosen["line"].tolist())

    @property
    def name(self) -> str:
        """The file, or the first of several, as an episode notes it."""
        more = len(self.files) - 1
        return self.files[0] + (f" and {more} more" if more else "")


def build(
    rows: Rows, identity: Identity, mapping: Mapping, schema: Schema, origin: Origin
) -> Iterator[Episode]:
    """Yield the episodes of one identity, in the order of time.

    Raises Refused where two rows have one time and differ, unless they are joined.
    """
    rows = rows[np.argsort(rows["t"], kind="stable")]
    silent = np.diff(rows["t"]) > (mapping.gap_s or np.inf) * NS
    for part in np.split(rows, np.flatnonzero(silent) + 1):
        if mapping.bin_s and len(part) > 1:
            part = _binned(part, round(mapping.bin_s * NS), origin)
        elif mapping.join:
            part = _joined(part, schema, origin)
        else:
            part = _without_repeats(part, origin)
        if len(part) < 2:
            origin.drop(part, "alone: an episode has two rows or more")
        else:
            yield _episode(part, identity, mapping, schema, origin)


# ---------------------------------------------------------------- rows of one time


def _without_repeats(rows: Rows, origin: Origin) -> Rows:
    """Return rows without those that say the same as the one before. Raises Refused as below.

    Rows of one time that differ are refused.
    """
    same = np.flatnonzero(np.diff(rows["t"]) == 0)
    if not len(same):
        return rows
    repeats = np.zeros(len(rows), dtype=bool)
    first = 0
    for row in same + 1:
        first = first if repeats[row - 1] else int(row) - 1
        if not _equal(rows[first], rows[row]):
            raise Refused(
                origin.place(rows[row]),
                f"has the time of line {rows[first]['line']}, in the same episode, "
                "and other values",
                "one row for each time",
                "Separate them by [episode] host or sample, sum rows with [rows] events_every_s, "
                "or join rows that hold different columns with [rows] join = true.",
                code="time_dup",
            )  # fmt: skip
        repeats[row] = True
    origin.drop(rows[repeats], "repeats the row of its time before it")
    return rows[~repeats]


def _equal(one: np.void, other: np.void) -> bool:
    """Return whether two rows have the same values and phase."""
    same = np.array_equal(one["values"], other["values"], equal_nan=True)
    return same and bool(one["phase"] == other["phase"])


def _joined(rows: Rows, schema: Schema, origin: Origin) -> Rows:
    """Return rows of which those of one time are one, with the values of all of them.

    Raises Refused where two rows of one time have different values of one channel, or phases.
    """
    starts = np.flatnonzero(np.concatenate([[True], np.diff(rows["t"]) > 0]))
    found = rows[starts].copy()
    if len(starts) < len(rows):
        least = np.fmin.reduceat(rows["values"], starts, axis=0)
        most = np.fmax.reduceat(rows["values"], starts, axis=0)
        if (differ := least < most).any():
            group, channel = (int(one) for one in np.argwhere(differ)[0])
            _refuse_values(_group(rows, starts, group), channel, schema, origin)
        found["values"] = least
        found["phase"] = np.maximum.reduceat(rows["phase"], starts)
        labelled = np.where(rows["phase"] == UNLABELLED, np.iinfo(np.int32).max, rows["phase"])
        lowest = np.minimum.reduceat(labelled, starts)
        for group in np.flatnonzero((found["phase"] != lowest) & (found["phase"] != UNLABELLED))[
            :1
        ]:
            first, *_, last = _group(rows, starts, int(group))
            raise Refused(
                f"{origin.place(first)} and {origin.place(last)}", "have one time and two phases",
                "one phase at a time", "Correct [phase], or separate them by [episode] host.",
            )  # fmt: skip
    for row in np.flatnonzero(found["phase"] == UNLABELLED)[:1]:
        raise Refused(
            origin.place(found[row]), "has a time at which no file names a phase",
            "a phase for every time", "Round times with [time] round_s, or name a phase for all.",
        )  # fmt: skip
    return found


def _group(rows: Rows, starts: Ints, group: int) -> Rows:
    """Return the rows of one time."""
    end = starts[group + 1] if group + 1 < len(starts) else len(rows)
    return rows[starts[group] : end]


def _refuse_values(group: Rows, channel: int, schema: Schema, origin: Origin) -> None:
    """Raise Refused for rows of one time that have different values of a channel."""
    known = group[~np.isnan(group["values"][:, channel])]
    first = known[0]
    other = known[known["values"][:, channel] != first["values"][channel]][0]
    raise Refused(
        origin.place(other),
        f"has {schema.names[channel]} = {other['values'][channel]:g}, and {origin.place(first)} "
        f"has {first['values'][channel]:g} at the same time",
        "one value of a channel at a time",
        "Separate them by [episode] host, or by one more column under [pivot] name.",
        code="time_dup",
    )  # fmt: skip


def _binned(rows: Rows, every_ns: int, origin: Origin) -> Rows:
    """Return events summed in bins, each with the time of its end; a bin without a row is 0.

    A channel of which no event has a value is not measured. Raises Refused where one wrong time
    would make more bins than memory holds.
    """
    place = rows["t"] // every_ns
    first = int(place[0])
    bins = place - first
    count = max(int(bins[-1]) + 1, 2)
    if count > MAX_BINS:
        seconds = (int(rows["t"][-1]) - int(rows["t"][0])) / NS
        raise Refused(
            origin.place(rows[-1]),
            f"is {seconds:,.0f} s after line {rows['line'][0]}",
            f"events of one episode within {MAX_BINS:,} bins of {every_ns / NS:g} s",
            "Correct the time, set [episode] gap_s or every_s, or raise [rows] events_every_s.",
            code="bins",
        )
    values = np.zeros((count, rows["values"].shape[1]))
    np.add.at(values, bins, np.nan_to_num(rows["values"]))
    values[:, np.isnan(rows["values"]).all(axis=0)] = np.nan
    last = np.maximum(np.searchsorted(bins, np.arange(count), side="right") - 1, 0)
    found = rows[last].copy()
    found["t"] = (first + 1 + np.arange(count, dtype=np.int64)) * every_ns
    found["values"] = values
    return found


# ---------------------------------------------------------------- episodes


def _episode(
    rows: Rows, identity: Identity, mapping: Mapping, schema: Schema, origin: Origin
) -> Episode:
    """Return the episode of some rows, which are sorted."""
    host, sample, profile, campaign, baseline = identity
    if baseline:
        _refuse_hostile_baseline(rows, schema, origin)
    t_ns = np.ascontiguousarray(rows["t"])
    usual = int(np.median(np.diff(t_ns)))
    # The values of a row are of the time since the row before.
    start_ns = int(t_ns[0]) - usual
    content = atomic.canonical_json([host, sample, profile, campaign, start_ns])
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{host}.{profile}.{sample}").strip("-_")[:100]
    return Episode(
        id=f"{readable or 'episode'}.{hashlib.sha256(content).hexdigest()[:12]}",
        host=host,
        sample=sample,
        profile=profile,
        campaign=campaign,
        start_ns=start_ns,
        end_ns=int(t_ns[-1]),
        labels=_labels(rows, start_ns, schema),
        sources=dict(_sources(rows, start_ns, usual, mapping, schema)),
        notes={"imported_from": origin.name} | ({baseline: True} if baseline else {}),
    )


def _refuse_hostile_baseline(rows: Rows, schema: Schema, origin: Origin) -> None:
    """Raise Refused for a row of a baseline recording whose phase is not benign."""
    for row in rows[rows["phase"] != 0][:1]:
        raise Refused(
            f"{origin.place(row)}: baseline",
            f"is of the phase {schema.classes[row['phase']]!r}",
            f"{schema.classes[0]} in every recording that is baseline",
            "Correct [baseline] in the mapping.",
            code="baseline_hostile",
        )


def _sources(
    rows: Rows, start_ns: int, usual: int, mapping: Mapping, schema: Schema
) -> Iterator[tuple[str, Samples]]:
    """Yield the samples of each source; of joined rows, those in which it has a value at all."""
    for source in schema.sources:
        names = [channel.name for channel in schema.channels_of(source)]
        values = rows["values"][:, [schema.names.index(name) for name in names]]
        t_ns, every = np.ascontiguousarray(rows["t"]), usual
        if mapping.join:
            present = ~np.isnan(values).all(axis=1)
            values, t_ns = values[present], t_ns[present]
            every = int(np.median(np.diff(t_ns))) if len(t_ns) > 1 else usual
        if len(t_ns):
            yield source, Samples(tuple(names), t_ns, t_ns - start_ns, values, NS / every)


def _labels(rows: Rows, start_ns: int, schema: Schema) -> tuple[Label, ...]:
    """Return a label where the phase changes, from the last row of the phase before."""
    phases = rows["phase"]
    turns = np.flatnonzero(np.concatenate([[True], np.diff(phases) != 0]))
    return tuple(
        Label(start_ns if turn == 0 else int(rows["t"][turn - 1]), schema.classes[phases[turn]])
        for turn in turns
    )
