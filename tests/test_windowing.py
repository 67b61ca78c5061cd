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
    POOLED_OPENINGS,
    concatenate,
    cut_windows,
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
    vm46 = schema.vm46()
    episode = _rough(toy.episode(seed=seed % 7, layout=vm46), seed, jitter_ms, lost, offset_ms)
    offline = cut_windows(episode, vm46)
    reach = vm46.grid.hold_ns + vm46.grid.step_ns
    for number, x in enumerate(offline.x):
        end = vm46.grid.steps + number * vm46.grid.stride
        until = episode.start_ns + end * vm46.grid.step_ns
        since = until - vm46.grid.steps * vm46.grid.step_ns - 2 * reach
        buffer = {
            name: _between(samples, since, until) for name, samples in episode.sources.items()
        }
        np.testing.assert_array_equal(window_at(buffer, vm46, episode.start_ns, end), x)


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


def _between(samples: Samples, since: int, until: int) -> Samples:
    near = (samples.t_wall_ns > since) & (samples.t_wall_ns <= until)
    times = samples.t_wall_ns[near], samples.t_mono_ns[near]
    return Samples(samples.names, *times, samples.values[near], samples.rate_hz)


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
