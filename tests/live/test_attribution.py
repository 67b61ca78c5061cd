"""The parts of an explanation sum to the logit, and point at what was planted."""

from pathlib import Path

import numpy as np
import pytest

from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live import playback
from phasewatch.live.attribution import attribute
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import WindowPrediction
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def ensemble(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Ensemble:
    return Ensemble.load(Run(toy_out), toy_store.schema)


@pytest.fixture(scope="module")
def window(ensemble: Ensemble, toy_run: RunResult, toy_store: Store) -> WindowPrediction:
    id = next(id for id in toy_run.predictions.folds[0].split.test if "dig" in id)
    machine = playback.replay(toy_store.read(id), ensemble)
    return list(machine.predictions.values())[len(machine.predictions) // 2]


def test_base_and_sources_sum_to_the_logit(ensemble: Ensemble, window: WindowPrediction) -> None:
    methods = set()
    for member in ensemble.members:
        for label in range(len(ensemble.schema.classes)):
            found = attribute(member, window, label)
            total = found.base + sum(share.logit for share in found.sources)
            assert total == pytest.approx(found.logit, abs=1e-4)
            assert found.logit == pytest.approx(float(window.logits[member.key][label]))
            assert [share.name for share in found.sources] == list(member.checkpoint.schema.sources)
            if found.channels_add_up:
                assert found.base + sum(s.logit for s in found.channels) == pytest.approx(
                    found.logit, abs=1e-4
                )
            methods.add(found.method)
    assert methods == {"TreeSHAP", "Shapley values of sources"}


def test_channels_come_with_the_heaviest_first(
    ensemble: Ensemble, window: WindowPrediction
) -> None:
    found = attribute(ensemble.member("logistic.realistic"), window, 0)
    sizes = [abs(share.logit) for share in found.channels]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0


def test_at_the_benign_level_no_source_contributes(
    ensemble: Ensemble, window: WindowPrediction
) -> None:
    usual = np.sign(window.level) * np.expm1(np.abs(window.level))
    x = np.repeat(usual[:, None], window.x.shape[1], axis=1).astype(np.float32)
    member = ensemble.member("logistic.oracle")
    past = np.where(np.isfinite(window.past), window.level[:, None], np.nan).astype(np.float32)
    logits = member.checkpoint.logits(x[None], window.level[None], past[None])[0]
    still = WindowPrediction(20, 0, x, past, window.level, {member.key: logits}, {}, {}, (), 0.0)
    found = attribute(member, still, 0)
    assert max(abs(share.logit) for share in found.sources) < 1e-3
