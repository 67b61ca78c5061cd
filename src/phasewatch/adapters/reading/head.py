"""The beginning of a file, from which its format is found, and what each format reads of it."""

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from phasewatch.adapters.reading import text
from phasewatch.adapters.reading.source import Input, open_bytes
from phasewatch.adapters.reading.table import DEFAULTS, Batch, Layout, Options


@dataclass(frozen=True)
class Head:
    """The beginning of an input: its first bytes, decompressed, and what is known beforehand.

    `expected` are names of columns that a mapping needs; `whole` tells whether the bytes are all.
    """

    given: Input
    data: bytes
    whole: bool
    options: Options = DEFAULTS
    expected: frozenset[str] = frozenset()

    @cached_property
    def encoding(self) -> str:
        """The encoding of the text, as given or found; "" for bytes that are no text."""
        return self.options.encoding or text.encoding_of(self.data)

    @cached_property
    def beginning(self) -> str:
        """The first whole lines as text; "" for bytes that are no text."""
        if not self.encoding:
            return ""
        decoded = io.TextIOWrapper(io.BytesIO(self.data), self.encoding, errors="replace").read()
        if not self.whole and "\n" in decoded:
            decoded = decoded[: decoded.rfind("\n")]
        return decoded

    def content(self) -> text.Text:
        """Return the whole text. Raises Refused for bytes that are no text."""
        if not self.encoding:
            raise text.binary(self.given)
        assumed = self.encoding == text.WESTERN and not self.options.encoding
        notes = [f"bytes are no UTF-8: read as {text.WESTERN}"] if assumed else []
        return text.Text(self.given, self.encoding, notes)


def read(given: Input, options: Options, expected: Collection[str]) -> Head:
    """Return the beginning of an input. Raises Refused, or OSError."""
    with open_bytes(given) as stream:
        data = stream.read(text.HEAD)
        while len(data) < text.HEAD and (more := stream.read(text.HEAD - len(data))):
            data += more
        return Head(given, data, len(data) < text.HEAD, options, frozenset(expected))


class Opened(Protocol):
    """A table that is open for reading: its layout, and its rows in batches.

    `varies` tells that rows need not have the same columns: objects have those that they name.
    """

    varies: bool

    @property
    def layout(self) -> Layout:
        """How the table is written; the notes are complete after the last batch."""

    def batches(self, columns: Collection[str] | None = None) -> Iterator[Batch]:
        """Yield the rows with these columns, or with all. Raises Refused, or OSError."""


@dataclass
class Base:
    """What the formats share: the head, and a layout to which notes are added while reading."""

    head: Head
    found: Layout
    varies: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        """How the table is written; the notes are complete after the last batch."""
        return replace(self.found, notes=tuple(dict.fromkeys([*self.found.notes, *self.notes])))
