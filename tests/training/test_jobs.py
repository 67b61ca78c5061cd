"""Many trainings side by side: the same bits, nothing twice, and going on after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests import toy
from tests.paths import ROOT

from phasewatch.experiment import pipeline
from phasewatch.experiment.run import Run
from phasewatch.models.base import Epoch
from phasewatch.store.local import Store
from phasewatch.training.jobs import Workers
from phasewatch.training.recipes import Recipe

BOTH = replace(toy.RECIPE, name="both", models=("mlp", "gbt"), modes=("realistic",))


def train(
    recipe: Recipe, store: Store, out: Path, jobs: int = 1, cluster: str = ""
) -> list[tuple[str, int]]:
    epochs: list[tuple[str, int]] = []

    def follow(name: str, epoch: Epoch) -> None:
        epochs.append((name, epoch.number))

    pipeline.train(recipe, store, out, lambda line: None, Workers(jobs, cluster, follow))
    return epochs


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "checkpoints").iterdir()}


@pytest.fixture(scope="module")
def alone(toy_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process, unbroken."""
    out = tmp_path_factory.mktemp("alone")
    train(BOTH, toy_store, out)
    return out


def test_parallel_training_gives_the_same_bits_and_reports_every_epoch(
    alone: Path, toy_store: Store, tmp_path: Path
) -> None:
    epochs = train(BOTH, toy_store, tmp_path, jobs=2)
    assert files(tmp_path) == files(alone)
    for name in ("mlp-realistic", "gbt-realistic"):
        lines = (tmp_path / "logs" / f"{name}.jsonl").read_text().splitlines()
        numbers = [json.loads(line)["number"] for line in lines]
        assert numbers == list(range(1, len(lines) + 1))
        assert Run(tmp_path).training_seconds(name) > 0
        assert {number for trained, number in epochs if trained == name} <= set(numbers)
    assert not list((tmp_path / "states").iterdir())


def test_finished_models_are_not_trained_again(alone: Path, toy_store: Store) -> None:
    before = files(alone)
    assert train(BOTH, toy_store, alone) == []
    assert files(alone) == before


def test_a_damaged_checkpoint_is_trained_again(
    alone: Path, toy_store: Store, tmp_path: Path
) -> None:
    shutil.copytree(alone, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "checkpoints" / "mlp-realistic.ckpt.json"
    path.write_bytes(path.read_bytes()[:-40])
    assert {name for name, _ in train(BOTH, toy_store, tmp_path)} == {"mlp-realistic"}
    assert files(tmp_path) == files(alone)


def test_a_killed_training_resumes(alone: Path, toy_store: Store, tmp_path: Path) -> None:
    """SIGKILL to the command in the midst of the network's training; its workers end, too."""
    code = (
        "import sys; from pathlib import Path; import tests.training.test_jobs as t; "
        "from phasewatch.store.local import Store; "
        "t.train(t.BOTH, Store.open(Path(sys.argv[1])), Path(sys.argv[2]), jobs=2)"
    )
    log = tmp_path / "out" / "logs" / "mlp-realistic.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(toy_store.root), str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") >= 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    train(BOTH, toy_store, tmp_path / "out")
    assert files(tmp_path / "out") == files(alone)


def test_the_first_refusal_of_a_worker_is_raised(toy_store: Store, tmp_path: Path) -> None:
    from phasewatch.errors import Refused

    wrong = replace(BOTH, models=("mlp", "nonsense"))
    for count in (1, 2):
        with pytest.raises(Refused, match="model 'nonsense': is unknown"):
            train(wrong, toy_store, tmp_path / str(count), count)
