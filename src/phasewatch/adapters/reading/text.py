"""The text of a file in blocks of whole lines, as UTF-8, whatever its encoding."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field

from phasewatch.adapters.reading.source import Input, open_bytes, unreadable
from phasewatch.errors import Refused

BLOCK = 8 << 20
"""Bytes that are read at a time."""

HEAD = 1 << 18
"""Bytes at the start of a file from which its format is found."""

MAX_LINE = 128 << 20
"""The longest line: a JSON document in one line takes about ten times as much memory."""

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""The marks at the start of a file that name its encoding."""

WESTERN = "cp1252"
"""The encoding that is assumed where bytes are no UTF-8."""


def encoding_of(head: bytes) -> str:
    """Return the encoding that the first bytes of a file show; "" for bytes that are no text."""
    for mark, name in BOMS:
        if head.startswith(mark):
            return name
    if b"\0" in head[:4096]:
        zeros = [head[start:4096:2].count(0) for start in (0, 1)]
        half = len(head[:4096]) // 2
        # Every second byte of Latin text in UTF-16 is 0.
        if zeros[1] > 0.8 * half and zeros[0] < 0.1 * half:
            return "utf-16-le"
        if zeros[0] > 0.8 * half and zeros[1] < 0.1 * half:
            return "utf-16-be"
        return ""
    try:
        # The end of the head may stand within a character.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return WESTERN
    return "utf-8"


def binary(given: object) -> Refused:
    """Return the refusal of a file that is no text."""
    return Refused(
        given, "is binary, and no format that is known", "a table as text, or Parquet",
        "Export it as CSV, or set it aside under [files] skip.",
    )  # fmt: skip


@dataclass
class Text:
    """The text of an input. `encoding` is as given, or found; `notes` tell what was assumed."""

    given: Input
    encoding: str
    notes: list[str] = field(default_factory=list)

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield blocks of whole lines in UTF-8, each with the number of its first line.

        Every line ends in a line feed, but the last may not. Raises Refused for bytes that the
        encoding has not, and for a line that is too long.
        """
        line, rest = 1, [b""]
        for data in self._decoded():
            cut = data.rfind(b"\n") + 1
            if cut:
                block = b"".join([*rest, data[:cut]])
                yield line, block
                line += block.count(b"\n")
                rest = []
            rest.append(data[cut:])
            if sum(map(len, rest)) > MAX_LINE:
                raise unreadable(
                    f"{self.given}: line {line}",
                    f"is longer than {MAX_LINE >> 20} MB", "rows in lines of their own",
                )  # fmt: skip
        if tail := b"".join(rest):
            yield line, tail

    def _decoded(self) -> Iterator[bytes]:
        """Yield the text as UTF-8, cut anywhere between two characters."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        ascii_only, old_mac, plain = True, None, False
        with open_bytes(self.given) as stream:
            while True:
                data = stream.read(BLOCK)
                if old_mac is False and plain and data and data.isascii():
                    # ASCII is the same in UTF-8: nothing to decode, nothing to check.
                    yield data
                    continue
                try:
                    text = decoder.decode(data, final=not data)
                except UnicodeDecodeError as error:
                    if self.encoding != "utf-8" or not ascii_only:
                        raise self._undecodable(error) from None
                    # Nothing but ASCII came before, which is the same in both.
                    self.encoding = WESTERN
                    self.notes.append(f"bytes are no UTF-8: read as {WESTERN}")
                    rest = decoder.getstate()[0]
                    decoder = codecs.getincrementaldecoder(WESTERN)()
                    text = self._western(decoder, rest + data)
                ascii_only = ascii_only and text.isascii()
                # Within a character, what follows is decoded with what came before.
                plain = self.encoding == "utf-8" and not decoder.getstate()[0]
                if old_mac is None and text:
                    old_mac = "\r" in text and "\n" not in text
                yield (text.replace("\r", "\n") if old_mac else text).encode()
                if not data:
                    return

    def _western(self, decoder: codecs.IncrementalDecoder, data: bytes) -> str:
        """Return bytes as Western text. Raises Refused where they are none."""
        try:
            return decoder.decode(data)
        except UnicodeDecodeError as error:
            raise self._undecodable(error) from None

    def _undecodable(self, error: UnicodeDecodeError) -> Refused:
        """Return the refusal of bytes that the encoding has not."""
        return Refused(
            self.given, str(error), f"text in {self.encoding}",
            "Name its encoding under [files] encoding, or set it aside under [files] skip.",
        )  # fmt: skip
