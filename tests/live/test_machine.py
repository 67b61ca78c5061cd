"""Live equals offline, to the last bit; late and missing samples; a machine that cannot keep up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import toy

from phasewatch import schema, windowing
from phasewatch.episode import Episode
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live.buffer import GRACE_S, select_rows
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import Machine, Scale
from phasewatch.live.playback import SampleStream
from phasewatch.schema import NS
from phasewatch.store.local import Store

BLIND = Ensemble(schema.vm46(), ())


@pytest.fixture(scope="module")
def ensemble(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Ensemble:
    return Ensemble.load(Run(toy_out), toy_store.schema)


def streamed(episode: Episode, ensemble: Ensemble, tick_ns: int) -> Machine:
    """The episode's samples given `tick_ns` at a time, every window predicted."""
    machine, stream = Machine(ensemble, episode.start_ns), SampleStream(episode)
    for now in range(episode.start_ns, episode.end_ns, tick_ns):
        stream.advance(now, machine)
        machine.predict_all(now)
    stream.advance(episode.end_ns, machine)
    machine.close(episode.end_ns)
    machine.predict_all(episode.end_ns)
    return machine


def same(machine: Machine, offline: windowing.Windows) -> None:
    predicted = list(machine.predictions.values())
    assert [one.end_ns for one in predicted] == offline.t_ns.tolist()
    assert np.array_equal(np.stack([one.x for one in predicted]), offline.x, equal_nan=True)
    assert np.array_equal(np.stack([one.past for one in predicted]), offline.past, equal_nan=True)


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 5), tick_ms=st.integers(150, 9000), host=st.sampled_from(toy.HOSTS))
def test_live_windows_equal_offline_windows_bit_for_bit(seed: int, tick_ms: int, host: str) -> None:
    episode = toy.episode(host, "leak", seed, seconds=100)
    same(
        streamed(episode, BLIND, tick_ms * 1_000_000), windowing.cut_windows(episode, BLIND.schema)
    )


def test_a_window_waits_for_a_recent_source_and_not_for_one_that_fell_silent() -> None:
    episode = toy.episode()
    end_ns = episode.start_ns + 10 * NS
    machine, stream = Machine(BLIND, episode.start_ns), SampleStream(episode)
    stream.advance(end_ns, machine)
    assert machine.due(end_ns) == []
    assert machine.due(end_ns + round(GRACE_S * NS)) == [BLIND.schema.grid.steps]
    stream.advance(end_ns + NS, machine)
    assert machine.due(end_ns + NS) == [BLIND.schema.grid.steps]


def test_a_silent_source_is_missing_and_delays_no_window() -> None:
    episode = toy.episode()
    rest = {name: samples for name, samples in episode.sources.items() if name != "netflow"}
    machine = streamed(replace(episode, sources=rest), BLIND, NS // 4)
    window = next(iter(machine.predictions.values()))
    assert window.missing == ("netflow",)
    assert window.lag_s < GRACE_S
    assert window.present[BLIND.schema.names.index("netflow.pkts_out")] == 0


def test_late_samples_are_counted_and_inserted_in_order() -> None:
    episode = toy.episode()
    machine, stream = Machine(BLIND, episode.start_ns), SampleStream(episode)
    qmp = episode.sources["qmp"]
    held = (qmp.t_wall_ns > episode.start_ns + 6 * NS) & (
        qmp.t_wall_ns <= episode.start_ns + 8 * NS
    )
    early = replace(
        episode, sources={**episode.sources, "qmp": select_rows(qmp, np.flatnonzero(~held))}
    )
    stream = SampleStream(early)
    stream.advance(episode.start_ns + 11 * NS, machine)
    assert machine.predict(episode.start_ns + 11 * NS) is not None
    machine.add("qmp", select_rows(qmp, np.flatnonzero(held)))
    assert machine.late == held.sum() > 0
    stream.advance(episode.start_ns + 16 * NS, machine)
    second = machine.predict(episode.start_ns + 16 * NS)
    assert second is not None
    assert np.array_equal(
        second.x, windowing.cut_windows(episode, BLIND.schema).x[1], equal_nan=True
    )


def test_an_overloaded_machine_skips_to_the_newest_window_and_counts_the_skipped() -> None:
    episode = toy.episode()
    machine, stream = Machine(BLIND, episode.start_ns), SampleStream(episode)
    stream.advance(episode.end_ns, machine)
    window = machine.predict(episode.end_ns)
    assert window is not None and window.skipped == machine.skipped > 3
    assert window.end_ns + NS * 5 > episode.end_ns - NS
    assert machine.predict(episode.end_ns) is None


def test_the_buffer_stays_short_however_long_it_runs() -> None:
    episode = toy.episode(seconds=400)
    machine, stream = Machine(BLIND, episode.start_ns), SampleStream(episode)
    most = 0
    for now in range(episode.start_ns, episode.end_ns, NS):
        stream.advance(now, machine)
        machine.predict(now)
        most = max(most, *(len(samples) for samples in machine.buffer.sources.values()), 0)
    assert most < 2 * 2 * (80 + 5 + 2 * 1 + 8)


def test_typical_windows_are_near_zero(ensemble: Ensemble, toy_run: RunResult) -> None:
    scale = Scale.of(ensemble)
    assert scale is not None and Scale.of(BLIND) is None
    windows = toy_run.trained.folds[0].windows["oracle"]["train"]
    z = np.array([scale.z(windows.x[row], windows.opening[row]) for row in range(len(windows))])
    assert np.abs(np.nanmean(z, axis=0)).max() < 1e-6


def test_after_a_gap_windows_begin_anew_and_level_and_incidents_stay(ensemble: Ensemble) -> None:
    episode = toy.episode("beta", "leak")
    machine = streamed(episode, ensemble, NS)
    later_ns = episode.end_ns + 100 * NS
    again = machine.after_gap(later_ns)
    assert again.level is machine.level and again.incidents is machine.incidents
    assert not again.predictions
    grid = ensemble.schema.grid
    assert again.due(later_ns + round((grid.window_s + GRACE_S) * NS)) == [grid.steps]


def test_a_gap_in_the_opening_leaves_no_level(ensemble: Ensemble) -> None:
    again = Machine(ensemble, toy.START_NS).after_gap(toy.START_NS + 9 * NS)
    assert again.level is None
    grid = ensemble.schema.grid
    assert not again.due(toy.START_NS + round((9 + ensemble.opening_s + GRACE_S) * NS))
    assert grid.window_s > ensemble.opening_s or again.due(toy.START_NS + 60 * NS)
