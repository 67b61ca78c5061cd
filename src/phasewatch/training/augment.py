"""Augmentation: training windows without one source, or without their opening.

In the field a capture starts late, an agent dies, or a machine was never observed before. Training
on such windows keeps a model from relying on any one source.
"""

import numpy as np

from phasewatch.schema import Schema
from phasewatch.windowing import AnyWindows, concatenate

SHARE = 0.5
"""Share of the windows that are repeated without one source or without their opening."""

OPENING = "opening"


def parts(schema: Schema) -> tuple[str, ...]:
    """Return all that a window can lose: each source, and the opening."""
    return (*schema.sources, OPENING)


def without(windows: AnyWindows, schema: Schema, part: str) -> AnyWindows:
    """Return the windows with NaN for one source, or for their opening."""
    gone = np.array([channel.source == part for channel in schema.channels])
    return windows.without(gone, part == OPENING)


def drop(windows: AnyWindows, schema: Schema, seed: int) -> AnyWindows:
    """Return all windows, and a `SHARE` of them again, each without one part drawn at random."""
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(windows))[: round(SHARE * len(windows))]
    shares = np.array_split(chosen, len(parts(schema)))
    lost = [
        without(windows.take(np.sort(rows)), schema, part)
        for rows, part in zip(shares, parts(schema), strict=True)
    ]
    return concatenate([windows, *lost])
