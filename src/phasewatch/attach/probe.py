"""The interface of a probe: one source of telemetry that is read again and again."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

Row = tuple[int, int, Sequence[float]]
"""The wall and the monotonic clock of a reading in ns, and a value for each channel."""


class Gone(OSError):
    """The machine is not there, or not any more."""


class Probe(ABC):
    """A source of telemetry that is read at each reading.

    Its readings have a value for each of `channels`, NaN for one that could not be measured;
    `unmeasured` says why, by channel.
    """

    source: ClassVar[str]
    channels: ClassVar[Sequence[str]]

    @abstractmethod
    def read(self) -> list[float]:
        """Return the values now. Raises Gone, or OSError when there are none."""

    def rows(self, wall_ns: int, mono_ns: int) -> list[Row]:
        """Return the rows since the last call; the clocks are those of now. Raises OSError."""
        return [(wall_ns, mono_ns, self.read())]

    @property
    def unmeasured(self) -> dict[str, str]:
        """Channels that the last reading could not measure, each with the reason."""
        return {}

    def close(self) -> None:  # noqa: B027
        """Let go of what the probe holds open."""


NOT_MEASURED = math.nan
"""The value of a channel that a reading could not measure."""
