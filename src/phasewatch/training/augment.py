"""Training windows that lost something, so that no model relies on everything being there.

In the field a capture starts late, an agent dies, a machine is met that nobody watched before.
"""

from dataclasses import replace

import numpy as np

from phasewatch.schema import Schema
from phasewatch.windowing import Windows, join

SHARE = 0.5
"""Of the windows that come back a second time, with one source or their opening gone."""

OPENING = "opening"


def parts(schema: Schema) -> tuple[str, ...]:
    """All that a window can lose: each source, and the opening."""
    return (*schema.sources, OPENING)


def without(windows: Windows, schema: Schema, part: str) -> Windows:
    """The windows as they are without a source, or without their opening."""
    if part == OPENING:
        return replace(windows, opening=np.full_like(windows.opening, np.nan))
    own = np.array([channel.source == part for channel in schema.channels])
    x, opening = windows.x.copy(), windows.opening.copy()
    x[:, own], opening[:, own] = np.nan, np.nan
    return replace(windows, x=x, opening=opening)


def drop(windows: Windows, schema: Schema, seed: int) -> Windows:
    """All windows, and a `SHARE` of them once more, each without one part drawn at random."""
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(windows))[: round(SHARE * len(windows))]
    dealt = np.array_split(chosen, len(parts(schema)))
    lost = [
        without(windows.take(np.sort(rows)), schema, part)
        for rows, part in zip(dealt, parts(schema), strict=True)
    ]
    return join([windows, *lost])
