"""The statistics of windows as one compiled loop, with the bits of NumPy's einsum and sort.

The loop takes a window at a time, step by step over all channels, so that the processor works on
several channels at once. Sums are in the order in which einsum adds on processors with two numbers
of double precision a register; where NumPy adds otherwise, `Compiled` leaves the loop alone.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Places = NDArray[np.int64]


def sorting_network(length: int) -> Places:
    """Return the places `[P,2]` to compare and exchange, one after the other, to sort `length`.

    Batcher's odd-even merge sort, *Sorting networks and their applications*, AFIPS 1968.
    """
    pairs = []
    size = 1
    while size < length:
        step = size
        while step >= 1:
            for first in range(step % size, length - step, 2 * step):
                for place in range(first, min(first + step, length - step)):
                    if place // (2 * size) == (place + step) // (2 * size):
                        pairs.append((place, place + step))
            step //= 2
        size *= 2
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def loop(z: Array, spans: Places, network: Places, out: Array) -> None:
    """Write the statistics of `z[N,C,T]` to `out[N,C,S]`, as `views.STATISTICS` names them.

    `spans` are the first steps of the means: of all steps, then of the last half and quarter.
    """
    windows, channels, steps = z.shape
    filled, known = np.empty((steps, channels)), np.empty((steps, channels))
    ordered = np.empty((steps, channels))
    sums, count = np.empty((2, channels)), np.empty(channels)
    numbers, mean = np.empty(channels), np.empty(channels)
    for window in range(windows):
        gaps = read(z[window], filled, known, ordered, numbers)
        for span in range(2, -1, -1):
            add(filled, spans[span], sums)
            count[:] = steps - spans[span]
            if gaps:
                count_measured(known, spans[span], count)
            for c in range(channels):
                mean[c] = (sums[0, c] + sums[1, c]) / count[c] if count[c] else math.nan
                out[window, c, 4 + span if span else 0] = mean[c]
        for step in range(steps):
            for c in range(channels):
                off = filled[step, c] - mean[c]
                filled[step, c] = off * known[step, c] if gaps else off
        add_squares(filled, sums)
        exchange(ordered, network)
        for c in range(channels):
            total = sums[0, c] + sums[1, c]
            out[window, c, 1] = math.sqrt(total / count[c]) if count[c] else math.nan
            top = max(int(count[c]) - 1, 0)
            out[window, c, 2] = ordered[0, c] if numbers[c] > 0 else math.nan
            low, high = ordered[top // 2, c], ordered[(top + 1) // 2, c]
            out[window, c, 3] = (low + high) / 2 if numbers[c] > (top + 1) // 2 else math.nan
            out[window, c, 4] = ordered[top, c] if numbers[c] > top else math.nan


def read(z: Array, filled: Array, known: Array, ordered: Array, numbers: Array) -> int:
    """Copy a window `z[C,T]` step by step, and return how many values were not measured.

    `filled[T,C]` has 0 for those, `known[T,C]` is 1 for the others and is written only where there
    are gaps, `ordered[T,C]` has infinity for what is no number, and `numbers[C]` counts the others.
    """
    channels, steps = z.shape
    gaps = 0
    for c in range(channels):
        for step in range(steps):
            value = z[c, step]
            gaps += value - value != 0.0
            filled[step, c] = value
            ordered[step, c] = value
    numbers[:] = steps
    if gaps:
        numbers[:] = 0.0
        for step in range(steps):
            for c in range(channels):
                value = filled[step, c]
                numbers[c] += value == value
                known[step, c] = value - value == 0.0
                filled[step, c] = value if value - value == 0.0 else 0.0
                ordered[step, c] = value if value == value else math.inf
    return gaps


def count_measured(known: Array, first: int, count: Array) -> None:
    """Write to `count[C]` how many steps from `first` on are `known[T,C]`."""
    steps, channels = known.shape
    count[:] = 0.0
    for step in range(first, steps):
        for c in range(channels):
            count[c] += known[step, c]


def add(values: Array, first: int, sums: Array) -> None:
    """Write the sums of `values[T,C]` from a step on, of every second one, to `sums[2,C]`.

    Eight steps are added in a tree, and what is left in pairs.
    """
    steps, channels = values.shape
    sums[:] = 0.0
    while steps - first >= 8:
        for part in range(2):
            place = first + part
            for c in range(channels):
                low = values[place, c] + values[place + 2, c]
                high = values[place + 4, c] + values[place + 6, c]
                sums[part, c] = (low + high) + sums[part, c]
        first += 8
    for step in range(first, steps):
        part = (step - first) % 2
        for c in range(channels):
            sums[part, c] = values[step, c] + sums[part, c]


def add_squares(values: Array, sums: Array) -> None:
    """Write the sums of the squares of `values[T,C]`, of every second one, to `sums[2,C]`.

    Of eight steps the last are added first, and what is left in order.
    """
    steps, channels = values.shape
    sums[:] = 0.0
    whole = steps - steps % 8
    for first in range(0, whole, 8):
        for back in range(8):
            step = first + 7 - back
            for c in range(channels):
                sums[step % 2, c] = values[step, c] * values[step, c] + sums[step % 2, c]
    for step in range(whole, steps):
        for c in range(channels):
            sums[step % 2, c] = values[step, c] * values[step, c] + sums[step % 2, c]


def exchange(ordered: Array, network: Places) -> None:
    """Sort the steps of every channel of `ordered[T,C]` by a sorting network."""
    for pair in range(len(network)):
        low_row, high_row = ordered[network[pair, 0]], ordered[network[pair, 1]]
        for c in range(ordered.shape[1]):
            one, other = low_row[c], high_row[c]
            low_row[c] = one if one < other else other
            high_row[c] = other if one < other else one


PARTS = (read, count_measured, add, add_squares, exchange)
"""The functions that `loop` calls."""
