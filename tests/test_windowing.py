from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import toy

from phasewatch import schema
from phasewatch.episode import Episode, Label, Samples
from phasewatch.errors import Refused
from phasewatch.schema import NS, Channel, Grid, Schema
from phasewatch.windowing import (
    PAST_BLOCKS,
    POOLED_OPENINGS,
    block_means,
    concatenate,
    cut_windows,
    medians,
    past_at,
    past_steps,
    pool_openings,
    resample,
    signed_log,
    window_at,
)

TINY = Schema(
    "tiny",
    (
        Channel("a.gauge", "x", "gauge", True, ""),
        Channel("a.counter", "x", "counter", True, ""),
        Channel("a.event", "x", "event", True, ""),
    ),
    ("calm", "busy"),
    Grid(window_s=2, stride_s=1, step_s=1, hold_s=2),
)


def rows(times_s: list[float], values: list[list[float]]) -> dict[str, Samples]:
    t = np.array([round(time * NS) for time in times_s], dtype=np.int64)
    return {"a": Samples(TINY.names, t, t, np.array(values, dtype=np.float64), 1.0)}


def test_each_channel_kind_equals_a_hand_computed_value() -> None:
    sources = rows([0.0, 0.5, 1.0, 2.0], [[9, 100, 1], [2, 104, 3], [4, 110, 5], [8, 130, 7]])
    computed = resample(sources, TINY, 0, 0, 2)
    np.testing.assert_array_equal(computed[0], [3.0, 8.0])
    np.testing.assert_array_equal(computed[1], [10.0, 20.0])
    np.testing.assert_array_equal(computed[2], [8.0, 7.0])


def test_a_sample_at_the_edge_belongs_to_the_step_that_ends_there() -> None:
    computed = resample(rows([1.0], [[5, 0, 0]]), TINY, 0, 0, 3)
    np.testing.assert_array_equal(computed[0], [5.0, 5.0, 5.0])


def test_a_late_sample_is_held_and_no_longer_than_the_hold() -> None:
    computed = resample(rows([0.5, 5.5], [[5, 0, 0], [7, 0, 0]]), TINY, 0, 0, 6)
    np.testing.assert_array_equal(computed[0], [5, 5, np.nan, np.nan, np.nan, 7])


def test_a_counter_that_fell_is_unknown_never_negative() -> None:
    computed = resample(rows([0.5, 1.5, 2.5], [[0, 50, 0], [0, 3, 0], [0, 5, 0]]), TINY, 0, 0, 3)
    np.testing.assert_array_equal(computed[1], [np.nan, np.nan, 2.0])


def test_a_rate_over_a_long_hole_is_unknown() -> None:
    computed = resample(rows([0.5, 9.5, 10.5], [[0, 0, 9], [0, 90, 9], [0, 95, 9]]), TINY, 0, 9, 11)
    np.testing.assert_array_equal(computed[1], [np.nan, 5.0])
    np.testing.assert_array_equal(computed[2], [np.nan, 9.0])


def test_a_nan_sample_is_unknown_and_affects_no_other_value() -> None:
    complete = toy.episode()
    spoilt = complete.sources["proc"].values.copy()
    spoilt[40:42, :3] = np.inf
    sources = {**complete.sources, "proc": replace(complete.sources["proc"], values=spoilt)}
    computed = cut_windows(replace(complete, sources=sources), schema.vm46()).x
    clean = cut_windows(complete, schema.vm46()).x
    assert not np.isinf(computed).any()
    differs = ~((computed == clean) | (np.isnan(computed) & np.isnan(clean)))
    assert differs.any()
    assert not np.isfinite(computed[differs]).any()


def test_a_missing_source_is_nan_and_does_not_stop_the_others() -> None:
    episode = toy.episode()
    kept = {name: samples for name, samples in episode.sources.items() if name != "netflow"}
    complete, computed = (
        cut_windows(one, schema.vm46()) for one in (episode, replace(episode, sources=kept))
    )
    absent = np.array([name.startswith("netflow.") for name in schema.vm46().names])
    assert np.isnan(computed.x[:, absent]).all()
    np.testing.assert_array_equal(computed.x[:, ~absent], complete.x[:, ~absent])


def test_decreasing_times_are_refused() -> None:
    with pytest.raises(ValueError, match="back in time"):
        resample(rows([1.0, 0.5], [[0, 0, 0]] * 2), TINY, 0, 0, 2)


def test_channels_are_bound_by_name_in_the_schemas_order() -> None:
    episode = toy.episode()
    vm46 = schema.vm46()
    turned = replace(vm46, channels=vm46.channels[::-1])
    np.testing.assert_array_equal(
        cut_windows(episode, turned).x[:, ::-1], cut_windows(episode, vm46).x
    )


def test_sources_on_other_clocks_are_aligned_by_wall_time() -> None:
    """A netflow host's monotonic clock says nothing about ours; only `t_wall_ns` aligns."""
    episode = toy.episode()
    netflow = episode.sources["netflow"]
    foreign = replace(netflow, t_mono_ns=netflow.t_mono_ns + 10**15)
    moved = replace(episode, sources={**episode.sources, "netflow": foreign})
    np.testing.assert_array_equal(
        cut_windows(moved, schema.vm46()).x, cut_windows(episode, schema.vm46()).x
    )


@pytest.mark.parametrize("source", schema.vm46().sources)
def test_no_source_comes_out_all_nan(source: str) -> None:
    vm46 = schema.vm46()
    computed = cut_windows(toy.episode(), vm46).x
    of_source = np.array([channel.source == source for channel in vm46.channels])
    assert np.isfinite(computed[:, of_source]).mean() > 0.99


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    jitter_ms=st.integers(0, 700),
    lost=st.floats(0, 0.6),
    offset_ms=st.integers(0, 999),
)
def test_live_equals_offline_bit_for_bit(
    seed: int, jitter_ms: int, lost: float, offset_ms: int
) -> None:
    own = schema.vm46()
    whole = toy.episode(seed=seed % 7, seconds=40 + seed % 90, layout=own)
    episode = _rough(whole, seed, jitter_ms, lost, offset_ms)
    offline = cut_windows(episode, own)
    reach = own.grid.hold_ns + own.grid.step_ns
    for number, (x, past) in enumerate(zip(offline.x, offline.past, strict=True)):
        end = own.grid.steps + number * own.grid.stride
        until = episode.start_ns + end * own.grid.step_ns
        since = until - own.grid.steps * own.grid.step_ns - 2 * reach
        buffer = {name: _between(kept, since, until) for name, kept in episode.sources.items()}
        np.testing.assert_array_equal(window_at(buffer, own, episode.start_ns, end), x)
        since -= past_steps(own.grid) * own.grid.step_ns
        buffer = {name: _between(kept, since, until) for name, kept in episode.sources.items()}
        np.testing.assert_array_equal(past_at(buffer, own, episode.start_ns, end), past)


def test_the_past_is_the_mean_of_half_windows_by_hand() -> None:
    columns = np.arange(40, dtype=np.float32)[None]
    columns[0, 30] = np.nan
    grid = Grid(window_s=4, stride_s=1, step_s=1, hold_s=2)
    (past,) = block_means(columns, np.array([33]), grid)[0]
    z = signed_log(np.arange(40.0))
    # Blocks of two steps: 31 and 32 are the last, 29 and the gap before them, 5 and 6 the first.
    assert past[-1] == np.float32((z[31] + z[32]) / 2)
    assert past[-2] == np.float32(z[29])
    assert past[0] == np.float32((z[5] + z[6]) / 2)
    assert len(past) == PAST_BLOCKS


def test_before_the_beginning_there_is_no_past() -> None:
    """Samples from before the start, which toy episodes have, are no part of it."""
    own, episode = schema.vm46(), toy.episode(seconds=120)
    past = cut_windows(episode, own).past
    assert past.shape[1:] == (46, PAST_BLOCKS)
    for number, blocks in enumerate(past[: PAST_BLOCKS + 1]):
        known = np.isfinite(blocks).any(axis=0)
        assert known.tolist() == [False] * (PAST_BLOCKS - number) + [True] * number


def test_a_gap_longer_than_the_hold_is_unknown_in_the_past() -> None:
    own, episode = schema.vm46(), toy.episode(seconds=120)
    qmp = episode.sources["qmp"]
    gap = (qmp.t_wall_ns > episode.start_ns + 30 * NS) & (
        qmp.t_wall_ns <= episode.start_ns + 52 * NS
    )
    torn = replace(episode, sources={**episode.sources, "qmp": _rows(qmp, ~gap)})
    rows = [place for place, one in enumerate(own.channels) if one.source == "qmp"]
    (blocks,) = cut_windows(torn, own).past[(100 - 10) // 5 : (100 - 10) // 5 + 1]
    # The window ends after 100 s, so its blocks begin after 20, 25, … 85 s.
    lost = np.isnan(blocks[rows]).all(axis=0)
    assert [20 + 5 * place for place in np.flatnonzero(lost)] == [35, 40, 45]
    others = np.delete(blocks, rows, axis=0)
    assert np.isfinite(others).all()


def test_windows_that_fill_an_episode_have_no_past() -> None:
    """Series of other collections are one window each; a step may be the whole of it."""
    single = replace(TINY, grid=Grid(window_s=1, stride_s=1, step_s=1, hold_s=2))
    for own, starts in ((TINY, 2), (single, 1)):
        found = past_at(rows([0.0, 1.0], [[1, 1, 1], [2, 2, 2]]), own, 0, starts)
        assert found.shape == (3, PAST_BLOCKS)
        assert np.isnan(found).all()


def _rough(episode: Episode, seed: int, jitter_ms: int, lost: float, offset_ms: int) -> Episode:
    generator = np.random.default_rng(seed)
    sources = {}
    for name, samples in episode.sources.items():
        remaining = generator.random(len(samples)) >= lost
        shift = generator.integers(0, jitter_ms * 1_000_000 + 1, len(samples))
        t = np.sort(samples.t_wall_ns + shift + offset_ms * 1_000_000)[remaining]
        sources[name] = Samples(
            samples.names,
            t,
            samples.t_mono_ns[remaining],
            samples.values[remaining],
            samples.rate_hz,
        )
    return replace(episode, sources=sources)


def _rows(samples: Samples, kept: np.typing.NDArray[np.bool_]) -> Samples:
    times = samples.t_wall_ns[kept], samples.t_mono_ns[kept]
    return Samples(samples.names, *times, samples.values[kept], samples.rate_hz)


def _between(samples: Samples, since: int, until: int) -> Samples:
    near = (samples.t_wall_ns > since) & (samples.t_wall_ns <= until)
    return _rows(samples, near)


def test_labels_are_the_phase_at_the_end_and_purity_its_share() -> None:
    t = np.arange(0, 11, dtype=np.int64) * NS
    samples = Samples(TINY.names, t, t, np.zeros((11, 3)), 1.0)
    labels = (Label(0, "calm"), Label(3 * NS, "busy"), Label(int(4.5 * NS), "calm"))
    computed = cut_windows(
        Episode("e", "h", "s", "p", "c", 0, 7 * NS, labels, {"a": samples}), TINY
    )
    np.testing.assert_array_equal(computed.t_ns, np.arange(2, 8) * NS)
    np.testing.assert_array_equal(computed.y, [0, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(computed.purity, [1, 1, 0.5, 0.25, 0.75, 1])


def test_an_episode_shorter_than_a_window_has_none() -> None:
    episode = toy.episode()
    short = replace(episode, end_ns=episode.start_ns + 9 * NS)
    assert cut_windows(short, schema.vm46()).x.shape == (0, 46, 20)


def test_join_keeps_rows_together_and_take_picks_them() -> None:
    one, two = (cut_windows(toy.episode(seed=seed), schema.vm46()) for seed in (1, 2))
    both = concatenate([one, two])
    assert len(both) == len(one) + len(two)
    picked = both.take(both.episode == toy.episode(seed=2).id)
    np.testing.assert_array_equal(picked.x, two.x)
    np.testing.assert_array_equal(picked.t_ns, two.t_ns)
    with pytest.raises(ValueError, match="no episodes"):
        concatenate([])


def test_an_opening_level_equals_numpys_median_of_its_steps() -> None:
    vm46, episode = schema.vm46(), toy.episode()
    computed = cut_windows(episode, vm46, 6.0)
    grid = resample(episode.sources, vm46, episode.start_ns, 0, 12)
    np.testing.assert_allclose(
        computed.opening[0], np.nanmedian(signed_log(grid), axis=1), rtol=1e-6
    )
    assert (computed.opening == computed.opening[0]).all()
    assert computed.t_ns[0] == episode.start_ns + 10 * NS
    assert np.isnan(cut_windows(episode, vm46).opening).all()


def test_no_window_ends_inside_the_opening() -> None:
    computed = cut_windows(toy.episode(seconds=60, seed=3), schema.vm46(), 8.0)
    complete = cut_windows(toy.episode(seconds=60, seed=3), schema.vm46(), 0.0)
    assert computed.t_ns.tolist() == complete.t_ns.tolist()
    later = replace(toy.episode(), labels=toy.episode().labels[:1])
    assert cut_windows(later, schema.vm46(), 15.0).t_ns[0] == later.start_ns + 20 * NS


def test_a_hostile_opening_is_refused() -> None:
    with pytest.raises(Refused, match=r"begins after .* 30 s of benign at its start"):
        cut_windows(toy.episode(), schema.vm46(), 30.0)


def test_a_benign_level_is_the_median_of_the_openings_so_far() -> None:
    vm46 = schema.vm46()
    hosts = [("alpha", seed) for seed in (4, 1, 3, 2)] + [("beta", 0)]
    parts = {key: cut_windows(toy.episode(key[0], seed=key[1]), vm46, 6.0) for key in hosts}
    computed = pool_openings(concatenate(parts.values()))
    for seed in (1, 2, 3, 4):
        so_far = [parts["alpha", past].opening[0] for past in range(1, seed + 1)]
        rows = computed.episode == f"alpha.dig.s{seed}"
        np.testing.assert_allclose(
            computed.opening[rows][0], np.median(np.array(so_far, dtype=float), axis=0), rtol=1e-6
        )
    beta = computed.take(computed.host == "beta")
    np.testing.assert_array_equal(beta.opening, parts["beta", 0].opening)
    np.testing.assert_array_equal(computed.x, concatenate(parts.values()).x)


def test_only_the_latest_openings_are_pooled() -> None:
    vm46 = schema.vm46()
    parts = [cut_windows(toy.episode(seed=seed), vm46, 6.0) for seed in range(POOLED_OPENINGS + 3)]
    computed = pool_openings(concatenate(parts))
    last = np.array([part.opening[0] for part in parts[3:]], dtype=float)
    rows = computed.episode == parts[-1].episode[0]
    np.testing.assert_allclose(computed.opening[rows][0], np.median(last, axis=0), rtol=1e-6)


def noted(*spans: tuple[float, float]) -> Episode:
    """An episode of 40 s in which nothing distinguishes the phase between these seconds."""
    made = toy.episode()
    note = [[made.start_ns + round(second * NS) for second in span] for span in spans]
    return replace(made, notes={"ambiguous": note})


def test_windows_that_end_in_an_ambiguous_act_are_marked() -> None:
    own = schema.vm46()
    every = cut_windows(noted((14.5, 20.0), (31.0, 33.0)), own)
    ends = (every.t_ns - noted().start_ns) / NS
    assert ends.tolist() == [10, 15, 20, 25, 30, 35, 40]
    assert ends[every.ambiguous].tolist() == [15, 20]
    # A window at the very beginning of an act has seen nothing of it.
    assert not cut_windows(noted((15.0, 19.0)), own).ambiguous.any()
    plain = cut_windows(toy.episode(), own)
    assert not plain.ambiguous.any() and plain.clear is plain
    np.testing.assert_array_equal(plain.y, every.y)


def test_the_mark_stays_with_its_window() -> None:
    own = schema.vm46()
    every = cut_windows(noted((14.5, 20.0)), own)
    both = concatenate([every, cut_windows(toy.episode("beta"), own)])
    assert both.ambiguous.sum() == 2 and len(both.clear) == len(both) - 2
    assert not both.clear.ambiguous.any()
    assert both.take(both.ambiguous).t_ns.tolist() == every.t_ns[1:3].tolist()
    assert pool_openings(both).ambiguous.tolist() == both.ambiguous.tolist()
    assert every.channels(own, own.for_mode("realistic")).ambiguous.sum() == 2


@pytest.mark.parametrize(
    "note", ["often", 3, [3], [[1, 2, 3]], [[5, 4]], [["a", "b"]], [[1.5, 2]], [[True, 2]], {}]
)
def test_a_note_that_is_no_list_of_spans_is_refused(note: object) -> None:
    if note == {}:
        note = {"from": 1}
    wrong = replace(toy.episode(), notes={"ambiguous": note})
    with pytest.raises(Refused, match=r"alpha.dig.s1: notes.ambiguous: is .*\[from_ns, to_ns\]"):
        cut_windows(wrong, schema.vm46())


@pytest.mark.parametrize("columns", [1, 2, 5, 12, 30])
def test_medians_have_the_bits_of_nanmedian(columns: int) -> None:
    generator = np.random.default_rng(columns)
    z = generator.normal(size=(200, columns))
    z[:, 1:][generator.random((200, columns - 1)) < 0.3] = np.nan
    assert medians(z).tobytes() == np.nanmedian(z, axis=1).tobytes()
