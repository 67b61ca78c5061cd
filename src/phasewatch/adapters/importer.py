"""Turns rows of tables into episodes of a store, and reports file by file.

A row that cannot be used is dropped and reported. What makes the mapping itself doubtful (a time in
another unit, a phase that the schema does not know, two rows with one time) is refused by file and
line. The id of an episode follows from its content, so importing a source again changes nothing.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from phasewatch.adapters import tables
from phasewatch.adapters.mapping import CLOCKS, Mapping, TextSource
from phasewatch.adapters.tables import Dropped, Table
from phasewatch.baseline import NOTE
from phasewatch.episode import (
    NAMES,
    UNIX_CEILING_NS,
    UNIX_FLOOR_NS,
    Episode,
    Floats,
    Ints,
    Label,
    Samples,
)
from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.schema import NS, Schema
from phasewatch.store.format import MANIFEST, encode_episode
from phasewatch.store.local import Store
from phasewatch.validation import rules
from phasewatch.validation.verdict import Verdict

MISSING = ("", "-", "NA", "N/A", "null", "None", "nan", "NaN")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MAX_BINS = 1_000_000
"""The most bins of an episode of events: a week in bins of less than a second."""

Bools = NDArray[np.bool_]
Identity = tuple[str, ...]
"""Host, sample, profile and campaign of a row."""


@dataclass(frozen=True)
class ImportedEpisode:
    """An episode of a file, whether it is new in the store, and the verdict of the validator."""

    id: str
    new: bool
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class FileReport:
    """The result of importing a file: rows read, rows dropped and why, and its episodes."""

    file: str
    rows: int
    dropped: tuple[Dropped, ...]
    episodes: tuple[ImportedEpisode, ...]

    @property
    def reasons(self) -> dict[str, list[int]]:
        """The lines of dropped rows, by the reason."""
        found: dict[str, list[int]] = {}
        for one in self.dropped:
            found.setdefault(one.reason, []).append(one.line)
        return found


@dataclass(frozen=True)
class Rows:
    """The usable rows of a table: Unix ns `[n]`, values `[n, C]`, identity and phase of each.

    `baseline[n]` marks rows of recordings that only teach the level of their machine.
    """

    lines: Ints
    t_ns: Ints
    values: Floats
    identity: list[Identity]
    phase: list[str]
    baseline: Bools

    def take(self, rows: Ints) -> "Rows":
        """Return the chosen rows, in the given order."""
        identity = [self.identity[row] for row in rows]
        phase = [self.phase[row] for row in rows]
        arrays = (self.lines[rows], self.t_ns[rows], self.values[rows])
        return Rows(*arrays, identity, phase, self.baseline[rows])


def find_files(source: Path, mapping: Mapping, out: Path) -> list[Path]:
    """Return the files of a source that the mapping chooses, sorted. Raises Refused without one.

    Raises Refused, too, where the folder `out` of the store lies in the source: the next import
    would read it.
    """
    if out.resolve().is_relative_to(source.resolve()):
        problem, remedy = f"lies in the source {source}", "Choose another --out."
        raise Refused(out, problem, "a folder beside it", remedy)
    if source.is_file():
        return [source]
    readable = sorted(path for path in source.glob(mapping.pattern) if tables.readable(path))
    chosen = [
        path
        for path in readable
        if not any(one.search(_relative_name(source, path)) for one in mapping.skip)
    ]
    if not chosen:
        raise Refused(
            source, f"no file to read fits {mapping.pattern!r}",
            f"files ending in {', '.join(tables.ENDINGS)}, gzipped or not",
            "Check the path, and [files] in the mapping.",
        )  # fmt: skip
    return chosen


def import_files(source: Path, mapping: Mapping, store: Store) -> Iterator[FileReport]:
    """Import the files of a source one by one, and yield a report of each.

    Raises Refused, or OSError.
    """
    for path in find_files(source, mapping, store.root):
        yield import_file(path, _relative_name(source, path), mapping, store)


def _relative_name(source: Path, path: Path) -> str:
    """Return the path of a file in its source, with slashes."""
    return path.name if source.is_file() else path.relative_to(source).as_posix()


def import_file(path: Path, name: str, mapping: Mapping, store: Store) -> FileReport:
    """Import one file, whose episodes are noted to come from `name`. Raises Refused."""
    table = tables.read(path)
    read = len(table) + len(table.dropped)
    rows, dropped = _rows(table, name, mapping, store.schema)
    episodes = []
    for part in _by_episode(rows, mapping):
        if len(part.lines) < 2:
            dropped.append(Dropped(int(part.lines[0]), "alone: an episode has two rows or more"))
        else:
            episodes.append(_publish(_episode(part, name, mapping, store.schema), store))
    return FileReport(name, read, tuple(dropped), tuple(episodes))


# ---------------------------------------------------------------- rows


def _rows(table: Table, name: str, mapping: Mapping, schema: Schema) -> tuple[Rows, list[Dropped]]:
    """Return the rows that can be used, and the dropped ones."""
    if absent := [column for column in mapping.columns if column not in table.columns]:
        raise Refused(
            table.path, f"has no column {', '.join(absent)}",
            f"some of {', '.join(list(table.columns)[:8])}", "Correct the mapping.",
        )  # fmt: skip
    unusable: dict[int, str] = {}
    for column, text in mapping.drop:
        for row, cell in enumerate(table.columns[column]):
            if cell == text:
                unusable.setdefault(row, f"{column} is {text}, which the mapping drops")
    t_ns = _times(table, mapping, unusable)
    values = np.empty((len(table), len(mapping.quantities)))
    for place, one in enumerate(mapping.quantities):
        value = _numbers(table, one.column, unusable) if one.column else np.ones(len(table))
        if one.per:
            seconds = _numbers(table, one.per, unusable)
            value = value / np.where(seconds > 0, seconds, np.nan)
        values[:, place] = value * one.factor
    usable = np.array([row for row in range(len(table)) if row not in unusable], dtype=np.int64)
    identity = {key: _identity_texts(table, name, key, mapping, usable) for key in NAMES}
    baseline = _baseline(table, name, mapping, usable)
    phases = _phases(table, _texts(table, name, mapping.phase, usable), usable, schema)
    marked = np.flatnonzero(baseline)
    _refuse_hostile_baseline(table, usable[marked], [phases[row] for row in marked], schema)
    rows = Rows(
        np.array(table.lines, dtype=np.int64)[usable],
        t_ns[usable],
        values[usable],
        list(zip(*identity.values(), strict=True)),
        phases,
        baseline,
    )
    return rows, table.dropped + [
        Dropped(table.lines[row], reason) for row, reason in unusable.items()
    ]


def _baseline(table: Table, name: str, mapping: Mapping, usable: Ints) -> Bools:
    """Return which of the usable rows are of baseline recordings."""
    marked = mapping.baseline
    if marked is None:
        return np.zeros(len(usable), dtype=bool)
    if marked.path is not None:
        return np.full(len(usable), marked.path.search(name) is not None)
    assert marked.column is not None and marked.fits is not None
    cells = table.columns[marked.column]
    return np.array([marked.fits.search(cells[row]) is not None for row in usable], dtype=bool)


def _numbers(table: Table, column: str, unusable: dict[int, str]) -> Floats:
    """Return the values of a column, NaN for missing ones; rows with other text are `unusable`."""
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
                unusable.setdefault(row, f"{column} is {cell[:40]!r}, no number")
    return found


def _times(table: Table, mapping: Mapping, unusable: dict[int, str]) -> Ints:
    """Return the Unix ns of every row; rows without a time are `unusable`.

    Raises Refused for a time that must be in another unit.
    """
    found = np.zeros(len(table), dtype=np.int64)
    for row, cell in enumerate(table.columns[mapping.time]):
        if row in unusable:
            continue
        try:
            t_ns = _unix_ns(cell.strip(), mapping.unit)
        # ArithmeticError is raised by Decimal, and for infinity.
        except (ValueError, ArithmeticError):
            unusable.setdefault(row, f"{mapping.time} is {cell[:40]!r}, no time in {mapping.unit}")
            continue
        if not UNIX_FLOOR_NS <= t_ns < UNIX_CEILING_NS:
            raise Refused(
                f"{table.path}: line {table.lines[row]}: {mapping.time}",
                f"{cell} is not between the years 2000 and 2100 in {mapping.unit}",
                f"Unix time in {_plausible_unit(cell) or 'one of ' + ', '.join(CLOCKS)}",
                "Correct [time] unit in the mapping.",
                code="time_unit",
            )
        found[row] = t_ns
    return found


def _unix_ns(text: str, unit: str) -> int:
    """Return the Unix ns of a time as text; a date without a zone is in UTC."""
    if unit != "iso":
        return int(Decimal(text) * CLOCKS[unit])
    when = datetime.fromisoformat(text)
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - EPOCH
    return since // timedelta(microseconds=1) * 1000


def _plausible_unit(text: str) -> str:
    """Return the unit in which a number is a time of this century; empty for none, and a date."""
    try:
        number = Decimal(text)
    except ArithmeticError:
        return ""
    units = (unit for unit, ns in CLOCKS.items() if UNIX_FLOOR_NS <= number * ns < UNIX_CEILING_NS)
    return next(units, "")


def _texts(table: Table, name: str, source: TextSource, rows: Ints) -> list[str]:
    """Return the text that `source` gives for each of `rows`."""
    if not source.column:
        return [source.of_file(name)] * len(rows) if len(rows) else []
    cells = table.columns[source.column]
    known: dict[str, str] = {}
    for row in rows:
        cell = cells[row]
        if cell not in known:
            where = f"{table.path}: line {table.lines[row]}: {source.column}"
            known[cell] = source.apply_rules(cell, where)
    return [known[cells[row]] for row in rows]


def _identity_texts(table: Table, name: str, key: str, mapping: Mapping, rows: Ints) -> list[str]:
    """Return the text of the identity `key` for each of `rows`. Raises Refused for an empty one."""
    texts = _texts(table, name, mapping.identity[key], rows)
    if "" in texts:
        raise Refused(
            f"{table.path}: line {table.lines[rows[texts.index('')]]}: {key}",
            "is empty",
            "a name",
            f"Give [episode] {key} a rule that fits an empty text, or leave such rows out "
            "under [rows] drop.",
            code="identity_empty",
        )
    return texts


def _phases(table: Table, phases: list[str], rows: Ints, schema: Schema) -> list[str]:
    """Return `phases`. Raises Refused for one that the schema does not know."""
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


def _refuse_hostile_baseline(
    table: Table, rows: Ints, phases: Sequence[str], schema: Schema
) -> None:
    """Raise Refused for a row of a baseline recording whose phase is not benign."""
    for row, phase in zip(rows, phases, strict=True):
        if phase != schema.classes[0]:
            raise Refused(
                f"{table.path}: line {table.lines[row]}: baseline",
                f"is of the phase {phase!r}",
                f"{schema.classes[0]} in every recording that is baseline",
                "Correct [baseline] in the mapping.",
                code="baseline_hostile",
            )


# ---------------------------------------------------------------- episodes


def _by_episode(rows: Rows, mapping: Mapping) -> Iterator[Rows]:
    """Yield the rows of each episode, in the order of time."""
    keys = list(zip(rows.identity, rows.baseline.tolist(), strict=True))
    for key in dict.fromkeys(keys):
        same = [row for row, other in enumerate(keys) if other == key]
        chosen = np.array(same, dtype=np.int64)
        part = rows.take(chosen[np.argsort(rows.t_ns[chosen], kind="stable")])
        silent = np.diff(part.t_ns) > (mapping.gap_s or np.inf) * NS
        for stretch in np.split(np.arange(len(chosen)), np.flatnonzero(silent) + 1):
            yield part.take(stretch)


def _episode(rows: Rows, name: str, mapping: Mapping, schema: Schema) -> Episode:
    """Return the episode of some rows. Raises Refused where two rows have one time."""
    if mapping.bin_s:
        rows = _binned(rows, round(mapping.bin_s * NS), name)
    same = np.flatnonzero(np.diff(rows.t_ns) == 0)
    if len(same):
        before, line = rows.lines[same[0]], rows.lines[same[0] + 1]
        raise Refused(
            f"{name}: line {line}", f"has the time of line {before}, in the same episode",
            "one row for each time",
            "Separate them by [episode] host or sample, or sum rows with [rows] events_every_s.",
            code="time_dup",
        )  # fmt: skip
    host, sample, profile, campaign = rows.identity[0]
    usual = int(np.median(np.diff(rows.t_ns)))
    # The values of a row are of the time since the row before.
    start_ns = int(rows.t_ns[0]) - usual
    content = atomic.canonical_json([host, sample, profile, campaign, start_ns])
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{host}.{profile}.{sample}").strip("-_")[:100]
    columns = {source: [c.name for c in schema.channels_of(source)] for source in schema.sources}
    return Episode(
        id=f"{readable or 'episode'}.{hashlib.sha256(content).hexdigest()[:12]}",
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
                rows.values[:, [schema.names.index(channel) for channel in names]],
                NS / usual,
            )
            for source, names in columns.items()
        },
        notes={"imported_from": name} | ({NOTE: True} if rows.baseline[0] else {}),
    )


def _binned(rows: Rows, every_ns: int, name: str) -> Rows:
    """Return events summed in bins, each with the time of its end; a bin without a row is 0.

    Raises Refused where one wrong time would make more bins than memory holds.
    """
    place = rows.t_ns // every_ns
    first = int(place[0])
    bins = place - first
    count = max(int(bins[-1]) + 1, 2)
    if count > MAX_BINS:
        raise Refused(
            f"{name}: line {rows.lines[-1]}",
            f"is {(int(rows.t_ns[-1]) - int(rows.t_ns[0])) / NS:,.0f} s after line {rows.lines[0]}",
            f"events of one episode within {MAX_BINS:,} bins of {every_ns / NS:g} s",
            "Correct the time, set [episode] gap_s, or raise [rows] events_every_s.",
            code="bins",
        )
    values = np.zeros((count, rows.values.shape[1]))
    np.add.at(values, bins, np.nan_to_num(rows.values))
    last = np.maximum(np.searchsorted(bins, np.arange(count), side="right") - 1, 0)
    ends = (first + 1 + np.arange(count, dtype=np.int64)) * every_ns
    return replace(rows.take(last), t_ns=ends, values=values)


def _labels(rows: Rows, start_ns: int) -> tuple[Label, ...]:
    """Return a label where the phase changes, from the last row of the phase before."""
    begins = [start_ns, *map(int, rows.t_ns[:-1])]
    return tuple(
        Label(begin, phase)
        for place, (begin, phase) in enumerate(zip(begins, rows.phase, strict=True))
        if place == 0 or phase != rows.phase[place - 1]
    )


def _publish(episode: Episode, store: Store) -> ImportedEpisode:
    """Publish an episode unless it is in the store. Raises Refused when another has its id."""
    verdict, findings = rules.examine(episode, store.schema)
    packed = encode_episode(episode)
    folder = store.folder(episode.id)
    new = not folder.exists()
    if new:
        store.put(episode.id, packed)
    elif (folder / MANIFEST).read_bytes() != packed[MANIFEST]:
        _refuse_other(episode, str(store.manifest(episode.id).notes.get("imported_from")))
    return ImportedEpisode(episode.id, new, verdict, tuple(finding.reason for finding in findings))


def _refuse_other(episode: Episode, other: str) -> NoReturn:
    """Raise Refused because the store has another episode of this id, from the file `other`."""
    name = str(episode.notes["imported_from"])
    if name == other:
        place, problem = name, "was imported before with other values"
        remedy = "Import into another folder."
    else:
        place, problem = f"{name} and {other}", "have one host, sample, profile, campaign and start"
        remedy = "Separate them in the mapping, by [episode] sample for example."
    raise Refused(place, problem, "one source for one episode", remedy, code="id_taken")


def counts(reports: Sequence[FileReport]) -> Counter[str]:
    """Return the numbers of rows, dropped rows, episodes, new episodes, and of each verdict."""
    found: Counter[str] = Counter()
    for report in reports:
        found.update(rows=report.rows, dropped=len(report.dropped))
        found.update(episodes=len(report.episodes))
        found.update(new=sum(one.new for one in report.episodes))
        found.update(one.verdict for one in report.episodes)
    return found
