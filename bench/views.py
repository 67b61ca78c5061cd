"""What version 4 of the views is worth beside version 3: the same windows, splits, models and seed.

    python bench/views.py corpus --every 3 --models gbt,logistic --jobs 1

trains each model twice on every third fold of leave-one-host-out and on as many samples held out,
in realistic mode. A row has macro F1 on validation, which chooses, and on the unseen host or
sample; `x1000` is the unseen one with every rate a thousand times higher, its opening and past
alike. The last rows pool the confusions of all folds.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch import metrics, splits
from phasewatch.features.views import NEWEST, OLDEST, ViewVersion
from phasewatch.schema import Schema
from phasewatch.splits import Split, divide_windows
from phasewatch.store.local import Store
from phasewatch.training.fitting import FitOptions, fit_model
from phasewatch.validation.sweep import validate_and_read
from phasewatch.windowing import Windows, concatenate, cut_windows

OPENING_S, FASTER = 15.0, 1000.0
VERSIONS: tuple[ViewVersion, ...] = (OLDEST, NEWEST)
SAMPLES = 4
"""Samples of a profile that can be held out, each with the next one for validation."""


@dataclass(frozen=True)
class Result:
    """Confusions `[K,K]` of one model and version on a fold, by what they were judged on."""

    model: str
    version: int
    kind: str
    held_out: str
    confusions: dict[str, NDArray[Any]]
    seconds: float

    def line(self) -> str:
        """Return a row for a person."""
        scores = " ".join(f"{name} {score(cube):.3f}" for name, cube in self.confusions.items())
        return f"{self.kind:6s} {self.held_out:12s} {self.model} {self.version} {scores}" + (
            f" {self.seconds:.0f} s of processor" if self.seconds else ""
        )


def score(confusions: NDArray[Any]) -> float:
    """Return macro F1."""
    return float(metrics.macro_f1(confusions))


def faster(windows: Windows) -> Windows:
    """Return the windows of machines whose every rate is `FASTER` times higher."""

    def moved(z: NDArray[np.float32]) -> NDArray[np.float32]:
        higher = np.sign(z) * np.log1p(FASTER * np.expm1(np.abs(z.astype(np.float64))))
        return higher.astype(np.float32)

    opening, past = moved(windows.opening), moved(windows.past)
    return replace(windows, x=windows.x * np.float32(FASTER), opening=opening, past=past)


def fit(
    job: tuple[str, ViewVersion, str, Split], windows: Windows, schema: Schema, seed: int
) -> Result:
    """Fit one model on one fold, and predict what it has not seen."""
    model, version, kind, split = job
    sides = divide_windows(windows, split)
    began = time.process_time()
    parts = (sides["train"], sides["validation"])
    fitted = fit_model(model, schema, seed, parts, FitOptions(view_version=version))
    spent = time.process_time() - began
    asked = {"validation": sides["validation"], "unseen": sides["unseen"]}
    asked["x1000"] = faster(sides["unseen"])
    found = {}
    for name, one in asked.items():
        said = fitted.predict(one)
        _, cube = metrics.confusions(one.episode, one.y, said, len(schema.classes))
        found[name] = cube.sum(axis=0)
    return Result(model, version, kind, split.held_out, found, spent)


def pooled(results: Sequence[Result]) -> Iterator[Result]:
    """Yield the sum over folds of each kind, model and version."""
    keys = dict.fromkeys((one.kind, one.model, one.version) for one in results)
    for kind, model, version in keys:
        alike = [r for r in results if (r.kind, r.model, r.version) == (kind, model, version)]
        total = {
            name: np.sum([one.confusions[name] for one in alike], axis=0)
            for name in alike[0].confusions
        }
        yield Result(model, version, kind, f"all {len(alike)}", total, 0.0)


def main() -> None:
    """Print a row for each fold, model and version as it is done, then the sums."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("store", type=Path)
    asked.add_argument("--models", default="gbt")
    asked.add_argument("--every", type=int, default=3)
    asked.add_argument("--held-out", default="host,sample")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--jobs", type=int, default=1)
    given = asked.parse_args()
    store = Store.open(given.store)
    schema = store.schema.for_mode("realistic")
    results, episodes = validate_and_read(store)
    usable = [result.identity for result in results if result.usable]
    windows = concatenate(cut_windows(episodes[one.id], schema, OPENING_S) for one in usable)
    del episodes
    hosts = splits.leave_one_host_out(usable, "", "")[:: given.every]
    numbers = range(min(len(hosts), SAMPLES))
    samples = [
        splits.held_out_sample(usable, str(one), str((one + 1) % SAMPLES)) for one in numbers
    ]
    by_kind = {"host": hosts, "sample": samples}
    folds = [(kind, split) for kind in given.held_out.split(",") for split in by_kind[kind]]
    jobs = [
        (model, version, kind, split)
        for kind, split in folds
        for model in given.models.split(",")
        for version in VERSIONS
    ]
    work = partial(fit, windows=windows, schema=schema, seed=given.seed)
    done = []
    with ProcessPoolExecutor(given.jobs) as pool:
        for one in pool.map(work, jobs):
            done.append(one)
            print(one.line(), flush=True)  # noqa: T201
    for one in pooled(done):
        print(one.line())  # noqa: T201


if __name__ == "__main__":
    main()
