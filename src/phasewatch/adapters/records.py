"""Turns batches of a table into rows of numbers: time, identity, phase, and a value a channel.

A row that cannot be used is left out and counted. What makes the mapping itself doubtful (a time in
another unit, a phase that the schema does not know) is refused by file and line.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phasewatch.adapters.clock import CLOCKS, Times
from phasewatch.adapters.dates import Bools
from phasewatch.adapters.intervals import Labels
from phasewatch.adapters.ledger import Ledger
from phasewatch.adapters.mapping import Mapping, Pivot, Quantity, TextSource
from phasewatch.adapters.numerals import Values
from phasewatch.adapters.partitions import ABSENT, Rows, row_type
from phasewatch.adapters.reading.head import Opened
from phasewatch.adapters.reading.source import Input
from phasewatch.adapters.reading.table import Batch
from phasewatch.baseline import NOTE
from phasewatch.episode import NAMES, Floats, Ints
from phasewatch.errors import Refused
from phasewatch.schema import Schema

UNLABELLED = -1
"""The phase of a row in a file that has no column of phases, where rows are joined."""

Identity = tuple[str, ...]
"""Host, sample, profile and campaign of a row, and `NOTE` where its recording is baseline."""


@dataclass
class Identities:
    """The identities found so far, each with a number, in the order in which they came up."""

    found: list[Identity] = field(default_factory=list)
    _numbers: dict[Identity, int] = field(default_factory=dict)

    def number(self, identity: Identity) -> int:
        """Return the number of an identity."""
        if identity not in self._numbers:
            self._numbers[identity] = len(self.found)
            self.found.append(identity)
        return self._numbers[identity]


class Usable:
    """Which rows of a batch can be used so far; those that cannot are counted in a ledger."""

    def __init__(self, lines: Ints, ledger: Ledger) -> None:
        self.lines = lines
        self.rows = np.ones(len(lines), dtype=bool)
        self._ledger = ledger

    def drop(self, bad: Bools, reason: str, cells: Any = None) -> None:
        """Leave out more rows, for a reason, with their texts as examples."""
        chosen = np.flatnonzero(bad & self.rows)
        if len(chosen):
            first = chosen[:10]
            texts = None if cells is None else [cells[int(row)].as_py() for row in first]
            lines = self.lines[chosen].tolist()
            self._ledger.add(reason, lines, texts)
            self.rows[chosen] = False


class Records:
    """Reads the rows of one file under a mapping.

    `dropped` counts rows that are left out, `unmeasured` values that are, and `matched` the rows
    that each rule of [rows] drop and keep chose, by column and text. `seen` are the columns of all
    rows, and the channels that a pivot found. `number` is that of the file.
    """

    def __init__(
        self, given: Input, mapping: Mapping, schema: Schema, identities: Identities,
        labels: Labels | None = None, number: int = 0,
    ) -> None:  # fmt: skip
        self.given = given
        self.dropped, self.unmeasured = Ledger(), Ledger()
        self.matched: Counter[tuple[str, str]] = Counter()
        self.read = 0
        self.seen: set[str] = set()
        self._mapping = mapping
        self._schema = schema
        self._identities = identities
        self._labels = labels
        self._number = number
        self._times = Times(mapping.clock, given)
        self._hosts: dict[str, int] = {}
        self._original: tuple[str, ...] = ()
        self._varies = False
        self._type = row_type(len(schema.channels))

    def rows(self, opened: Opened) -> Iterator[tuple[Ints, Rows]]:
        """Yield the number of the identity of each usable row, and the rows.

        Raises Refused, or OSError.
        """
        self._original, self._varies = opened.layout.original, opened.varies
        if not opened.varies:
            self._refuse_absent(set(opened.layout.names), opened.layout.names, "")
        for batch in opened.batches(self._mapping.columns):
            self.read += len(batch) + len(batch.dropped)
            self.dropped.add_dropped(batch.dropped)
            if len(batch):
                self._check(batch, opened.varies)
                yield self._converted(batch)
        self._times.close()
        if opened.varies and self.read and not self._mapping.join:
            self._refuse_absent(self.seen, opened.layout.names, "")

    # ------------------------------------------------------------ columns

    def _check(self, batch: Batch, varies: bool) -> None:
        """Raise Refused where rows lack a column that they need; objects may, one by one."""
        self.seen.update(batch.names)
        if varies:
            # What every row needs is refused at once, values only where no row has them.
            always = [
                *self._mapping.clock.columns,
                *self._identity_columns(),
                *self._phase_column(),
            ]
            self._refuse_absent(self.seen, batch.names, "", always)
        else:
            line = "" if len(self.seen) == len(batch.names) else f": line {batch.lines[0]}"
            self._refuse_absent(set(batch.names), batch.names, line)

    def _refuse_absent(
        self, present: set[str], names: tuple[str, ...], line: str, among: list[str] | None = None
    ) -> None:
        """Raise Refused for columns that are needed and not present."""
        needed = self._needed() if among is None else among
        absent = [name for name in needed if name not in present]
        if absent:
            advice = "Correct the mapping" + (
                ", or join rows of several headers with [rows] join = true." if line else "."
            )
            raise Refused(
                f"{self.given}{line}", f"has no column {', '.join(absent)}",
                f"some of {', '.join(names[:8])}", advice, code="column_missing",
            )  # fmt: skip

    def _needed(self) -> list[str]:
        """Return the columns without which no row of a file can be read."""
        mapping = self._mapping
        if mapping.pivot:
            return list(dict.fromkeys([*mapping.clock.columns, *self._identity_columns()]))
        if mapping.join:
            return list(mapping.clock.columns)
        optional = {one.column for one in mapping.quantities if one.optional}
        return [name for name in mapping.columns if name not in optional]

    def _identity_columns(self) -> list[str]:
        """Return the columns of the identity."""
        sources = self._mapping.identity.values()
        return [source.column for source in sources if source.column]

    def _phase_column(self) -> list[str]:
        """Return the column of the phase, where every row needs one."""
        source = self._mapping.phase
        return [source.column] if source and source.column and not self._mapping.join else []

    def _cells(self, batch: Batch, column: str) -> Any:
        """Return a column; empty texts where the rows have none."""
        import pyarrow as pa

        if column in batch.columns:
            return batch.columns[column]
        return pa.array([""] * len(batch), pa.string())

    def _texts(self, batch: Batch, column: str) -> Any:
        """Return a column as text, numbers as Python writes them."""
        import pyarrow as pa

        cells = self._cells(batch, column)
        if pa.types.is_string(cells.type):
            return cells
        return pa.array([str(one) for one in cells.to_pylist()], pa.string())

    # ------------------------------------------------------------ rows

    def _converted(self, batch: Batch) -> tuple[Ints, Rows]:
        """Return the number of the identity of each usable row, and the rows."""
        usable = Usable(batch.lines, self.dropped)
        self._choose(batch, usable)
        if not usable.rows.all():
            batch = _taken(batch, usable.rows)
            usable = Usable(batch.lines, self.dropped)
        t_ns = self._time(batch, usable)
        values = (
            self._pivoted(batch, usable) if self._mapping.pivot else self._values(batch, usable)
        )
        if not usable.rows.all():
            t_ns, values = t_ns[usable.rows], values[usable.rows]
            batch = _taken(batch, usable.rows)
        identities = self._identity(batch)
        rows = np.empty(len(batch), dtype=self._type)
        rows["t"], rows["line"], rows["file"] = t_ns, batch.lines, self._number
        rows["values"] = values
        rows["phase"] = self._phase(batch, t_ns, identities)
        return identities, rows

    def _choose(self, batch: Batch, usable: Usable) -> None:
        """Leave out the rows that [rows] drop and keep say."""
        for column, texts in self._mapping.drop:
            cells = self._texts(batch, column)
            for text in sorted(texts):
                chosen = _equal(cells, {text})
                self.matched[column, text] += int(chosen.sum())
                usable.drop(chosen, f"{column} is {text}, which the mapping drops")
        for column, texts in self._mapping.keep:
            cells = self._texts(batch, column)
            for text in sorted(texts):
                self.matched[column, text] += int(_equal(cells, {text}).sum())
            reason = f"{column} is none of {', '.join(sorted(texts))}, which the mapping keeps"
            usable.drop(~_equal(cells, set(texts)), reason, cells)

    def _time(self, batch: Batch, usable: Usable) -> Ints:
        """Return the Unix ns of every row; rows without a time are left out."""
        columns = self._mapping.clock.columns
        cells = [self._time_cells(batch, name) for name in columns]
        t_ns, bad = self._times.read(cells, batch.lines, self._host_numbers(batch))
        if bad.any():
            shown = self._texts(batch, columns[0]) if len(columns) == 1 else None
            reason = f"{'+'.join(columns)} is no time in {self._mapping.clock.written}"
            usable.drop(bad, reason, shown)
        return t_ns

    def _time_cells(self, batch: Batch, column: str) -> Any:
        """Return a column of times: numbers with a decimal point, dates as text."""
        import pyarrow.compute as pc

        if self._mapping.clock.unit not in CLOCKS:
            return self._texts(batch, column)
        if self._mapping.numerals.decimal == ".":
            return self._cells(batch, column)
        return pc.replace_substring(self._texts(batch, column), ",", ".")

    def _host_numbers(self, batch: Batch) -> Ints:
        """Return a number for the host of each row, by the text as it stands in its column."""
        source = self._mapping.identity["host"]
        if not source.column or not self._times.ordered:
            return np.zeros(len(batch), dtype=np.int64)
        coded = self._texts(batch, source.column).dictionary_encode()
        words = coded.dictionary.to_pylist()
        numbers = [self._hosts.setdefault(str(word), len(self._hosts)) for word in words]
        return _picked(numbers, coded.indices.to_numpy())

    # ------------------------------------------------------------ values

    def _values(self, batch: Batch, usable: Usable) -> Floats:
        """Return the value of each channel `[n, C]`; rows with other text are left out."""
        found = np.empty((len(batch), len(self._mapping.quantities)))
        known: dict[tuple[str, str], Floats] = {}
        for place, one in enumerate(self._mapping.quantities):
            if not one.column:
                found[:, place] = self._counted(batch, one)
                continue
            value = self._numbers(batch, one.column, one.unit, usable, known)
            if one.per:
                seconds = self._numbers(batch, one.per, "", usable, known)
                known_s = np.where((seconds > 0) & np.isfinite(seconds), seconds, np.nan)
                value = np.where(np.isinf(value), value, value / known_s)
            found[:, place] = value * one.factor
        return found

    def _counted(self, batch: Batch, one: Quantity) -> Floats:
        """Return 1 for each row that a channel counts, and 0 for the others."""
        chosen = np.ones(len(batch), dtype=bool)
        for column, texts in one.where:
            chosen &= _equal(self._texts(batch, column), set(texts))
        return chosen.astype(np.float64)

    def _numbers(
        self, batch: Batch, column: str, unit: str, usable: Usable,
        known: dict[tuple[str, str], Floats],
    ) -> Floats:  # fmt: skip
        """Return the values of a column, NaN for missing; rows with other text are left out."""
        if (column, unit) in known:
            return known[column, unit]
        if column not in batch.columns:
            return np.full(len(batch), ABSENT if self._mapping.join else np.nan)
        cells = batch.columns[column]
        values = self._mapping.numerals.read(cells, unit)
        if values.bad.any():
            usable.drop(values.bad, f"{column} is no number", cells)
        self._count_infinite(column, batch.lines, values)
        if self._varies and self._mapping.join:
            # Objects that lack a field say nothing of it.
            values.numbers[_equal(cells, {""})] = ABSENT
        known[column, unit] = values.numbers
        return values.numbers

    def _count_infinite(self, column: str, lines: Ints, values: Values) -> None:
        """Count infinite values, which are not measured."""
        if values.infinite.any():
            self.unmeasured.add(f"{column} is infinite", lines[values.infinite].tolist())

    def _pivoted(self, batch: Batch, usable: Usable) -> Floats:
        """Return the value of each channel `[n, C]` of rows that hold the value of one or a few."""
        import pyarrow as pa

        pivot = self._mapping.pivot
        assert pivot is not None
        codes, words = self._names(batch, pivot)
        found = np.full((len(batch), len(self._mapping.quantities)), ABSENT)
        several = len(pivot.values) > 1
        used = np.zeros(len(words), dtype=bool)
        for column in pivot.values:
            names = [f"{word}.{column}" if several else word for word in words]
            targets = [self._targets(name) for name in names]
            mapped = np.array([bool(one) for one in targets] or [False])
            used[: len(mapped)] |= mapped[: len(used)]
            self.seen.update(name for name, places in zip(names, targets, strict=True) if places)
            self._place(batch, column, usable, (codes, targets, mapped[codes]), found)
        shown = pa.array(words, pa.string()).take(pa.array(codes))
        usable.drop(~used[codes], "no channel of the mapping has its name", shown)
        return found

    def _place(
        self, batch: Batch, column: str, usable: Usable,
        chosen: tuple[Ints, list[list[tuple[int, Quantity]]], Bools], found: Floats,
    ) -> None:  # fmt: skip
        """Write the values of a column into the channels of the rows that a name was found for."""
        codes, targets, mapped = chosen
        if column not in batch.columns or not mapped.any():
            return
        cells = batch.columns[column]
        values = self._mapping.numerals.read(cells)
        usable.drop(values.bad & mapped, f"{column} is no number", cells)
        self._count_infinite(
            column, batch.lines, values._replace(infinite=values.infinite & mapped)
        )
        for code, places in enumerate(targets):
            for place, quantity in places:
                rows = codes == code
                found[rows, place] = values.numbers[rows] * quantity.factor

    def _targets(self, name: str) -> list[tuple[int, Quantity]]:
        """Return the channels that a name of a pivot stands for, with their places."""
        quantities = enumerate(self._mapping.quantities)
        return [(place, one) for place, one in quantities if one.column == name]

    def _names(self, batch: Batch, pivot: Pivot) -> tuple[Ints, list[str]]:
        """Return the name of the quantity of each row, as a number, and the names by number."""
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = [self._texts(batch, name) for name in pivot.names]
        if pivot.path:
            text = pivot.path.of_file(self.given.name)
            cells.insert(0, pa.array([text] * len(batch), pa.string()))
        known = [pc.if_else(pc.equal(one, ""), None, one) for one in cells]
        joined = pc.binary_join_element_wise(*known, ".", null_handling="skip")
        coded = joined.dictionary_encode()
        return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()

    # ------------------------------------------------------------ identity and phase

    def _identity(self, batch: Batch) -> Ints:
        """Return the number of the identity of each row. Raises Refused for an empty name."""
        texts, codes = [], []
        for key in NAMES:
            words, coded = self._source(batch, self._mapping.identity[key])
            self._refuse_empty(key, words, coded, batch)
            texts.append(words)
            codes.append(coded)
        texts.append(["", NOTE])
        codes.append(self._baseline(batch))
        columns = np.stack(codes, axis=1)
        if not len(columns):
            return np.zeros(0, dtype=np.int64)
        if (columns == columns[0]).all():
            unique, places = columns[:1], np.zeros(len(columns), dtype=np.int64)
        else:
            unique, first, places = _unique_rows(columns)
            # Numbers follow the order in which identities come up.
            for row in np.argsort(first):
                self._identities.number(_named(texts, unique[row]))
        numbers = [self._identities.number(_named(texts, one)) for one in unique]
        return np.array(numbers, dtype=np.int64)[places]

    def _baseline(self, batch: Batch) -> Ints:
        """Return 1 for each row of a baseline recording, else 0."""
        marked = self._mapping.baseline
        if marked is None or marked.column is None or marked.fits is None:
            found = marked and marked.path and marked.path.search(self.given.name)
            return np.full(len(batch), int(found is not None), dtype=np.int64)
        coded = self._texts(batch, marked.column).dictionary_encode()
        words = coded.dictionary.to_pylist()
        fits = [int(marked.fits.search(word or "") is not None) for word in words]
        return _picked(fits, coded.indices.to_numpy())

    def _source(self, batch: Batch, source: TextSource) -> tuple[list[str], Ints]:
        """Return the texts that a source gives, and for each row which of them."""
        if not source.column:
            word = (
                source.of_file(self.given.name, self._original or batch.names) if len(batch) else ""
            )
            return [word], np.zeros(len(batch), dtype=np.int64)
        cells = self._texts(batch, source.column)
        coded = cells.dictionary_encode()
        codes = coded.indices.to_numpy().astype(np.int64)
        words = []
        for code, word in enumerate(coded.dictionary.to_pylist()):
            line = batch.lines[int(np.argmax(codes == code))]
            where = f"{self.given}: line {line}: {source.column}"
            words.append(source.apply_rules((word or "").strip(), where))
        return words, codes

    def _refuse_empty(self, key: str, words: list[str], codes: Ints, batch: Batch) -> None:
        """Raise Refused for a row without a text for the identity `key`."""
        if not len(batch) or "" not in words:
            return
        line = batch.lines[int(np.argmax(codes == words.index("")))]
        raise Refused(
            f"{self.given}: line {line}: {key}", "is empty", "a name",
            f"Give [episode] {key} a rule that fits an empty text, or leave such rows out "
            "under [rows] drop.",
            code="identity_empty",
        )  # fmt: skip

    def _phase(self, batch: Batch, t_ns: Ints, identities: Ints) -> Ints:
        """Return the number of the class of each row. Raises Refused for an unknown phase."""
        if self._labels is not None:
            found = np.empty(len(batch), dtype=np.int64)
            for number in np.unique(identities):
                rows = identities == number
                host = self._identities.found[number][0]
                found[rows] = self._labels.classes(t_ns[rows], host)
            return found
        source = self._mapping.phase
        assert source is not None
        if source.column and source.column not in batch.names and self._mapping.join:
            return np.full(len(batch), UNLABELLED, dtype=np.int64)
        words, codes = self._source(batch, source)
        classes = self._schema.classes
        for code, word in enumerate(words):
            if word not in classes and (codes == code).any():
                line = batch.lines[int(np.argmax(codes == code))]
                raise Refused(
                    f"{self.given}: line {line}: phase", f"is {word!r}",
                    f"one of {', '.join(classes)}",
                    "Add it to the schema's classes, or a rule to the mapping's [phase].",
                    code="labels_class",
                )  # fmt: skip
        numbers = [classes.index(word) if word in classes else UNLABELLED for word in words]
        return _picked(numbers, codes)


def _unique_rows(codes: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the different rows of small numbers, their first places, and which each row is."""
    packed = np.zeros(len(codes), dtype=np.int64)
    for column in codes.T:
        packed = packed * (int(column.max()) + 1) + column
    _, first, places = np.unique(packed, return_index=True, return_inverse=True)
    return codes[first], first, places


def _picked(numbers: Sequence[int], codes: Ints) -> Ints:
    """Return the number that stands for each code."""
    found: Ints = np.array(numbers or [0], dtype=np.int64)[codes]
    return found


def _named(texts: list[list[str]], codes: Ints) -> Identity:
    """Return the identity of which each text is given by its number."""
    return tuple(words[int(code)] for words, code in zip(texts, codes, strict=True))


def _equal(cells: Any, texts: set[str]) -> Bools:
    """Return which cells are one of some texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = pc.is_in(cells, value_set=pa.array(sorted(texts), pa.string()))
    return np.asarray(chosen.to_numpy(zero_copy_only=False), dtype=bool)


def _taken(batch: Batch, rows: Bools) -> Batch:
    """Return some rows of a batch."""
    import pyarrow as pa

    mask = pa.array(rows)
    columns = {name: cells.filter(mask) for name, cells in batch.columns.items()}
    return Batch(batch.names, batch.lines[rows], columns)
