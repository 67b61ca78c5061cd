"""Live equals offline, to the last bit; late and missing samples; who cannot keep up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import toy
from tests.io.test_trust import keys
from tests.paths import ROOT

from phasewatch import schema, windowing
from phasewatch.episode import Episode, Samples
from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.io.trust import Trust
from phasewatch.live import playback
from phasewatch.live.buffer import GRACE_S, Buffer, taken
from phasewatch.live.ensemble import Ensemble, Member
from phasewatch.live.machine import Machine, Scale
from phasewatch.live.playback import Stream
from phasewatch.schema import NS
from phasewatch.store.local import Store

__all__ = ["keys"]

CORPUS = ROOT / "corpus"
BLIND = Ensemble(schema.vm46(), ())


@pytest.fixture(scope="module")
def ensemble(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Ensemble:
    return Ensemble.load(Run(toy_out), toy_store.schema)


def streamed(episode: Episode, ensemble: Ensemble, tick_ns: int) -> Machine:
    """The episode's samples given `tick_ns` at a time, every window judged."""
    machine, stream = Machine(ensemble, episode.start_ns), Stream(episode)
    for now in range(episode.start_ns, episode.end_ns, tick_ns):
        stream.upto(now, machine)
        machine.judge_all(now)
    stream.upto(episode.end_ns, machine)
    machine.close(episode.end_ns)
    machine.judge_all(episode.end_ns)
    return machine


def same(machine: Machine, made: windowing.Windows) -> None:
    judged = list(machine.judged.values())
    assert [one.end_ns for one in judged] == made.t_ns.tolist()
    assert np.array_equal(np.stack([one.x for one in judged]), made.x, equal_nan=True)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 5), tick_ms=st.integers(150, 9000), host=st.sampled_from(toy.HOSTS))
def test_windows_have_the_bits_of_offline_ones(seed: int, tick_ms: int, host: str) -> None:
    episode = toy.episode(host, "leak", seed)
    same(streamed(episode, BLIND, tick_ms * 1_000_000), windowing.cut(episode, BLIND.schema))


def test_every_episode_of_the_corpus_has_the_bits_of_offline_ones() -> None:
    store = Store.open(CORPUS)
    for id in store.ids()[::4]:
        try:
            episode = store.read(id)
            made = windowing.cut(episode, store.schema)
        except (Refused, ValueError):
            continue
        same(playback.replay(episode, Ensemble(store.schema, ())), made)


def test_answers_are_the_offline_ones(
    ensemble: Ensemble, toy_run: RunResult, toy_store: Store
) -> None:
    manifests = [toy_store.manifest(id) for id in toy_store.ids()]
    for id in toy_run.predictions.folds[0].split.test[:2]:
        episode = toy_store.read(id)
        past = playback.history(toy_store, manifests, episode, ensemble.opening_s)
        machine = playback.replay(episode, ensemble, past)
        asked = 0
        for said in toy_run.predictions.predictions:
            own = said.windows.episode == id
            key = f"{said.model}.{said.mode}"
            judges = {member.key for member in ensemble.members}
            if said.subset == "unseen" and own.any() and key in judges:
                logits = np.stack([one.logits[key] for one in machine.judged.values()])
                single = said.logits[own].astype(np.float32)
                assert np.array_equal(logits.astype(np.float32), single)
                asked += 1
        assert asked == len(ensemble.members) > 0


def test_history_knows_nothing_that_came_later(toy_store: Store) -> None:
    manifests = [toy_store.manifest(id) for id in toy_store.ids()]
    first = min((one for one in manifests if one.host == "alpha"), key=lambda one: one.start_ns)
    assert playback.history(toy_store, manifests, toy_store.read(first.id), 6.0) == []


def test_a_window_waits_for_a_source_that_speaks_and_not_for_one_that_fell_silent() -> None:
    episode = toy.episode()
    end_ns = episode.start_ns + 10 * NS
    machine, stream = Machine(BLIND, episode.start_ns), Stream(episode)
    stream.upto(end_ns, machine)
    assert machine.due(end_ns) == []
    assert machine.due(end_ns + round(GRACE_S * NS)) == [BLIND.schema.grid.steps]
    stream.upto(end_ns + NS, machine)
    assert machine.due(end_ns + NS) == [BLIND.schema.grid.steps]


def test_a_silent_source_is_missing_and_holds_nobody_up() -> None:
    episode = toy.episode()
    rest = {name: own for name, own in episode.sources.items() if name != "netflow"}
    machine = streamed(replace(episode, sources=rest), BLIND, NS // 4)
    judged = next(iter(machine.judged.values()))
    assert judged.missing == ("netflow",)
    assert judged.lag_s < GRACE_S
    assert judged.present[BLIND.schema.names.index("netflow.pkts_out")] == 0


def test_late_samples_are_counted_and_take_their_place() -> None:
    episode = toy.episode()
    machine, stream = Machine(BLIND, episode.start_ns), Stream(episode)
    qmp = episode.sources["qmp"]
    held = (qmp.t_wall_ns > episode.start_ns + 6 * NS) & (
        qmp.t_wall_ns <= episode.start_ns + 8 * NS
    )
    early = replace(episode, sources={**episode.sources, "qmp": taken(qmp, np.flatnonzero(~held))})
    stream = Stream(early)
    stream.upto(episode.start_ns + 11 * NS, machine)
    assert machine.judge(episode.start_ns + 11 * NS) is not None
    machine.add("qmp", taken(qmp, np.flatnonzero(held)))
    assert machine.late == held.sum() > 0
    stream.upto(episode.start_ns + 16 * NS, machine)
    second = machine.judge(episode.start_ns + 16 * NS)
    assert second is not None
    assert np.array_equal(second.x, windowing.cut(episode, BLIND.schema).x[1], equal_nan=True)


def test_who_cannot_keep_up_skips_to_the_newest_and_counts() -> None:
    episode = toy.episode()
    machine, stream = Machine(BLIND, episode.start_ns), Stream(episode)
    stream.upto(episode.end_ns, machine)
    judged = machine.judge(episode.end_ns)
    assert judged is not None and judged.skipped == machine.skipped > 3
    assert judged.end_ns + NS * 5 > episode.end_ns - NS
    assert machine.judge(episode.end_ns) is None


def test_the_feed_stays_short_however_long_it_runs() -> None:
    episode = toy.episode(seconds=400)
    machine, stream = Machine(BLIND, episode.start_ns), Stream(episode)
    most = 0
    for now in range(episode.start_ns, episode.end_ns, NS):
        stream.upto(now, machine)
        machine.judge(now)
        most = max(most, *(len(own) for own in machine.buffer.sources.values()), 0)
    assert most < 2 * 2 * (10 + 5 + 2 * 1 + 8)


def test_a_source_that_changes_its_channels_is_refused() -> None:
    buffer, one = Buffer(), toy.episode().sources["qmp"]
    buffer.add("qmp", one)
    with pytest.raises(ValueError, match="changed its channels"):
        buffer.add(
            "qmp", Samples(one.names[:1], one.t_wall_ns, one.t_mono_ns, one.values[:, :1], 2)
        )


def test_a_checkpoint_of_other_data_is_kept_with_its_refusal(
    toy_out: Path, ensemble: Ensemble
) -> None:
    own = ensemble.schema
    renamed = tuple(
        replace(channel, unit="other") if channel.name == "proc.rss" else channel
        for channel in own.channels
    )
    mixed = Ensemble.load(Run(toy_out), replace(own, channels=renamed))
    assert not mixed.members
    assert set(mixed.refused) == {member.key for member in ensemble.members}
    assert all("proc.rss" in str(problem) for problem in mixed.refused.values())
    with pytest.raises(Refused, match="not on the panel"):
        mixed.member("gbt.realistic")


def test_an_unsigned_juror_is_refused_where_signatures_are_asked_for(
    toy_out: Path, toy_store: Store, keys: Path
) -> None:
    asked = Ensemble.load(
        Run(toy_out), toy_store.schema, trust=Trust.asked(keys / "own.pub", strict=False)
    )
    assert not asked.members
    assert {problem.code for problem in asked.refused.values()} == {"signature"}


def test_temperature_moves_probabilities_and_no_call(ensemble: Ensemble) -> None:
    logits = np.array([1.0, 3.0, -1.0, 0.0, 0.0, 0.0])
    cool = replace(ensemble.members[0], temperature=4.0)
    assert cool.probabilities(logits).argmax() == 1
    assert cool.probabilities(logits)[1] < ensemble.members[0].probabilities(logits)[1]
    assert isinstance(cool, Member)


def test_usual_windows_are_near_zero(ensemble: Ensemble, toy_run: RunResult) -> None:
    scale = Scale.of(ensemble)
    assert scale is not None and Scale.of(BLIND) is None
    made = toy_run.trained.folds[0].windows["oracle"]["train"]
    z = np.array([scale.z(made.x[row], made.opening[row]) for row in range(len(made))])
    assert np.abs(np.nanmean(z, axis=0)).max() < 1e-6
