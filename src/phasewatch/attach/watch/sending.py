"""Sends lines to a receiver elsewhere, in a thread of its own, from a buffer on the disk.

Every line is first written into a journal, and stays there until the receiver has acknowledged it.
A stream of lines is one watch; what an earlier watch has left behind is sent first. The buffer is
bounded: in a long outage the oldest lines are dropped, which is said here and there.
"""

import http.client
import re
import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from phasewatch.attach.watch.lines import line
from phasewatch.attach.watch.watched import Event, Gap, Say
from phasewatch.io import atomic
from phasewatch.io.journal import Journal, found, read
from phasewatch.io.link import (
    AFTER_HEADER,
    BATCH_BYTES,
    OFFSET_HEADER,
    SAMPLES_PATH,
    Link,
    content_digest,
)
from phasewatch.io.lock import locked

PERIOD_S = 1.0
"""How often what was read is sent: windows wait for it."""

PAUSES_S = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before each further try; the last is repeated."""

LAST_S = 5.0
"""How long the end of a watch waits until all is acknowledged."""

STREAM = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")


@dataclass(frozen=True)
class Place:
    """How far a stream is acknowledged, and whether the receiver has confirmed just that."""

    position: int = 0
    sure: bool = True


class Sending:
    """The lines of one watch on their way over `link`, buffered in `folder`.

    `most_bytes` bounds the lines of this watch, and those of all earlier ones. `say` is given a
    line when the receiver is not reached, when it is again, and for what is lost. Raises Refused
    where another watch uses the folder, and where it cannot be written.
    """

    def __init__(
        self,
        link: Link,
        folder: Path,
        most_bytes: int,
        say: Say,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._link, self._folder, self._most_bytes, self._say = link, folder, most_bytes, say
        self._pauses_s = pauses_s
        atomic.prepare_folder(folder)
        words = ("is used by another watch", "one a watch", "Give each a folder of its own.")
        self._folder_lock = locked(folder / "lock", folder, words)
        self._left = self._bounded()
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"
        self._stream = Journal(folder / now, most_bytes)
        self._changed = threading.Condition()
        self._ended = False
        self._unwritten: dict[str, str] = {}
        self._dropping = False
        self._thread = threading.Thread(target=self._work, name="sending", daemon=True)
        self._thread.start()

    def take(self, event: Event) -> None:
        """Buffer an event. A full disk is said, and becomes a gap when there is space again."""
        text = line(event, many=True)
        if event.machine in self._unwritten:
            reason = f"not buffered: {self._unwritten[event.machine]}"
            text = line(Gap(event.machine, event.t_wall_ns, reason), many=True) + text
        with self._changed:
            try:
                dropped = self._stream.append(text.encode())
            except OSError as error:
                reason = error.strerror or str(error)
                if not self._unwritten:
                    self._say(f"{self._folder}: samples are lost: {reason}")
                self._unwritten[event.machine] = reason
                return
        self._unwritten.pop(event.machine, None)
        if dropped and not self._dropping:
            self._say(f"{self._folder}: is full: the oldest samples are dropped")
        self._dropping = self._dropping or bool(dropped)

    def close(self, seconds: float = LAST_S) -> None:
        """Wait up to `seconds` until all is acknowledged; what is not, the next watch sends."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(seconds)
        if self._thread.is_alive() or self._stream.folder.exists():
            self._say(f"{self._folder}: what was not acknowledged is sent by the next watch")
        self._link.close()
        self._folder_lock.close()

    def _bounded(self) -> list[Path]:
        """Return what earlier watches left, oldest first, after removing what is too much."""
        left = sorted(path for path in self._folder.iterdir() if STREAM.fullmatch(path.name))
        sizes = {path: sum(found(path).values()) for path in left}
        while sum(sizes.values()) > self._most_bytes:
            del sizes[left[0]]
            shutil.rmtree(left.pop(0))
            self._say(f"{self._folder}: is full: samples of an earlier watch are dropped")
        return left

    # ------------------------------------------------------------ the thread

    def _work(self) -> None:
        """Send what earlier watches left, then this one's lines, until it has ended."""
        for folder in self._left:
            try:
                stream = Journal(folder, self._most_bytes)
            except OSError as error:
                self._say(f"{folder}: cannot be sent: {error.strerror or error}")
                continue
            if not self._send_all(stream, lambda: True):
                return
        self._send_all(self._stream, self._wait)

    def _wait(self) -> bool:
        """Wait until there may be more lines; return whether there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended, PERIOD_S)
            return self._ended

    def _send_all(self, stream: Journal, over: Callable[[], bool]) -> bool:
        """Send a stream, and remove it when all is acknowledged; return False at the end before."""
        at, failures = Place(), 0
        while True:
            last = over()
            try:
                while (further := self._send(stream, at)) != at:
                    at = further
                    if failures:
                        self._say(f"{self._link.url}: takes samples again")
                    failures = 0
            except (OSError, http.client.HTTPException) as error:
                self._link.close()
                if not failures:
                    reason = getattr(error, "strerror", None) or str(error) or repr(error)
                    self._say(f"{self._link.url}: {reason}; samples wait in {self._folder}")
                if self._pause(self._pauses_s[min(failures, len(self._pauses_s) - 1)]):
                    return False
                failures += 1
                continue
            if last:
                with self._changed:
                    stream.remove()
                return True

    def _send(self, stream: Journal, at: Place) -> Place:
        """Send the next batch; return how far the stream is acknowledged, `at` itself at its end.

        Raises OSError or HTTPException where it is not acknowledged.
        """
        with self._changed:
            offset = max(at.position, stream.start)
            lines = read(stream.folder, offset, BATCH_BYTES)
        if not lines and at.sure:
            return at
        head = {AFTER_HEADER: str(at.position), OFFSET_HEADER: str(offset)}
        head |= content_digest(lines)
        status, value = self._link.put(SAMPLES_PATH + stream.folder.name, lines, head)
        position = str(value.get("position", ""))
        if status == HTTPStatus.CONFLICT and position.isdecimal():
            if int(position) == at.position:
                raise OSError("the receiver contradicts itself")
            # What a bit on the way has changed is not believed: nothing is forgotten for it.
            return Place(int(position), sure=False)
        if status != HTTPStatus.OK or position != str(offset + len(lines)):
            raise OSError(f"status {status}: {value.get('error', 'another position')}")
        with self._changed:
            stream.forget(int(position))
        return Place(int(position))

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; return whether the watch has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, seconds)
