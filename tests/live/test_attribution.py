"""The parts of an explanation sum to the logit, and point at what was planted."""

from pathlib import Path

import numpy as np
import pytest

from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live import playback
from phasewatch.live.attribution import why
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import WindowPrediction
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def ensemble(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Ensemble:
    return Ensemble.load(Run(toy_out), toy_store.schema)


@pytest.fixture(scope="module")
def judged(ensemble: Ensemble, toy_run: RunResult, toy_store: Store) -> WindowPrediction:
    id = next(id for id in toy_run.predictions.folds[0].split.test if "dig" in id)
    machine = playback.replay(toy_store.read(id), ensemble)
    return list(machine.judged.values())[len(machine.judged) // 2]


def test_base_and_sources_sum_to_the_logit(ensemble: Ensemble, judged: WindowPrediction) -> None:
    methods = set()
    for member in ensemble.members:
        for label in range(len(ensemble.schema.classes)):
            told = why(member, judged, label)
            total = told.base + sum(share.logit for share in told.sources)
            assert total == pytest.approx(told.logit, abs=1e-4)
            assert told.logit == pytest.approx(float(judged.logits[member.key][label]))
            assert [share.name for share in told.sources] == list(member.checkpoint.schema.sources)
            if told.channels_add_up:
                assert told.base + sum(s.logit for s in told.channels) == pytest.approx(
                    told.logit, abs=1e-4
                )
            methods.add(told.method)
    assert methods == {"TreeSHAP", "Shapley values of sources"}


def test_channels_come_with_the_heaviest_first(
    ensemble: Ensemble, judged: WindowPrediction
) -> None:
    told = why(ensemble.member("logistic.realistic"), judged, 0)
    sizes = [abs(share.logit) for share in told.channels]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0


def test_a_calm_machine_owes_its_call_to_no_source(
    ensemble: Ensemble, judged: WindowPrediction
) -> None:
    usual = np.sign(judged.level) * np.expm1(np.abs(judged.level))
    x = np.repeat(usual[:, None], judged.x.shape[1], axis=1).astype(np.float32)
    member = ensemble.member("logistic.oracle")
    logits = member.checkpoint.logits(x[None], judged.level[None])[0]
    still = WindowPrediction(20, 0, x, judged.level, {member.key: logits}, {}, {}, (), 0.0)
    told = why(member, still, 0)
    assert max(abs(share.logit) for share in told.sources) < 1e-3
