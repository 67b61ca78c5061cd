"""The temperature, compared with a known scale and with scikit-learn's loss."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from phasewatch.temperature import fit_temperature

GENERATOR = np.random.default_rng(3)
LOGITS = GENERATOR.normal(0, 2, (20_000, 4))
Y = np.array([GENERATOR.choice(4, p=row) for row in softmax(LOGITS, axis=1)])


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_a_scale_factor(factor: float) -> None:
    assert fit_temperature(LOGITS * factor, Y) == pytest.approx(factor, rel=0.05)


def test_the_temperature_minimizes_scikit_learns_log_loss() -> None:
    found = fit_temperature(LOGITS * 3, Y)
    losses = [
        log_loss(Y, softmax(LOGITS * 3 / t, axis=1)) for t in (found / 1.1, found, found * 1.1)
    ]
    assert losses[1] == min(losses)
