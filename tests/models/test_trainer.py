"""The one training loop: resuming, stopping, refusing, and the schedule of its rate."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from phasewatch.errors import Refused
from phasewatch.models import _trainer
from phasewatch.models._trainer import Schedule
from phasewatch.models.base import UNMONITORED, Data, Epoch, TrainingMonitor

SHORT = Schedule(epochs=12, batch=32, patience=12)
CLASSES = 4


def data(rows: int, seed: int) -> Data:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, rows)
    z = generator.normal(0, 1, (rows, 6))
    z[np.arange(rows), y] += 1
    return Data(z, y, CLASSES)


def parts() -> tuple[Data, Data]:
    return data(200, 1), data(60, 2)


def module() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.3), nn.Linear(16, CLASSES))


def weights(network: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in network.state_dict().values())


def trained(
    watch: TrainingMonitor = UNMONITORED, schedule: Schedule = SHORT
) -> tuple[bytes, list[Epoch]]:
    network = module()
    history = _trainer.train(network, parts(), schedule, 3, watch)
    return weights(network), history


def killed_after(epochs: int, state: Path) -> None:
    """Train in a separate process, and end it by SIGKILL before the training is done."""

    def kill(epoch: Epoch) -> None:
        if epoch.number == epochs:
            os.kill(os.getpid(), signal.SIGKILL)

    trained(TrainingMonitor(kill, state))


@pytest.mark.parametrize("epochs", np.random.default_rng(4).permutation(11)[:5] + 1)
def test_killed_and_resumed_ends_with_the_same_bits(epochs: int, tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=killed_after, args=(int(epochs), state))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    numbers: list[int] = []
    resumed = trained(TrainingMonitor(lambda epoch: numbers.append(epoch.number), state))
    uninterrupted = trained()
    assert resumed[0] == uninterrupted[0]
    assert [epoch[:4] for epoch in resumed[1]] == [epoch[:4] for epoch in uninterrupted[1]]
    assert numbers == list(range(1, 13))


def test_a_finished_training_is_not_continued(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    first = trained(TrainingMonitor(state=state))
    stored = state.read_bytes()
    assert trained(TrainingMonitor(state=state))[0] == first[0]
    assert state.read_bytes() == stored


@pytest.mark.parametrize("damage", [b"", b"\x80\x04K\x01.", bytes(8), b"\xff" * 40])
def test_a_damaged_training_state_restarts_training(damage: bytes, tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    state.write_bytes(damage)
    assert trained(TrainingMonitor(state=state))[0] == trained()[0]


def test_the_state_of_another_network_restarts_training(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    other = nn.Linear(6, CLASSES)
    _trainer.train(other, parts(), SHORT, 3, TrainingMonitor(state=state))
    assert trained(TrainingMonitor(state=state))[0] == trained()[0]


def test_training_ends_with_the_weights_best_on_validation() -> None:
    network = module()
    history = _trainer.train(network, parts(), SHORT, 3, UNMONITORED)
    z = torch.from_numpy(parts()[1].z.astype(np.float32))
    predicted = _trainer.predict(network, z).argmax(axis=1)
    from sklearn.metrics import f1_score

    score = f1_score(parts()[1].y, predicted, average="macro")
    assert score == pytest.approx(max(epoch.score for epoch in history))


def test_training_stops_when_validation_no_longer_improves() -> None:
    """Validation labels that nothing can predict: the best epoch comes early."""
    train, validation = parts()
    noise = validation._replace(y=np.random.default_rng(0).integers(0, 3, len(validation.y)))
    patient = replace(SHORT, epochs=400, patience=5)
    history = _trainer.train(module(), (train, noise), patient, 3, UNMONITORED)
    best = max(range(len(history)), key=lambda place: (history[place].score, place))
    assert len(history) == best + 1 + 5 < 400


def test_a_loss_that_is_nan_is_refused_in_one_line() -> None:
    train, validation = parts()
    train.z[5, 2] = np.nan
    with pytest.raises(Refused, match="epoch 1: the loss is nan; expected a finite loss"):
        _trainer.train(module(), (train, validation), SHORT, 3, UNMONITORED)


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    shares = [Schedule(warm=0.1).share(step, 200) for step in range(200)]
    assert shares[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert max(shares) == pytest.approx(1.0)
    assert (np.diff(shares[20:]) <= 0).all()
    assert shares[-1] < 0.001


def test_every_class_has_the_same_total_weight() -> None:
    y = np.array([0] * 90 + [2] * 10)
    weight = _trainer._weights(Data(np.zeros((100, 1)), y, CLASSES))
    assert (weight[0] * 90).item() == pytest.approx((weight[2] * 10).item())
    assert weight[[1, 3]].tolist() == [0.0, 0.0]


def test_training_restores_torchs_global_settings() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    state = torch.get_rng_state()
    trained()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    assert torch.equal(torch.get_rng_state(), state)
