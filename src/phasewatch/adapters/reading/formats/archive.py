"""Archives of time series, as sktime and aeon have them (`.ts`), a case a line."""

import zlib
from collections.abc import Collection, Iterator

import numpy as np

from phasewatch.adapters.reading.head import Base, Head
from phasewatch.adapters.reading.source import unreadable
from phasewatch.adapters.reading.table import Batch, Dropped, Layout

PRIORITY = 1
START_S = 1_577_836_800
"""2020-01-01, where the first series of an archive begins: a `.ts` file has no times."""


def matches(head: Head) -> bool:
    """Return whether the file is named as an archive."""
    return head.given.plain_name.endswith(".ts")


class Reader(Base):
    """Reads an archive as steps, a row each.

    Columns: `case` (the name of the file and the number of the case), `time` (invented: one second
    a step, and a gap between cases), `label`, and `dim_0` to the last dimension.
    """

    def __init__(self, head: Head) -> None:
        text = b"".join(block for _, block in head.content().blocks()).decode()
        head_text, found, self._body = text.partition("@data\n")
        if not found:
            raise unreadable(head.given, "has no line @data", "a .ts file of sktime or aeon")
        if "@timestamps true" in head_text.lower():
            raise unreadable(head.given, "has a time for every value", "series of equal steps")
        self._labelled = "@classlabel true" in head_text.lower()
        self._line = head_text.count("\n") + 1
        self._width = self._first_width()
        names = ("case", "time", "label", *(f"dim_{place}" for place in range(self._width)))
        super().__init__(head, Layout("ts", names, head.encoding))

    def _lines(self) -> list[str]:
        """Return the lines of the cases, of which some may be blank."""
        return self._body.split("\n")

    def _first_width(self) -> int:
        """Return the number of dimensions of the first case that has any."""
        widths = (len(self._case(line)[0]) for line in self._lines() if line.strip())
        return next((width for width in widths if width), 0)

    def _case(self, line: str) -> tuple[list[list[str]], str]:
        """Return the series of a case, one for each dimension, and its label."""
        *series, label = line.split(":") if self._labelled else [*line.split(":"), ""]
        return [one.split(",") for one in series], label.strip()

    def batches(self, columns: Collection[str] | None = None) -> Iterator[Batch]:
        """Yield all steps at once: an archive fits into memory."""
        import pyarrow as pa

        stem = (self.head.given.member or self.head.given.path.name).partition(".")[0]
        # A digest of the name keeps the times of two files of one archive apart.
        second = START_S + zlib.crc32(stem.encode()) % 10**6 * 1000
        lines, rows, dropped = [], [], []
        for number, line in enumerate(self._lines(), self._line + 1):
            if not line.strip():
                continue
            steps, label = self._case(line)
            if not steps or len(steps) != self._width or len({len(one) for one in steps}) > 1:
                reason = f"its {len(steps)} series are not {self._width} of one length"
                dropped.append(Dropped(number, reason))
                continue
            for step, values in enumerate(zip(*steps, strict=True)):
                cells = ["" if cell.strip() == "?" else cell.strip() for cell in values]
                rows.append([f"{stem}-{number - self._line}", str(second + step), label, *cells])
                lines.append(number)
            second += len(steps[0]) + 1000
        names = self.layout.names
        texts = zip(*rows, strict=True) if rows else ([] for _ in names)
        found = {
            name: pa.array(list(cells), pa.string())
            for name, cells in zip(names, texts, strict=True)
            if columns is None or name in columns
        }
        yield Batch(names, np.array(lines, dtype=np.int64), found, tuple(dropped))
