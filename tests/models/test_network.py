"""What all networks share, and that they reach published accuracy on a public archive."""

import gzip

import numpy as np
import pytest
from tests.paths import DATA

from phasewatch.models._network import MOST, Network
from phasewatch.models.base import Data, find, names

NETWORKS = [name for name in names() if issubclass(find(name), Network)]
ARCHIVE = DATA / "uea"
FLOORS = {"cnn": 0.95, "gru": 0.90, "lstm": 0.90, "transformer": 0.92}
"""Accuracy on NATOPS' own split; published: InceptionTime .961, ROCKET .889 (Ruiz et al. 2021)."""


def network(name: str, channels: int = 46, steps: int = 20) -> Network:
    kind = find(name)
    assert issubclass(kind, Network)
    model = kind(6, 1)
    model._make((channels * 7,) if kind.view == "summary" else (channels, steps))
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_small(name: str) -> None:
    assert 10_000 < network(name).parameters <= MOST


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("steps", [1, 5, 20, 21])
def test_a_network_accepts_any_window_length(name: str, steps: int) -> None:
    model = network(name, 3, steps)
    shape = (2, 21) if model.view == "summary" else (2, 3, steps)
    assert np.isfinite(model.logits(np.zeros(shape))).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_missing_value_differs_from_a_mean_value(name: str) -> None:
    model = network(name, 3)
    z = np.zeros((1, 21) if model.view == "summary" else (1, 3, 20))
    gap = z.copy()
    gap[:, 0] = np.nan
    assert np.abs(model.logits(z) - model.logits(gap)).max() > 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_another_network_are_refused(name: str) -> None:
    other = NETWORKS[NETWORKS.index(name) - 1]
    with pytest.raises((ValueError, TypeError)):
        find(name).load(network(other).save(), network(name)._shape, 6)


def test_configured_layers_are_restored_as_saved() -> None:
    kind = find("cnn")
    assert issubclass(kind, Network)
    model = kind(6, 1, filters=8, kernels=(3, 5))
    model._make((4, 20))
    again = kind.load(model.save(), (4, 20), 6)
    assert again.config == model.config
    assert again.save() == model.save()


def archive(name: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """`x[N,C,T]` and labels of one file of the UEA archive."""
    (path,) = (ARCHIVE / name).glob(f"{name}_{part}.ts*")
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    rows = [line.split(":") for line in lines[lines.index("@data") + 1 :] if line]
    x = [[[float(value) for value in one.split(",")] for one in row[:-1]] for row in rows]
    return np.array(x), np.array([row[-1] for row in rows])


@pytest.mark.skipif(not ARCHIVE.exists(), reason="PHASEWATCH_DATA: no UEA archive")
@pytest.mark.parametrize("name", FLOORS)
def test_a_network_reaches_published_accuracy_on_natops(name: str) -> None:
    (x, labels), (test_x, truth) = (archive("NATOPS", part) for part in ("TRAIN", "TEST"))
    known, y = np.unique(labels, return_inverse=True)
    mean, std = x.mean(axis=(0, 2), keepdims=True), x.std(axis=(0, 2), keepdims=True)
    trained_on = np.random.default_rng(0).permutation(len(x)) % 6 > 0
    z = (x - mean) / std
    model = find(name)(len(known), 0)
    parts = [Data(z[rows], y[rows], len(known)) for rows in (trained_on, ~trained_on)]
    model.fit(parts[0], parts[1])
    predicted = model.logits((test_x - mean) / std).argmax(axis=1)
    assert (known[predicted] == truth).mean() >= FLOORS[name]
