"""Receives samples of machines elsewhere: each line is kept once, however often it is sent.

A sender numbers its stream of lines by offsets in bytes, and says with each batch where the last
acknowledged one ended. A batch is acknowledged when it is on the disk. Its lines count from the
moment at which the file of positions names their end: what a crash left beyond that is cut, and is
sent again. docs/decisions/0058-samples-over-http.md has the reasons.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from pydantic import Field

from phasewatch.errors import Refused
from phasewatch.io import atomic, fields
from phasewatch.io.journal import Journal
from phasewatch.io.link import AFTER_HEADER, BATCH_BYTES, OFFSET_HEADER, SAMPLES_PATH
from phasewatch.io.lock import locked
from phasewatch.io.trust import read_plain_file
from phasewatch.store.receiver import (
    MIN_BYTES_PER_S,
    NUMBER,
    SILENCE_S,
    Body,
    Declined,
    Head,
    digest_of,
    read,
)

LINE_BYTES = 1 << 16
STREAM = re.compile(r"[0-9A-Za-z-]{8,64}")
MOST_STREAMS = 100
"""Streams of a host whose positions are kept: the last ones that sent something."""

LOCK = ".lock"
"""The file that a receiver locks: no host has a folder of this name."""

POSITIONS = "positions.json"
POSITIONS_BYTES = 1 << 20


class Positions(fields.Table):
    """How far the journal of a host is valid, and how far each of its streams is acknowledged."""

    end: int = Field(0, ge=0)
    streams: dict[str, int] = Field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Lines of a stream that begin at `offset`; `after` is what the sender knows acknowledged."""

    stream: str
    after: int
    offset: int
    lines: bytes


class Unfit(Declined):
    """A batch that does not follow what is acknowledged; `position` is where that ends."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(HTTPStatus.CONFLICT, f"the stream is acknowledged up to {position}")


@dataclass
class HostJournal:
    """The lines of one host in `folder`, and how far each stream is acknowledged.

    Raises Refused for a damaged file of positions.
    """

    folder: Path
    most_bytes: int
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Read the positions, and cut what a crash left in the journal beyond them."""
        self._journal = Journal(self.folder, self.most_bytes)
        self._known = self._read()
        self._journal.cut(self._known.end)

    def take(self, batch: Batch) -> tuple[int, bool]:
        """Keep the lines of a batch; return its stream's position then, and whether it is new.

        Raises Unfit where they do not follow, and OSError where they cannot be kept.
        """
        with self._lock:
            known = self._known.streams
            first, position = batch.stream not in known, known.get(batch.stream, 0)
            if batch.after != position:
                raise Unfit(position)
            end = self._journal.end
            try:
                self._journal.append(lost(batch) + batch.lines)
                self._journal.sync()
                self._write(batch.stream, batch.offset + len(batch.lines))
            except OSError:
                self._journal.cut(end)
                raise
            return self._known.streams[batch.stream], first

    def _read(self) -> Positions:
        path = self.folder / POSITIONS
        if not path.exists():
            if self._journal.end:
                problem = f"is missing beside {self._journal.end} bytes of lines"
                remedy = "Move the folder away: what was acknowledged is not known."
                raise Refused(path, problem, "the positions of their senders", remedy, "samples")
            # Before the first line, or a receiver killed then would leave lines without positions.
            return self._replace(Positions(end=0))
        data = read_plain_file(path, POSITIONS_BYTES, "positions that `phasewatch receive` wrote")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            remedy = "Move the folder away."
            raise Refused(path, f"is no JSON: {error}", "positions", remedy, "samples") from error
        return fields.validate(Positions, value, path, code="samples")

    def _write(self, stream: str, position: int) -> None:
        """Write the positions with that of one stream, which becomes the last of them."""
        others = {name: at for name, at in self._known.streams.items() if name != stream}
        kept = dict([*others.items()][1 - MOST_STREAMS :])
        known = Positions(end=self._journal.end, streams={**kept, stream: position})
        self._known = self._replace(known)

    def _replace(self, known: Positions) -> Positions:
        """Replace the file of positions. Raises OSError."""
        atomic.write(self.folder / POSITIONS, json.dumps(known.model_dump()).encode())
        return known


class Samples:
    """Takes batches of samples into the journals of `hosts`, each in a folder of its name.

    `most_bytes` bounds each journal; older lines are removed. Use it in a `with`, in which it locks
    the folder. Raises Refused when another receiver holds the lock, or two names are one folder's.
    """

    def __init__(self, root: Path, hosts: Iterable[str], most_bytes: int) -> None:
        self._root, self._most_bytes = root, most_bytes
        self._hosts: dict[str, HostJournal] = {}
        self._opening = threading.Lock()
        atomic.prepare_folder(root)
        refuse_double(hosts)
        words = ("another receiver is at work", "one a folder", "End it, or use that one.")
        self._lock = locked(root / LOCK, root, words)

    def __enter__(self) -> "Samples":
        """Return itself, which holds the lock already."""
        return self

    def __exit__(self, *error: object) -> None:
        """Release the lock, so that another receiver can work in the folder."""
        self._lock.close()

    def put(self, host: str, path: str, head: Head, body: Body) -> tuple[int, bool]:
        """Keep one batch of a host, on the disk when this returns.

        Returns the position of its stream then, and whether the stream is new. Raises Declined, or
        OSError.
        """
        stream = path.removeprefix(SAMPLES_PATH)
        if not STREAM.fullmatch(stream):
            raise Declined(HTTPStatus.NOT_FOUND, f"not {SAMPLES_PATH} and the name of a stream")
        length, after, offset = announced(head)
        batch = Batch(stream, after, offset, received(body, length))
        if hashlib.sha256(batch.lines).hexdigest() != digest_of(head):
            raise Declined(HTTPStatus.BAD_REQUEST, "the body is not what Content-Digest says")
        refuse_other_lines(batch.lines)
        return self._journal(host).take(batch)

    def _journal(self, host: str) -> HostJournal:
        """Return the journal of a host, which is opened with its first batch."""
        with self._opening:
            if host not in self._hosts:
                folder = self._root / folder_of(host)
                self._hosts[host] = HostJournal(folder, self._most_bytes)
            return self._hosts[host]


def folder_of(host: str) -> str:
    """Return the name of a host's folder: its own, with signs that files do not take as `-`."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", host).lstrip(".")[:100] or "host"


def refuse_double(hosts: Iterable[str]) -> None:
    """Raise Refused for names of hosts that would share a folder."""
    names: dict[str, str] = {}
    for host in hosts:
        other = names.setdefault(folder_of(host), host)
        if other != host:
            problem = f"has the folder {folder_of(host)} of {other!r} too"
            raise Refused(f"host {host!r}", problem, "one of its own", "Rename one.", "samples")


def announced(head: Head) -> tuple[int, int, int]:
    """Return the length, the known and the first offset of a batch. Raises Declined."""
    values = [head.get(name, "") for name in ("Content-Length", AFTER_HEADER, OFFSET_HEADER)]
    if "Transfer-Encoding" in head or not all(NUMBER.match(value) for value in values):
        reason = f"Content-Length, {AFTER_HEADER} and {OFFSET_HEADER} are needed"
        raise Declined(HTTPStatus.LENGTH_REQUIRED, reason)
    length, after, offset = map(int, values)
    if length > BATCH_BYTES:
        raise Declined(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"over {BATCH_BYTES} bytes")
    if offset < after:
        raise Declined(HTTPStatus.BAD_REQUEST, f"{OFFSET_HEADER} lies before {AFTER_HEADER}")
    return length, after, offset


def received(body: Body, length: int) -> bytes:
    """Return a body of a length. Raises Declined where it is silent, slow or cut short."""
    deadline = time.monotonic() + SILENCE_S + length / MIN_BYTES_PER_S
    parts = []
    while length:
        parts.append(read(body, length, deadline))
        length -= len(parts[-1])
    return b"".join(parts)


def refuse_other_lines(lines: bytes) -> None:
    """Raise Declined for bytes that are no whole lines of samples and gaps."""
    if lines and not lines.endswith(b"\n"):
        raise Declined(HTTPStatus.UNPROCESSABLE_ENTITY, "the last line has no end")
    for number, line in enumerate(lines.splitlines(), 1):
        try:
            value = json.loads(line) if len(line) <= LINE_BYTES else None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("machine"), str):
            reason = f"line {number} is no object with a machine, of {LINE_BYTES} bytes at most"
            raise Declined(HTTPStatus.UNPROCESSABLE_ENTITY, reason)


def lost(batch: Batch) -> bytes:
    """Return a gap for each machine of a batch where lines before it were lost; none where not."""
    missing = batch.offset - batch.after
    if not missing:
        return b""
    first: dict[str, int] = {}
    for line in batch.lines.splitlines():
        value = json.loads(line)
        first.setdefault(value["machine"], value.get("t_wall_ns", 0))
    reason = f"{missing} bytes of lines were dropped where they were measured"
    gaps = [{"machine": name, "gap": reason, "t_wall_ns": t} for name, t in first.items()]
    return b"".join(json.dumps(gap).encode() + b"\n" for gap in gaps)
