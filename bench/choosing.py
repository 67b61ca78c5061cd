"""What a choice in training is worth: the same windows, folds and seed for every variant.

    python bench/choosing.py corpus --models gbt --variants plain,balance=0.85,inner=1

trains each model in each variant on the folds of `k_fold_host` and `k_fold_sample`, in realistic
mode, and prints macro F1 on validation and on what is held out, of all folds so far in brackets,
the F1 of command and control there, and the seconds of processor that the trainings took. Words of
a variant are joined by `+`: `plain`, `view=4`, `balance=0.85`, `inner=1`. A row of a variant with
inner folds has the validation score of the model that did not learn from validation. Several
stores are read as one.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch import metrics, splits
from phasewatch.episode import Identity
from phasewatch.schema import Schema
from phasewatch.splits import Split, divide_windows
from phasewatch.store.local import Store
from phasewatch.training import inner_folds
from phasewatch.training.fitting import DEFAULT_OPTIONS, FitOptions, fit_model, refit_model
from phasewatch.validation.sweep import validate_and_read
from phasewatch.windowing import Windows, concatenate, cut_windows

OPENING_S, SEED = 15.0, 0
Confusion = NDArray[np.int64]


def read(paths: Sequence[Path]) -> tuple[list[Identity], Windows, Schema]:
    """Return the usable episodes of all stores, their windows, and the schema of the first."""
    usable, parts, schema = [], [], None
    for path in paths:
        store = Store.open(path)
        schema = schema or store.schema.for_mode("realistic")
        results, episodes = validate_and_read(store)
        chosen = [result.identity for result in results if result.usable]
        parts += [cut_windows(episodes[one.id], schema, OPENING_S) for one in chosen]
        usable += chosen
    assert schema is not None
    return usable, concatenate(parts), schema


def options(variant: str) -> tuple[FitOptions, int]:
    """Return how a variant is fitted, and its number of inner folds."""
    found, inner = DEFAULT_OPTIONS, 0
    for name, _, value in (word.partition("=") for word in variant.split("+")):
        if name == "view":
            found = replace(found, view_version=3 if value == "3" else 4)
        elif name == "balance":
            found = replace(found, balance=float(value))
        elif name == "inner":
            inner = int(value)
        elif name != "plain":
            raise SystemExit(f"{name!r} is no variant: plain, view=4, balance=0.85 or inner=1")
    return found, inner


def fit(
    model: str, variant: str, split: Split, sides: Mapping[str, Windows], schema: Schema
) -> tuple[dict[str, Confusion], float]:
    """Return confusions on validation and on the unseen part, and the processor's seconds."""
    chosen, inner = options(variant)
    shared, parts = (model, schema, SEED), (sides["train"], sides["validation"])
    began = time.process_time()
    last = first = fit_model(*shared, parts, chosen)
    if inner:
        choices = [first.model.choices]
        for number in range(1, inner):
            own = inner_folds.sides(*parts, split.recipe, number, inner)
            choices.append(fit_model(*shared, own, chosen).model.choices)
        mean = inner_folds.mean_choices(choices)
        last = refit_model(*shared, concatenate(parts), mean, chosen)
    spent = time.process_time() - began
    found = {}
    for part, fitted in (("validation", first), ("unseen", last)):
        windows = sides[part].clear
        predicted = fitted.predict(windows)
        _, cube = metrics.confusions(windows.episode, windows.y, predicted, len(schema.classes))
        found[part] = cube.sum(axis=0)
    return found, spent


def folds(usable: Sequence[Identity], names: str, every: int) -> Iterator[tuple[str, Split]]:
    """Yield every so many folds of each split, with its name."""
    for name in names.split(","):
        for split in splits.find_splitter(name)(usable, "", "")[::every]:
            yield name, split


def f1(confusion: Confusion, place: int) -> float:
    """Return the F1 of one class."""
    named = confusion[place].sum() + confusion[:, place].sum()
    return float(2 * confusion[place, place] / named) if named else float("nan")


def main() -> None:
    """Print a row for each fold, model and variant as it is done."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("stores", type=Path, nargs="+")
    asked.add_argument("--models", default="gbt")
    asked.add_argument("--variants", default="plain,balance=0.85,inner=1")
    asked.add_argument("--splits", default="k_fold_host,k_fold_sample")
    asked.add_argument("--every", type=int, default=1, help="every so many folds only")
    given = asked.parse_args()
    usable, windows, schema = read(given.stores)
    command = schema.classes.index("command_and_control")
    total: dict[tuple[Any, ...], Confusion] = defaultdict(lambda: np.zeros((), dtype=np.int64))
    for name, split in folds(usable, given.splits, given.every):
        sides = divide_windows(windows, split)
        for model in given.models.split(","):
            for variant in given.variants.split(","):
                found, spent = fit(model, variant, split, sides, schema)
                row = [f"{name:13s} {split.held_out:12s} {model} {variant}:"]
                for part, confusion in found.items():
                    key = (name, model, variant, part)
                    total[key] = total[key] + confusion
                    now, so_far = (float(metrics.macro_f1(one)) for one in (confusion, total[key]))
                    row.append(f"{part} {now:.3f} ({so_far:.3f})")
                pooled = f1(total[name, model, variant, "unseen"], command)
                print(*row, f"command and control ({pooled:.3f})", f"{spent:.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
