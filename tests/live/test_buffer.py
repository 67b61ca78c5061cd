"""The buffer keeps what the next window needs, in the order of time, and no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import toy

from phasewatch import schema, windowing
from phasewatch.episode import Samples
from phasewatch.live.buffer import GRACE_S, Buffer, first_end, missing, select_rows
from phasewatch.schema import NS

GRID = schema.vm46().grid


def samples(*seconds: float) -> Samples:
    t_ns = np.array([round(one * NS) for one in seconds], dtype=np.int64)
    return Samples(("qmp.exits",), t_ns, t_ns, t_ns[:, None] / NS, 1.0)


def times(buffer: Buffer, source: str = "qmp") -> list[float]:
    return [float(t_ns) / NS for t_ns in buffer.sources[source].t_wall_ns]


@given(st.permutations(list(range(12))), st.integers(1, 5))
def test_samples_are_sorted_by_time_in_any_order_of_arrival(order: list[int], size: int) -> None:
    buffer = Buffer()
    for first in range(0, len(order), size):
        buffer.add("qmp", samples(*order[first : first + size]))
    assert times(buffer) == sorted(order)
    assert buffer.sources["qmp"].values[:, 0].tolist() == sorted(order)


def test_a_source_without_samples_is_absent() -> None:
    buffer = Buffer()
    buffer.add("qmp", samples())
    assert buffer.sources == {}


def test_a_source_that_changes_its_channels_is_refused() -> None:
    buffer, one = Buffer(), toy.episode().sources["qmp"]
    buffer.add("qmp", one)
    with pytest.raises(ValueError, match="changed its channels"):
        buffer.add(
            "qmp", Samples(one.names[:1], one.t_wall_ns, one.t_mono_ns, one.values[:, :1], 2)
        )


def test_a_window_is_ready_when_every_recent_source_is_past_its_end() -> None:
    buffer, end = Buffer(), 10 * NS
    assert not buffer.ready(end, end)
    buffer.add("qmp", samples(9.0, 10.5))
    assert buffer.ready(end, end)
    buffer.add("proc", samples(9.5))
    assert not buffer.ready(end, end)
    assert buffer.ready(end, end + round(GRACE_S * NS))
    # A source that fell silent before the grace holds nothing up.
    silent = Buffer()
    silent.add("qmp", samples(9.0, 10.5))
    silent.add("proc", samples(10.0 - GRACE_S))
    assert silent.ready(end, end)


def test_dropped_samples_change_no_later_window() -> None:
    episode, spec = toy.episode(seconds=300), schema.vm46()
    buffer, end = Buffer(), GRID.steps + 560
    for source, given_samples in episode.sources.items():
        buffer.add(source, given_samples)
    held = sum(len(one) for one in buffer.sources.values())
    cut = windowing.window_at, windowing.past_at
    expected = [one(buffer.sources, spec, episode.start_ns, end) for one in cut]
    buffer.forget(episode.start_ns + end * GRID.step_ns, GRID)
    assert sum(len(one) for one in buffer.sources.values()) < held
    for one, before in zip(cut, expected, strict=True):
        found = one(buffer.sources, spec, episode.start_ns, end)
        assert np.isfinite(found).any(axis=0).all()
        assert np.array_equal(found, before, equal_nan=True)


def test_the_last_sample_of_a_silent_source_stays() -> None:
    buffer = Buffer()
    buffer.add("qmp", samples(1, 2, 3, 4, 5, 6))
    buffer.forget(10_000 * NS, GRID)
    assert times(buffer) == [6.0]


@pytest.mark.parametrize("opening_s", [0.0, 3.0, 10.0, 12.5, 40.0])
def test_the_first_window_ends_after_the_opening_on_a_stride(opening_s: float) -> None:
    end = first_end(GRID, opening_s)
    assert (end - GRID.steps) % GRID.stride == 0 and end >= GRID.steps
    assert end * GRID.step_s > opening_s
    assert end == GRID.steps or (end - GRID.stride) * GRID.step_s <= opening_s


def test_missing_sources_are_those_without_any_value() -> None:
    spec = schema.vm46()
    x = np.zeros((len(spec.channels), 4), dtype=np.float32)
    assert missing(spec, x) == ()
    rows = [place for place, one in enumerate(spec.channels) if one.source == "qmp"]
    x[rows] = np.nan
    assert missing(spec, x) == ("qmp",)
    x[rows[0], 1] = 1.0
    assert missing(spec, x) == ()


def test_rows_are_selected_from_all_columns() -> None:
    found = select_rows(samples(1, 2, 3), np.array([2, 0]))
    assert (found.t_wall_ns / NS).tolist() == [3.0, 1.0]
    assert found.values[:, 0].tolist() == [3.0, 1.0]
    assert (found.t_mono_ns / NS).tolist() == [3.0, 1.0]
