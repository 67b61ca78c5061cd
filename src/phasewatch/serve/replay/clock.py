"""The transport of a replay: the one clock of all viewers, and the operations that move it."""

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from phasewatch.errors import Refused
from phasewatch.serve.replay.records import State, Transport

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)

Operation = Literal["play", "pause", "seek", "step", "speed", "loop", "load"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)


@dataclass
class Clock:
    """Seconds into an episode, at a speed. `revision` grows with every change."""

    state: State = "paused"
    speed: float = 1.0
    loop_s: tuple[float, float] | None = None
    revision: int = 0
    _at_s: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def position_s(self, duration_s: float) -> float:
        """Return where the clock stands, in seconds, never beyond `duration_s`."""
        run = (time.monotonic() - self._since) * self.speed if self.state == "playing" else 0.0
        return min(self._at_s + run, duration_s)

    def put(self, position_s: float) -> None:
        """Move the clock to a position; from there it runs on when it plays."""
        self._at_s, self._since = position_s, time.monotonic()

    def hold(self, duration_s: float) -> None:
        """Fix the present position, so that speed or state can change from here."""
        self.put(self.position_s(duration_s))

    def refuse_stale(self, if_revision: int | None) -> None:
        """Raise Refused, with code "stale", when somebody else has moved the clock since."""
        if if_revision is not None and if_revision != self.revision:
            raise Refused(
                "transport",
                f"was moved by another viewer (revision {self.revision})",
                f"revision {if_revision}",
                "Read its position again.",
                code="stale",
            )

    def transport(self, duration_s: float, control: bool) -> Transport:
        """Return the clock as a part of the episode event."""
        return Transport(
            state=self.state,
            speed=self.speed,
            position_s=self.position_s(duration_s),
            loop_s=self.loop_s,
            revision=self.revision,
            control=control,
        )


def refuse_invalid(operation: str, value: Any) -> None:
    """Raise Refused for an operation that does not exist, or a value that it does not take."""
    number = isinstance(value, int | float) and math.isfinite(value)
    valid = {
        "play": True,
        "pause": True,
        "seek": number,
        "step": number,
        "speed": number and value in SPEEDS,
        "loop": value is None or _is_loop(value),
        "load": isinstance(value, str),
    }
    if not valid.get(operation, False):
        raise Refused(
            f"transport: {operation!r} with value {value!r}",
            "cannot be done",
            f"one of {', '.join(OPERATIONS)}; speeds {', '.join(map(str, SPEEDS))}",
            "Request one of these.",
        )


def _is_loop(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(one, int | float) and math.isfinite(one) for one in value)
        and 0 <= value[0] < value[1]
    )
