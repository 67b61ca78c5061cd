"""Turns tables into episodes of a store, and reports file by file.

A file is read in batches, its rows are divided by episode, and one episode after the other is
written: memory does not grow with the file. A file that is refused leaves nothing behind, and the
others are imported. The id of an episode follows from its content, so importing a source again
changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from phasewatch.adapters import intervals
from phasewatch.adapters.episodes import Origin, build
from phasewatch.adapters.intervals import Labels
from phasewatch.adapters.ledger import Omission
from phasewatch.adapters.mapping import Mapping
from phasewatch.adapters.numerals import MISSING
from phasewatch.adapters.partitions import Partitions
from phasewatch.adapters.reading import opening
from phasewatch.adapters.reading.source import Input, find
from phasewatch.adapters.reading.table import Options
from phasewatch.adapters.records import Identities, Records
from phasewatch.episode import Episode, Ints
from phasewatch.errors import Refused, counted
from phasewatch.schema import NS
from phasewatch.store.format import MANIFEST, encode_episode
from phasewatch.store.local import Store
from phasewatch.validation import rules
from phasewatch.validation.verdict import Verdict

__all__ = ["MISSING", "FileReport", "ImportedEpisode", "counts", "find_files", "import_files"]

MAX_EPISODE = 1 << 30
"""Bytes of the rows of one episode, which must fit into memory several times."""


@dataclass(frozen=True)
class ImportedEpisode:
    """An episode of a file, whether it is new in the store, and the verdict of the validator."""

    id: str
    new: bool
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class FileReport:
    """The result of importing a file: rows read, what was left out and why, and its episodes.

    `dropped` are rows, `unmeasured` values that are left out, `notes` what a person should know
    about the file. `refused` tells why none of the file was imported. `matched` counts the rows
    that each rule of [rows] drop and keep found, by column and text.
    """

    file: str
    rows: int
    dropped: tuple[Omission, ...] = ()
    episodes: tuple[ImportedEpisode, ...] = ()
    unmeasured: tuple[Omission, ...] = ()
    notes: tuple[str, ...] = ()
    refused: Refused | None = None
    matched: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def rows_dropped(self) -> int:
        """The number of rows that are left out."""
        return sum(one.count for one in self.dropped)


def find_files(source: Path, mapping: Mapping, out: Path) -> list[Input]:
    """Return the files of a source that the mapping chooses, sorted. Raises Refused without one.

    Raises Refused, too, where the folder `out` of the store lies in the source: the next import
    would read it.
    """
    if out.resolve().is_relative_to(source.resolve()):
        problem, remedy = f"lies in the source {source}", "Choose another --out."
        raise Refused(out, problem, "a folder beside it", remedy)
    if not source.exists():
        raise Refused(source, "does not exist", "a table, or a folder of tables", "Check the path.")
    found = find(source, mapping.pattern)
    if source.is_dir():
        labels = mapping.intervals and (source / mapping.intervals.file).resolve()
        found = [
            one
            for one in found
            if one.path.resolve() != labels
            and not any(skip.search(one.name) for skip in mapping.skip)
        ]
    if not found:
        raise Refused(
            source, f"no file to read fits {mapping.pattern!r}", "tables, compressed or not",
            "Check the path, and [files] in the mapping.",
        )  # fmt: skip
    return found


def import_files(source: Path, mapping: Mapping, store: Store) -> Iterator[FileReport]:
    """Import the files of a source, and yield a report of each; some may be refused.

    Files are imported one by one, or together where their rows are joined. Raises Refused for a
    source without a file, for labels that cannot be read, and where no row of any file is kept; or
    OSError.
    """
    inputs = find_files(source, mapping, store.root)
    labels = None
    if mapping.intervals:
        folder = source if source.is_dir() else source.parent
        labels = intervals.read(mapping.intervals, folder, store.schema)
    kept = False
    reports = []
    for group in [inputs] if mapping.join else [[one] for one in inputs]:
        for report in _Import(mapping, store, labels).run(group):
            kept = kept or bool(report.episodes)
            reports.append(report)
            yield report
    if labels and kept:
        try:
            labels.refuse_unfitting()
        except Refused:
            _withdraw(store, (one for report in reports for one in report.episodes))
            raise
        if notes := labels.notes():
            yield FileReport(labels.path.name, 0, notes=tuple(notes))
    if not kept:
        _refuse_nothing_kept(source, reports)


def _refuse_nothing_kept(source: Path, reports: Sequence[FileReport]) -> NoReturn:
    """Raise Refused because no file gave an episode, for the reason of the first."""
    refused = [report.refused for report in reports if report.refused]
    if len(refused) == 1 and len(reports) == 1:
        raise refused[0]
    if refused:
        first = refused[0]
        raise Refused(
            first.where,
            f"{first.problem} ({len(refused)} of {counted(len(reports), 'file')} refused, and no "
            "row of any kept)",
            first.expected, first.remedy, first.code,
        )  # fmt: skip
    rows = sum(report.rows for report in reports)
    if not rows:
        raise Refused(
            source, "has no row below its header", "rows", "Check the file.", code="nothing_kept"
        )
    raise Refused(
        source, f"none of its {counted(rows, 'row')} is kept", "rows that make an episode",
        "Read above why they are dropped, and correct the mapping.", code="nothing_kept",
    )  # fmt: skip


def _withdraw(store: Store, episodes: Iterable[ImportedEpisode]) -> None:
    """Remove the episodes of an import that were new."""
    for one in episodes:
        if one.new:
            store.remove(one.id)


class _Import:
    """The import of a file, or of several whose rows are joined."""

    def __init__(self, mapping: Mapping, store: Store, labels: Labels | None) -> None:
        self._mapping = mapping
        self._store = store
        self._labels = labels
        self._identities = Identities()
        self._records: list[Records] = []
        self._refused: dict[int, Refused] = {}
        self._notes: dict[int, tuple[str, ...]] = {}
        self._published: list[ImportedEpisode] = []
        self._remarks: list[str] = []

    def run(self, inputs: Sequence[Input]) -> list[FileReport]:
        """Import the files, and return a report of each. Raises OSError."""
        channels = len(self._store.schema.channels)
        with self._store.folder_of_drafts() as folder:
            parts = Partitions(folder, channels)
            for number, given in enumerate(inputs):
                self._read(number, given, parts)
            self._refuse_unseen(inputs)
            if len(self._refused) < len(inputs):
                self._write(parts, inputs)
        return [self._report(number, given) for number, given in enumerate(inputs)]

    def _read(self, number: int, given: Input, parts: Partitions) -> None:
        """Divide the rows of a file by episode; a refusal is noted."""
        mapping = self._mapping
        records = Records(
            given, mapping, self._store.schema, self._identities, self._labels, number
        )
        self._records.append(records)
        try:
            opened = opening.open_table(given, _options(mapping), mapping.columns)
            for identities, rows in records.rows(opened):
                parts.add(identities, self._stretches(rows["t"]), rows)
            self._notes[number] = opened.layout.notes
            _refuse_all_dropped(records)
        except Refused as error:
            self._refused[number] = error

    def _refuse_unseen(self, inputs: Sequence[Input]) -> None:
        """Refuse all files where rows are joined and a channel is in none of them."""
        seen = {name for records in self._records for name in records.seen}
        wanted = [one for one in self._mapping.quantities if one.column and not one.optional]
        absent = [one.column for one in wanted if one.column not in seen]
        if self._mapping.join and absent and len(self._refused) < len(inputs):
            known = sorted(seen - {*self._mapping.clock.columns, *self._mapping.texts})
            error = Refused(
                inputs[0], f"has nothing named {', '.join(absent)}, nor has a file joined with it",
                f"some of {', '.join(known[:8])}", "Correct [channels] or [pivot] in the mapping.",
                code="column_missing",
            )  # fmt: skip
            self._refused = dict.fromkeys(range(len(inputs)), error)

    def _stretches(self, t_ns: Ints) -> Ints:
        """Return the stretch of time that each row lies in, as recordings are cut."""
        cut_ns = round(self._mapping.cut_s * NS)
        if not cut_ns:
            return np.zeros(len(t_ns), dtype=np.int64)
        # A row ends the time that its values are of; an event begins a bin.
        return t_ns // cut_ns if self._mapping.bin_s else (t_ns - 1) // cut_ns

    def _write(self, parts: Partitions, inputs: Sequence[Input]) -> None:
        """Write the episodes of all rows; a refusal leaves none of them."""
        bad = sorted(self._refused)
        files = tuple(one.name for one in inputs)
        origin = Origin(files, tuple(one.dropped for one in self._records), self._remarks)
        try:
            for key in parts.keys:
                identity = self._identities.found[key[0]]
                if parts.size(key) > MAX_EPISODE:
                    raise _too_long(inputs[0], identity[0], parts.size(key))
                rows = parts.load(key)
                if bad:
                    rows = rows[~np.isin(rows["file"], bad)]
                if len(rows):
                    for episode in build(rows, identity, self._mapping, self._store.schema, origin):
                        self._published.append(_publish(episode, self._store))
        except Refused as error:
            self._refused.update(dict.fromkeys(range(len(inputs)), error))
            self._withdraw()

    def _withdraw(self) -> None:
        """Remove the episodes that were new, because others of the same rows cannot be written."""
        _withdraw(self._store, self._published)
        self._published = []

    def _report(self, number: int, given: Input) -> FileReport:
        """Return the report of a file; of several, the first that is kept has the episodes."""
        records = self._records[number]
        first = next((n for n in range(len(self._records)) if n not in self._refused), number)
        notes = list(self._notes.get(number, ()))
        if number == first:
            notes += dict.fromkeys(self._remarks)
        elif number not in self._refused:
            notes.append(f"joined with {self._records[first].given.name}")
        return FileReport(
            given.name, records.read, records.dropped.omissions(),
            tuple(self._published) if number == first else (),
            records.unmeasured.omissions(), tuple(notes),
            self._refused.get(number), records.matched,
        )  # fmt: skip


def _options(mapping: Mapping) -> Options:
    """Return how files are written, with the columns of which only plain numbers are wanted."""
    if mapping.numerals.decimal != "." or mapping.numerals.thousands:
        return mapping.options
    used_as_text = {*mapping.texts, *mapping.clock.columns}
    return replace(mapping.options, numbers=frozenset(mapping.numbers) - used_as_text)


def _refuse_all_dropped(records: Records) -> None:
    """Raise Refused where every row of a file is left out, and not because the mapping says so."""
    omitted = records.dropped.omissions()
    wrong = [one for one in omitted if not one.reason.endswith(("mapping drops", "mapping keeps"))]
    if not wrong or sum(one.count for one in omitted) < records.read:
        return
    most = max(wrong, key=lambda one: one.count)
    raise Refused(
        records.given, f"none of its {counted(records.read, 'row')} can be used: {most}",
        "rows that fit the mapping", _advice(most.reason), code="nothing_kept",
    )  # fmt: skip


def _advice(reason: str) -> str:
    """Return what to do where all rows are left out for a reason."""
    if reason.endswith("is no number"):
        return (
            "Say how numbers are written under [numbers] (decimal, thousands, suffixes, missing), "
            "or map another column."
        )
    if "is no time in" in reason:
        return "Correct [time] column, unit or format in the mapping."
    if "no channel" in reason:
        return "Name the quantities under [channels] as [pivot] joins them."
    if "fields where" in reason:
        return "Give separator and skip_lines under [files] in the mapping."
    return "Correct the mapping."


def _too_long(given: Input, host: str, size: int) -> Refused:
    """Return the refusal of an episode that is larger than memory should hold."""
    return Refused(
        given, f"holds an episode of host {host} with {size / 2**30:.1f} GiB of rows",
        f"at most {MAX_EPISODE >> 30} GiB in one episode",
        "Cut recordings with [episode] every_s = 86400, for example.", code="episode_size",
    )  # fmt: skip


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
        remedy = "Separate them in the mapping, by [episode] sample for example, or join them."
    raise Refused(place, problem, "one source for one episode", remedy, code="id_taken")


def unmatched(reports: Sequence[FileReport], mapping: Mapping) -> list[str]:
    """Return the rules of [rows] drop and keep that found no row in any file, as text."""
    found: Counter[tuple[str, str]] = Counter()
    for report in reports:
        found.update(report.matched)
    return [
        f"[rows] {field} = {{ {column} = {text!r} }} finds no row"
        for field, chosen in (("drop", mapping.drop), ("keep", mapping.keep))
        for column, texts in chosen
        for text in sorted(texts)
        if not found[column, text]
    ]


def counts(reports: Sequence[FileReport]) -> Counter[str]:
    """Return the numbers of rows, dropped rows, episodes, new episodes, and of each verdict.

    Files that are refused are counted as `refused`.
    """
    found: Counter[str] = Counter()
    for report in reports:
        found.update(rows=report.rows, dropped=report.rows_dropped)
        found.update(episodes=len(report.episodes))
        found.update(new=sum(one.new for one in report.episodes))
        found.update(one.verdict for one in report.episodes)
        if report.refused:
            found["refused"] += 1
    return found
