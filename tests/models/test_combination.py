"""A combination is the mean of its members' calibrated log-probabilities, and no more."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from tests.models.test_base import CLASSES, data

from phasewatch.models import combination
from phasewatch.models.base import Epoch, TrainingMonitor, Unfit, find
from phasewatch.models.combination import COLDEST, SHARES, Model
from phasewatch.temperature import fit_temperature

VIEW = Model.view
SHAPE = (6,)
TRAIN, VALIDATION = data(120, 1, VIEW), data(60, 2, VIEW)


@pytest.fixture(scope="module")
def fitted() -> Model:
    model = Model(CLASSES, 3)
    model.fit(TRAIN, VALIDATION)
    return model


def test_the_logits_are_the_mean_of_what_the_members_say_alone(fitted: Model) -> None:
    z = data(50, 4, VIEW).z
    expected = np.zeros((50, CLASSES))
    for name, share in SHARES.items():
        alone = find(name)(CLASSES, 3)
        alone.fit(TRAIN, VALIDATION)
        temperature = fit_temperature(alone.logits(VALIDATION.z), VALIDATION.y)
        expected += share * log_softmax(alone.logits(z) / max(temperature, COLDEST), axis=1)
    np.testing.assert_allclose(fitted.logits(z), expected, atol=1e-12)
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_the_epochs_of_all_members_are_numbered_as_one_training() -> None:
    seen: list[Epoch] = []
    Model(CLASSES, 0).fit(TRAIN, VALIDATION, TrainingMonitor(seen.append))
    assert [one.number for one in seen] == list(range(1, len(seen) + 1))
    assert all(one.number <= one.of for one in seen)


def damaged(change: Callable[[Any], Any], weights: bytes) -> bytes:
    stored = json.loads(weights)
    change(stored)
    return json.dumps(stored).encode()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows.pop(), "the members are not gbt, mlp"),
        (lambda rows: rows[0].update(model="combination"), "the members are not gbt, mlp"),
        (lambda rows: rows[1].update(temperature=float("nan")), "the temperature of mlp is nan"),
        (lambda rows: rows[1].update(temperature=0.0), "the temperature of mlp is 0"),
    ],
)
def test_a_file_of_other_members_is_refused(
    fitted: Model, change: Callable[[Any], Any], problem: str
) -> None:
    with pytest.raises(Unfit, match=problem):
        Model.load(damaged(change, fitted.save()), SHAPE, CLASSES)


def test_the_weights_of_a_member_are_checked_as_its_own_model_checks_them(fitted: Model) -> None:
    def swap(rows: Any) -> None:
        rows[0]["weights"] = base64.b64encode(b'{"learner": {}, "version": [1, 0, 0]}').decode()

    with pytest.raises(Unfit, match="the fields are not"):
        Model.load(damaged(swap, fitted.save()), SHAPE, CLASSES)


def test_a_member_is_never_sharpened_beyond_what_a_graph_can_repeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(combination, "fit_temperature", lambda *words: 0.05)
    model = Model(CLASSES, 0)
    model.fit(TRAIN, VALIDATION)
    stored = json.loads(model.save())
    assert {one["temperature"] for one in stored} == {COLDEST}
