"""Rows of other people's tables to episodes of a store, told file by file.

A row that cannot be used is left out and told; what makes the mapping itself doubtful (a time in
another unit, a phase that the schema does not know, two rows of one time) is refused by file and
line. Episodes are named by what they are of, so importing a source again changes nothing.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

import numpy as np

from phasewatch.adapters import tables
from phasewatch.adapters.mapping import CLOCKS, WHO, Mapping, Told
from phasewatch.adapters.tables import Dropped, Table
from phasewatch.episode import UNIX_CEILING_NS, UNIX_FLOOR_NS, Episode, Floats, Ints, Label, Samples
from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.schema import NS, Schema
from phasewatch.store.format import MANIFEST, encode_episode
from phasewatch.store.local import Store
from phasewatch.validation import rules
from phasewatch.validation.verdict import Verdict

MISSING = ("", "-", "NA", "N/A", "null", "None", "nan", "NaN")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Key = tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """An episode of a file: `new`, or there already; and what the validator says of it."""

    id: str
    new: bool
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a file: rows read, rows dropped and why, episodes made."""

    file: str
    rows: int
    dropped: tuple[Dropped, ...]
    episodes: tuple[Made, ...]

    @property
    def reasons(self) -> dict[str, list[int]]:
        """Lines dropped, by why."""
        found: dict[str, list[int]] = {}
        for one in self.dropped:
            found.setdefault(one.why, []).append(one.line)
        return found


@dataclass(frozen=True)
class Rows:
    """What a table's rows say: time in Unix ns `[n]`, values `[n, C]`, who and which phase."""

    lines: Ints
    t_ns: Ints
    values: Floats
    who: list[Key]
    phase: list[str]

    def take(self, rows: Ints) -> "Rows":
        """The chosen rows, in that order."""
        who, phase = ([own[row] for row in rows] for own in (self.who, self.phase))
        return Rows(self.lines[rows], self.t_ns[rows], self.values[rows], who, phase)


def files(source: Path, mapping: Mapping, out: Path) -> list[Path]:
    """The files of a source that a mapping asks for, sorted. Raises Refused when there is none.

    Also where `out`, the store's folder, lies in the source: it would be read the next time.
    """
    if out.resolve().is_relative_to(source.resolve()):
        problem, remedy = f"lies in the source {source}", "Choose another --out."
        raise Refused(out, problem, "a folder beside it", remedy)
    if source.is_file():
        return [source]
    some = sorted(path for path in source.glob(mapping.pattern) if tables.readable(path))
    chosen = [
        path for path in some if not any(one.search(_named(source, path)) for one in mapping.skip)
    ]
    if not chosen:
        raise Refused(
            source, f"no file to read fits {mapping.pattern!r}",
            f"files ending in {', '.join(tables.ENDINGS)}, gzipped or not",
            "Check the path, and [files] in the mapping.",
        )  # fmt: skip
    return chosen


def run(source: Path, mapping: Mapping, store: Store) -> Iterator[Outcome]:
    """Import every file of a source; a file at a time is told. Raises Refused, or OSError."""
    for path in files(source, mapping, store.root):
        yield take(path, _named(source, path), mapping, store)


def _named(source: Path, path: Path) -> str:
    return path.name if source.is_file() else path.relative_to(source).as_posix()


def take(path: Path, name: str, mapping: Mapping, store: Store) -> Outcome:
    """Import one file, known to its episodes as `name`. Raises Refused."""
    table = tables.table(path)
    read = len(table) + len(table.dropped)
    rows, dropped = _rows(table, name, mapping, store.schema)
    episodes = []
    for part in _parts(rows, mapping):
        if len(part.lines) < 2:
            dropped.append(Dropped(int(part.lines[0]), "alone: an episode has two rows or more"))
        else:
            episodes.append(_publish(_episode(part, name, mapping, store.schema), store))
    return Outcome(name, read, tuple(dropped), tuple(episodes))


# ---------------------------------------------------------------- rows


def _rows(table: Table, name: str, mapping: Mapping, schema: Schema) -> tuple[Rows, list[Dropped]]:
    """The rows that can be used, and the others."""
    if absent := [column for column in mapping.columns if column not in table.columns]:
        raise Refused(
            table.path, f"has no column {', '.join(absent)}",
            f"some of {', '.join(list(table.columns)[:8])}", "Correct the mapping.",
        )  # fmt: skip
    bad: dict[int, str] = {}
    for column, text in mapping.drop:
        for row, cell in enumerate(table.columns[column]):
            if cell == text:
                bad.setdefault(row, f"{column} is {text}, which the mapping drops")
    t_ns = _times(table, mapping, bad)
    values = np.empty((len(table), len(mapping.quantities)))
    for place, one in enumerate(mapping.quantities):
        value = _numbers(table, one.column, bad) if one.column else np.ones(len(table))
        if one.per:
            seconds = _numbers(table, one.per, bad)
            value = value / np.where(seconds > 0, seconds, np.nan)
        values[:, place] = value * one.factor
    good = np.array([row for row in range(len(table)) if row not in bad], dtype=np.int64)
    told = {key: _words(table, name, mapping.who[key], good) for key in WHO}
    rows = Rows(
        np.array(table.lines, dtype=np.int64)[good],
        t_ns[good],
        values[good],
        list(zip(*told.values(), strict=True)),
        _phases(table, _words(table, name, mapping.phase, good), good, schema),
    )
    return rows, table.dropped + [Dropped(table.lines[row], why) for row, why in bad.items()]


def _numbers(table: Table, column: str, bad: dict[int, str]) -> Floats:
    """A column's values, NaN for what is missing; rows with anything else are `bad`."""
    cells = table.columns[column]
    try:
        return np.array([cell or "nan" for cell in cells], dtype=np.float64)
    except ValueError:
        pass
    found = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        if cell.strip() not in MISSING:
            try:
                found[row] = float({"True": "1", "False": "0"}.get(cell, cell))
            except ValueError:
                bad.setdefault(row, f"{column} is {cell[:40]!r}, no number")
    return found


def _times(table: Table, mapping: Mapping, bad: dict[int, str]) -> Ints:
    """Unix ns of every row; rows without a time are `bad`. Raises Refused for another unit."""
    found = np.zeros(len(table), dtype=np.int64)
    for row, cell in enumerate(table.columns[mapping.time]):
        if row in bad:
            continue
        try:
            t_ns = _moment(cell.strip(), mapping.unit)
        except (ValueError, InvalidOperation, OverflowError):
            bad.setdefault(row, f"{mapping.time} is {cell[:40]!r}, no time in {mapping.unit}")
            continue
        if not UNIX_FLOOR_NS <= t_ns < UNIX_CEILING_NS:
            raise Refused(
                f"{table.path}: line {table.lines[row]}: {mapping.time}",
                f"{cell} is not between the years 2000 and 2100 in {mapping.unit}",
                f"Unix time in {_fitting(cell) or 'one of ' + ', '.join(CLOCKS)}",
                "Correct [time] unit in the mapping.",
                code="time_unit",
            )
        found[row] = t_ns
    return found


def _moment(text: str, unit: str) -> int:
    """Unix ns of a time as text; a date without a zone is in UTC."""
    if unit != "iso":
        return int(Decimal(text) * CLOCKS[unit])
    when = datetime.fromisoformat(text)
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - EPOCH
    return since // timedelta(microseconds=1) * 1000


def _fitting(text: str) -> str:
    """The unit in which a number would be a time of our days, or nothing."""
    for unit in CLOCKS:
        if UNIX_FLOOR_NS <= _moment(text, unit) < UNIX_CEILING_NS:
            return unit
    return ""


def _words(table: Table, name: str, told: Told, rows: Ints) -> list[str]:
    """What the mapping says of who or which phase, for each of some rows."""
    if not told.column:
        return [told.said(name)] * len(rows) if len(rows) else []
    cells = table.columns[told.column]
    meant: dict[str, str] = {}
    for row in rows:
        cell = cells[row]
        if cell not in meant:
            meant[cell] = told.of(cell, f"{table.path}: line {table.lines[row]}: {told.column}")
    return [meant[cells[row]] for row in rows]


def _phases(table: Table, phases: list[str], rows: Ints, schema: Schema) -> list[str]:
    """The phases, all known to the schema. Raises Refused."""
    for row, phase in zip(rows, phases, strict=True):
        if phase not in schema.classes:
            raise Refused(
                f"{table.path}: line {table.lines[row]}: phase",
                f"is {phase!r}",
                f"one of {', '.join(schema.classes)}",
                "Add it to the schema's classes, or a rule to the mapping's [phase].",
                code="labels_class",
            )
    return phases


# ---------------------------------------------------------------- episodes


def _parts(rows: Rows, mapping: Mapping) -> Iterator[Rows]:
    """The rows of each episode, in the order of time."""
    for who in dict.fromkeys(rows.who):
        own = np.array([row for row, one in enumerate(rows.who) if one == who], dtype=np.int64)
        part = rows.take(own[np.argsort(rows.t_ns[own], kind="stable")])
        silent = np.diff(part.t_ns) > (mapping.gap_s or np.inf) * NS
        for some in np.split(np.arange(len(own)), np.flatnonzero(silent) + 1):
            yield part.take(some)


def _episode(rows: Rows, name: str, mapping: Mapping, schema: Schema) -> Episode:
    if mapping.every_s:
        rows = _binned(rows, round(mapping.every_s * NS))
    same = np.flatnonzero(np.diff(rows.t_ns) == 0)
    if len(same):
        before, line = rows.lines[same[0]], rows.lines[same[0] + 1]
        raise Refused(
            f"{name}: line {line}", f"has the time of line {before}, in the same episode",
            "one row a time", "Name a host or sample apart, or rows as [rows] events_every_s.",
            code="time_dup",
        )  # fmt: skip
    host, sample, profile, campaign = rows.who[0]
    usual = int(np.median(np.diff(rows.t_ns)))
    # A row tells of the time since the row before.
    start_ns = int(rows.t_ns[0]) - usual
    told = atomic.canonical_json([host, sample, profile, campaign, start_ns])
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{host}.{profile}.{sample}").strip("-_")[:100]
    columns = {source: [c.name for c in schema.channels_of(source)] for source in schema.sources}
    return Episode(
        id=f"{readable or 'episode'}.{hashlib.sha256(told).hexdigest()[:12]}",
        host=host,
        sample=sample,
        profile=profile,
        campaign=campaign,
        start_ns=start_ns,
        end_ns=int(rows.t_ns[-1]),
        labels=_labels(rows, start_ns),
        sources={
            source: Samples(
                tuple(names),
                rows.t_ns,
                rows.t_ns - start_ns,
                rows.values[:, [schema.names.index(own) for own in names]],
                NS / usual,
            )
            for source, names in columns.items()
        },
        notes={"imported_from": name},
    )


def _binned(rows: Rows, every_ns: int) -> Rows:
    """Events added up in bins, each told at its end; a bin without a row is 0."""
    place = rows.t_ns // every_ns
    first = int(place[0])
    bins = place - first
    count = max(int(bins[-1]) + 1, 2)
    values = np.zeros((count, rows.values.shape[1]))
    np.add.at(values, bins, np.nan_to_num(rows.values))
    last = np.maximum(np.searchsorted(bins, np.arange(count), side="right") - 1, 0)
    ends = (first + 1 + np.arange(count, dtype=np.int64)) * every_ns
    return replace(rows.take(last), t_ns=ends, values=values)


def _labels(rows: Rows, start_ns: int) -> tuple[Label, ...]:
    """A label where the phase changes: from the last row of the phase before."""
    begins = [start_ns, *map(int, rows.t_ns[:-1])]
    return tuple(
        Label(begin, phase)
        for place, (begin, phase) in enumerate(zip(begins, rows.phase, strict=True))
        if place == 0 or phase != rows.phase[place - 1]
    )


def _publish(episode: Episode, store: Store) -> Made:
    """Publish an episode unless the very same is there. Raises Refused when another is."""
    verdict, findings = rules.examine(episode, store.schema)
    made = encode_episode(episode)
    folder = store.folder(episode.id)
    new = not folder.exists()
    if new:
        store.put(episode.id, made)
    elif (folder / MANIFEST).read_bytes() != made[MANIFEST]:
        _refuse_other(episode, str(store.manifest(episode.id).notes.get("imported_from")))
    return Made(episode.id, new, verdict, tuple(finding.reason for finding in findings))


def _refuse_other(episode: Episode, other: str) -> NoReturn:
    """Raise Refused: another episode of this name is there, from the file `other`."""
    name = str(episode.notes["imported_from"])
    if name == other:
        place, problem = name, "was imported before with other values"
        remedy = "Import into another folder."
    else:
        place, problem = f"{name} and {other}", "have one host, sample, profile, campaign and start"
        remedy = "Tell them apart in the mapping, by [episode] sample for example."
    raise Refused(place, problem, "one source for one episode", remedy, code="id_taken")


def counts(outcomes: Sequence[Outcome]) -> Counter[str]:
    """Rows, dropped rows, episodes, how many of them are new, and how many of each verdict."""
    found: Counter[str] = Counter()
    for outcome in outcomes:
        found.update(rows=outcome.rows, dropped=len(outcome.dropped))
        found.update(episodes=len(outcome.episodes))
        found.update(new=sum(one.new for one in outcome.episodes))
        found.update(one.verdict for one in outcome.episodes)
    return found
