"""Alignment by NumPy and by the compiled loop give the same bits, whatever the samples are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasewatch import alignment
from phasewatch.alignment import MOST_SUMMED, align
from phasewatch.compiled import Loop
from phasewatch.episode import Floats, Ints, Samples
from phasewatch.schema import NS, Channel, Grid, Schema

GRID = Grid(10.0, 5.0, 0.5, 1.0)
KINDS = ("counter", "gauge", "event", "counter")
SCHEMA = Schema(
    "x",
    tuple(Channel(f"s.c{row}", "", kind, True, "") for row, kind in enumerate(KINDS)),  # type: ignore[arg-type]
    ("benign", "other"),
    GRID,
)
COLUMNS = SCHEMA.columns["s"]


def drawn(seed: int, rows: int, gaps_ms: list[int]) -> Samples:
    """Samples at random distances, some without a value and some infinite."""
    generator = np.random.default_rng(seed)
    t = np.cumsum(generator.choice(gaps_ms, rows)).astype(np.int64) * (NS // 1000)
    values = generator.normal(size=(rows, len(KINDS))) * 10.0 ** generator.integers(-3, 9)
    values[generator.random(values.shape) < 0.1] = np.nan
    values[generator.random(values.shape) < 0.02] = np.inf
    return Samples(COLUMNS.names, t, t, values, 2.0)


def by_numpy(samples: Samples, edges: Ints) -> Floats:
    value = alignment._values(samples, COLUMNS)
    return alignment._align(samples.t_wall_ns, value, COLUMNS, GRID, edges)


def same_bits(loop: Loop, samples: Samples) -> bool:
    """Whether a loop gives NumPy's bits; where a step has too many samples, whether it says so."""
    first, last = samples.t_wall_ns[0] - 2 * NS, samples.t_wall_ns[-1] + 3 * NS
    edges = np.arange(first, last, GRID.step_ns)
    value = np.ascontiguousarray(alignment._values(samples, COLUMNS))
    out = np.empty((len(edges) - 1, len(KINDS)))
    done = loop(samples.t_wall_ns, value, edges, COLUMNS.sorts, alignment._limits(GRID), out)
    upto = np.searchsorted(samples.t_wall_ns, edges, side="right")
    if np.diff(upto).max() > MOST_SUMMED:
        return not done
    return done and out.tobytes() == by_numpy(samples, edges).tobytes()


DRAWN = st.builds(
    drawn,
    st.integers(0, 2**32),
    st.integers(1, 60),
    st.lists(st.sampled_from([0, 1, 60, 250, 500, 700, 1600, 4000]), min_size=1, max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(samples=DRAWN)
def test_the_loop_gives_numpys_bits(samples: Samples) -> None:
    assert same_bits(alignment._loop, samples)


def test_the_compiled_loop_gives_numpys_bits() -> None:
    pytest.importorskip("numba")
    loop = alignment.COMPILED.after(10**9)
    assert loop is not None
    gaps = [[500], [0, 60], [250, 700], [1, 500, 4000], [60]]
    assert all(same_bits(loop, drawn(seed, 300, gaps[seed % 5])) for seed in range(50))


def test_sums_of_a_step_are_those_of_numpys_reduce() -> None:
    """With many samples a step too, whose sums NumPy adds pairwise."""
    samples = drawn(3, 400, [10, 30])
    edges = np.arange(samples.t_wall_ns[0], samples.t_wall_ns[-1], GRID.step_ns)
    found = by_numpy(samples, edges)
    place = np.searchsorted(samples.t_wall_ns, edges, side="right")
    value = alignment._values(samples, COLUMNS)[:, 1]
    for step, (begin, end) in enumerate(pairwise(place)):
        expected = np.add.reduceat(value[begin:end], [0])[0] / (end - begin)
        np.testing.assert_array_equal(found[step, 1], expected)


def test_align_falls_back_where_a_step_has_too_many_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Ready:
        def after(self, work: int) -> Loop:
            return alignment._loop

    monkeypatch.setattr(alignment, "COMPILED", Ready())
    for gaps in ([10], [500]):
        samples = drawn(1, 100, gaps)
        edges = np.arange(0, samples.t_wall_ns[-1], GRID.step_ns)
        found = align(samples, COLUMNS, GRID, edges)
        assert found.tobytes() == by_numpy(samples, edges).tobytes()
