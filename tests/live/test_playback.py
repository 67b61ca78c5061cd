"""Played back, an episode has the windows and predictions of the offline pipeline, to the bit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy
from tests.live.test_machine import same
from tests.paths import ROOT

from phasewatch import alarm, schema, windowing
from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live import playback
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import Machine
from phasewatch.live.playback import SampleStream
from phasewatch.schema import NS
from phasewatch.store.local import Store

CORPUS = ROOT / "corpus"


@pytest.fixture(scope="module")
def ensemble(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Ensemble:
    return Ensemble.load(Run(toy_out), toy_store.schema)


def test_a_stream_yields_every_sample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    episode = toy.episode()
    machine, stream = Machine(Ensemble(schema.vm46(), ()), episode.start_ns), SampleStream(episode)
    taken: dict[str, list[int]] = {name: [] for name in episode.sources}
    monkeypatch.setattr(machine, "add", lambda name, rows: taken[name].extend(rows.t_wall_ns))
    for second in (3, 3, 7, 60):
        now_ns = episode.start_ns + second * NS
        stream.advance(now_ns, machine)
        assert all(t <= now_ns for times in taken.values() for t in times)
    assert taken == {name: list(one.t_wall_ns) for name, one in episode.sources.items()}


def test_played_back_windows_of_the_corpus_equal_offline_windows_bit_for_bit() -> None:
    store = Store.open(CORPUS)
    for id in store.ids()[::4]:
        try:
            episode = store.read(id)
            offline = windowing.cut_windows(episode, store.schema)
        except (Refused, ValueError):
            continue
        same(playback.replay(episode, Ensemble(store.schema, ())), offline)


def test_played_back_predictions_equal_offline_predictions(
    ensemble: Ensemble, toy_run: RunResult, toy_store: Store
) -> None:
    manifests = list(playback.manifests(toy_store).values())
    keys = {member.key for member in ensemble.members}
    for id in toy_run.predictions.folds[0].split.test[:2]:
        episode = toy_store.read(id)
        past = playback.history(toy_store, manifests, episode, ensemble.opening_s)
        machine = playback.replay(episode, ensemble, past)
        compared = 0
        for offline in toy_run.predictions.predictions:
            rows = offline.windows.episode == id
            key = f"{offline.model}.{offline.mode}"
            if offline.subset == "unseen" and rows.any() and key in keys:
                logits = np.stack([one.logits[key] for one in machine.predictions.values()])
                single = offline.logits[rows].astype(np.float32)
                assert np.array_equal(logits.astype(np.float32), single)
                compared += 1
        assert compared == len(ensemble.members) > 0


def test_history_holds_no_later_episode(toy_store: Store) -> None:
    manifests = list(playback.manifests(toy_store).values())
    first = min((one for one in manifests if one.host == "alpha"), key=lambda one: one.start_ns)
    assert playback.history(toy_store, manifests, toy_store.read(first.id), 6.0) == []


def test_manifests_omit_unreadable_episodes(tmp_path: Path) -> None:
    store = toy.store(tmp_path / "store")
    first, *rest = store.ids()
    manifest = next(one for one in store.folder(first).iterdir() if one.suffix == ".json")
    manifest.write_text("{")
    assert list(playback.manifests(store)) == rest


def test_incidents_are_those_that_the_evaluation_counts(
    toy_run: RunResult, toy_out: Path, toy_store: Store
) -> None:
    raised = 0
    for row in (one for one in toy_run.report.rows if one.model == "gbt"):
        predicted = next(
            one
            for one in toy_run.predictions.predictions
            if (one.model, one.mode, one.subset) == (row.model, row.mode, "unseen")
        )
        assert row.incidents is not None
        point = row.incidents.points[-1]
        (rule,) = point.rules
        for id in toy_run.predictions.folds[0].split.test:
            of_episode = predicted.take(predicted.windows.episode == id)
            windows = [alarm.evidence_of(one, rule.temperature) for one in of_episode.logits]
            opened = alarm.trace([rule], windows).opened[0]
            key = f"{row.model}.{row.mode}"
            rate = point.target_rate
            found = playback.episode_incidents(Run(toy_out), toy_store, id, key, rate=rate)
            assert [one.opened_ns for one in found] == of_episode.windows.t_ns[opened].tolist()
            raised += len(found)
    assert raised


def test_a_rate_without_a_rule_is_refused(toy_out: Path, toy_store: Store) -> None:
    id = toy_store.ids()[0]
    with pytest.raises(Refused, match=r"rate 0\.3: has no rule"):
        playback.episode_incidents(Run(toy_out), toy_store, id, "gbt.oracle", rate=0.3)


def test_a_report_without_rules_raises_incidents_at_its_threshold(
    tmp_path: Path, toy_run: RunResult, toy_out: Path, toy_store: Store
) -> None:
    id = next(id for id in toy_store.ids() if "dig" in id)
    report = json.loads((toy_out / "report.json").read_bytes())
    for row in report["rows"]:
        del row["incidents"]
        row["alarm_budget"]["thresholds"] = [0.3 if row["mode"] == "oracle" else None]
    (tmp_path / "report.json").write_text(json.dumps(report))
    shutil.copytree(toy_out / "checkpoints", tmp_path / "checkpoints")
    (first, *_) = playback.episode_incidents(Run(tmp_path), toy_store, id, "gbt.oracle")
    assert (first.machine, first.model) == (id, "gbt.oracle") and first.peak >= 0.3
    with pytest.raises(Refused, match="no operating point"):
        playback.episode_incidents(Run(tmp_path), toy_store, id, "gbt.realistic")
    with pytest.raises(Refused, match="not in the ensemble"):
        playback.episode_incidents(Run(tmp_path), toy_store, id, "none.oracle")


@pytest.mark.parametrize("damage", ["header", "weights"])
def test_a_damaged_checkpoint_is_named(
    tmp_path: Path, toy_run: RunResult, toy_out: Path, toy_store: Store, damage: str
) -> None:
    shutil.copytree(toy_out / "checkpoints", tmp_path / "checkpoints")
    header = tmp_path / "checkpoints" / "gbt-realistic.ckpt.json"
    if damage == "header":
        header.write_text("")
    else:
        (weights,) = (one for one in header.parent.glob("gbt-realistic.*") if one != header)
        weights.unlink()
    with pytest.raises(Refused, match=r"checkpoints/gbt-realistic\."):
        playback.episode_incidents(Run(tmp_path), toy_store, toy_store.ids()[0], "gbt.realistic")


def test_a_missing_report_is_named(
    tmp_path: Path, toy_run: RunResult, toy_out: Path, toy_store: Store
) -> None:
    shutil.copytree(toy_out / "checkpoints", tmp_path / "checkpoints")
    with pytest.raises(Refused, match=r"report\.json: is missing"):
        playback.episode_incidents(Run(tmp_path), toy_store, toy_store.ids()[0], "gbt.realistic")


def test_a_rejected_episode_raises_no_incidents_but_is_refused(
    tmp_path: Path, toy_run: RunResult, toy_out: Path
) -> None:
    store = Store.create(tmp_path / "store", schema.vm46())
    episode = toy.episode()
    proc = episode.sources["proc"]
    late = replace(proc, t_wall_ns=proc.t_wall_ns + np.arange(len(proc.t_wall_ns)) * NS)
    store.publish(replace(episode, sources={**episode.sources, "proc": late}))
    with pytest.raises(Refused, match=r"is rejected \(.*an accepted or degraded episode"):
        playback.episode_incidents(Run(toy_out), store, episode.id, "gbt.realistic")
