"""The trainings of learning curves: each leaves its confusion matrices, so that a call resumes.

Curves share trainings: where two of them train on the same episodes, it is done once.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasewatch import __version__, metrics
from phasewatch.errors import Refused, counted
from phasewatch.experiment.subsets import SEED, Fit
from phasewatch.io import atomic, executors
from phasewatch.schema import Schema
from phasewatch.training.fitting import fit_model
from phasewatch.windowing import Windows

MODEL = "gbt"
Log = Callable[[str], None]
Trained = dict[str, NDArray[np.int64]]
"""The confusion matrix `[K,K]` of every test episode of a training, by id."""


@dataclass(frozen=True)
class Trainer:
    """What all trainings share: windows, digests of the episodes, and where results are kept."""

    schema: Schema
    windows: Windows
    digests: Mapping[str, str]
    opening_s: float
    folder: Path

    def key(self, fit: Fit) -> str:
        """Return the name of a training: equal training sets of two curves are trained once."""
        sides = [[(id, self.digests[id]) for id in ids] for ids in (fit.train, fit.validation)]
        tested = [(id, self.digests[id]) for id in fit.test]
        names = (__version__, MODEL, SEED, self.opening_s, self.schema.names)
        return atomic.digest({"names": names, "sides": sides, "test": tested})[:32]

    def confusions(self, fits: Sequence[Fit], jobs: int, log: Log) -> dict[Fit, Trained]:
        """Return what every training predicts. What is in the folder already is not trained."""
        atomic.prepare_folder(self.folder)
        named = {fit: self.key(fit) for fit in fits}
        wanted = {key: fit for fit, key in named.items() if not self._path(key).exists()}
        log(f"{counted(len(set(named.values())), 'training')}, {len(wanted)} of them to do")
        for done, (key, fit) in enumerate(_trained(self, list(wanted.items()), jobs), 1):
            log(f"{done} of {len(wanted)}: {fit.axis} {fit.size:g}, draw {fit.draw + 1} ({key})")
        return {fit: self._read(key) for fit, key in named.items()}

    def train(self, key: str, fit: Fit) -> None:
        """Fit boosted trees, and write their confusion matrices on the test episodes."""
        train, validation, test = (
            self.windows.take(np.isin(self.windows.episode, ids))
            for ids in (fit.train, fit.validation, fit.test)
        )
        predicted = fit_model(MODEL, self.schema, SEED, (train, validation)).predict(test)
        classes = len(self.schema.classes)
        ids, cubes = metrics.confusions(test.episode, test.y, predicted, classes)
        value = dict(zip(ids.tolist(), cubes.tolist(), strict=True))
        atomic.write(self._path(key), (json.dumps(value) + "\n").encode())

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _read(self, key: str) -> Trained:
        path, classes = self._path(key), len(self.schema.classes)
        try:
            found = {
                id: np.array(one, np.int64) for id, one in json.loads(path.read_text()).items()
            }
            if any(one.shape != (classes, classes) for one in found.values()):
                raise ValueError("shape")
        except (ValueError, TypeError, AttributeError, OSError) as error:
            raise Refused(
                path, "cannot be read", "confusion matrices of a training", "Delete it."
            ) from error
        return found


class _Worker:
    """In a worker process: what its trainings share."""

    trainer: Trainer

    @classmethod
    def open(cls, trainer: Trainer) -> None:
        cls.trainer = trainer

    @classmethod
    def work(cls, key: str, fit: Fit) -> tuple[str, Fit]:
        cls.trainer.train(key, fit)
        return key, fit


def _trained(
    trainer: Trainer, wanted: Sequence[tuple[str, Fit]], jobs: int
) -> Iterator[tuple[str, Fit]]:
    """Train in this process or in `jobs` others, and yield each training when it is done."""
    if jobs == 1 or len(wanted) < 2:
        for key, fit in wanted:
            trainer.train(key, fit)
            yield key, fit
        return
    with executors.worker_processes(jobs, _Worker.open, (trainer,)) as pool:
        with executors.interrupts_deferred():
            found = pool.map(_Worker.work, *zip(*wanted, strict=True))
        yield from found
