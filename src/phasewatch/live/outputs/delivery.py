"""Delivers messages in a thread of its own, so that a receiver that is slow or gone delays nothing.

A message that cannot be delivered is tried again, ever more seldom, while at most `MOST_WAITING`
others wait behind it. Beyond that the oldest is dropped, which is said.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_WAITING = 1000
LAST_S = 5.0
"""How long the end of a watch waits for what is still to be delivered."""

PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before each further try; the last is repeated."""


class Undeliverable(Exception):
    """The receiver refuses a message, and would refuse it again."""


@dataclass
class Delivery:
    """The messages to one receiver. `send` delivers one, and raises OSError or Undeliverable."""

    name: str
    send: Callable[[bytes], None]
    say: Callable[[str], None]
    pauses_s: tuple[float, ...] = PAUSES_S
    _waiting: deque[bytes] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _ended: bool = False
    _dropped: int = 0

    def __post_init__(self) -> None:
        """Start the thread that sends what waits."""
        self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)
        self._thread.start()

    def put(self, message: bytes) -> None:
        """Add a message to those that wait."""
        with self._changed:
            self._waiting.append(message)
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self._dropped += 1
                if self._dropped == 1:
                    self.say(f"{self.name}: {MOST_WAITING} messages wait; the oldest is dropped")
            self._changed.notify()

    def close(self, seconds: float = LAST_S) -> None:
        """Wait up to `seconds` until all is delivered, and say what is not."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(seconds)
        left = len(self._waiting) + self._dropped
        if left:
            self.say(f"{self.name}: {left} messages were not delivered")

    def _work(self) -> None:
        while (message := self._next()) is not None:
            failures = 0
            while not self._delivered(message, failures):
                if self._pause(self.pauses_s[min(failures, len(self.pauses_s) - 1)]):
                    return
                failures += 1
            with self._changed:
                # What overflowed meanwhile may have dropped this message already.
                if self._waiting and self._waiting[0] is message:
                    self._waiting.popleft()

    def _next(self) -> bytes | None:
        """Return the oldest message once there is one, and None when there will be none."""
        with self._changed:
            while not self._waiting and not self._ended:
                self._changed.wait()
            return self._waiting[0] if self._waiting else None

    def _delivered(self, message: bytes, failures: int) -> bool:
        """Return whether a message needs no further try; a first failure and its end are said."""
        try:
            self.send(message)
        except Undeliverable as error:
            self.say(f"{self.name}: a message was refused: {error}")
        except OSError as error:
            if not failures:
                self.say(f"{self.name}: not reached: {error.strerror or error}; tried again")
            return False
        else:
            if failures:
                self.say(f"{self.name}: reached again")
        return True

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; return whether the watch has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, seconds)
