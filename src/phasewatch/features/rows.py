"""Normalized windows that are read block by block, where not all of them fit into memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasewatch.features.normalizer import Normalizer
from phasewatch.features.views import OLDEST, Array
from phasewatch.windowing import WindowSet


@dataclass(frozen=True)
class NormalizedWindows:
    """N windows as a normalizer gives them, `[N,F]` or `[N,F,T]`, computed when they are read."""

    normalizer: Normalizer
    windows: WindowSet

    def __len__(self) -> int:
        """Return N, the number of windows."""
        return len(self.windows)

    def blocks(self) -> Iterator[Array]:
        """Yield all windows in blocks, in order."""
        return self.normalizer.blocks(self.windows)

    def rows(self, places: NDArray[np.int64]) -> Array:
        """Return the windows at these places, in their order, all in memory."""
        some = self.windows.take(places).read(past=self.normalizer.version > OLDEST)
        return self.normalizer.apply(some.x, some.opening, some.past)
