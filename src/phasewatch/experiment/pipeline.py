"""The whole pipeline: validate, split, cut windows, check for leakage, train, predict, evaluate."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from phasewatch import __version__, splits
from phasewatch.artifacts import checkpoint
from phasewatch.baseline import Baseline, Selection, of_episodes
from phasewatch.episode import Episode, Identity
from phasewatch.errors import Refused, counted
from phasewatch.evaluation.evaluate import Report, evaluate
from phasewatch.evaluation.leakage import Check, FoldData, check_leakage
from phasewatch.evaluation.predictions import LevelSource, PredictionSet
from phasewatch.experiment.inference import Subsets, TrainedFold, predict_all
from phasewatch.experiment.run import Run
from phasewatch.io import atomic
from phasewatch.schema import Mode, Schema
from phasewatch.splits import Split, divide_windows
from phasewatch.store.format import MANIFEST
from phasewatch.store.local import Store, refuse_inside
from phasewatch.training import jobs
from phasewatch.training.jobs import Task, Workers
from phasewatch.training.recipes import Recipe
from phasewatch.validation import index
from phasewatch.validation.sweep import validate_and_read
from phasewatch.validation.verdict import ValidationResult, count_verdicts
from phasewatch.windowing import Windows, concatenate, cut_windows

ONE_WORKER = Workers()
Log = Callable[[str], None]
"""Takes a line on what a run is doing, for a person."""


@dataclass(frozen=True)
class TrainingResult:
    """What `train` returns, beside the files it writes: the sweep's results, and every fold.

    `baseline` is what recordings beside openings say of the levels of machines.
    """

    run: Run
    recipe: Recipe
    results: list[ValidationResult]
    folds: list[TrainedFold]
    baseline: Baseline

    @property
    def usable(self) -> list[Identity]:
        """Return the identity of every episode that a split may use: baseline is none of them."""
        judged = self.baseline.episodes
        return [one.identity for one in self.results if one.usable and one.id in judged]


@dataclass(frozen=True)
class RunResult:
    """What `run` returns, beside the files it writes."""

    run: Run
    trained: TrainingResult
    predictions: PredictionSet
    report: Report


def run(
    recipe: Recipe,
    store: Store,
    out: Path,
    log: Log,
    workers: Workers = ONE_WORKER,
    waived: Sequence[str] = (),
) -> RunResult:
    """Train every model in every mode, and evaluate the checkpoints as loaded again.

    Writes what `train` writes, every prediction, and the report under `out`. The report is computed
    from the file of predictions, so it can be computed again from that file. Raises Refused.
    """
    trained = train(recipe, store, out, log, workers, waived)
    written = trained.run
    found = predict_all(trained.folds, trained.usable, store.schema, recipe.seed)
    levels = _levels(recipe, trained.baseline)
    written.write_predictions(replace(found, levels=levels, simulated=recipe.simulated))
    report = evaluate(written.predictions)
    written.write_report(report)
    return RunResult(written, trained, written.predictions, report)


def train(
    recipe: Recipe,
    store: Store,
    out: Path,
    log: Log,
    workers: Workers = ONE_WORKER,
    waived: Sequence[str] = (),
) -> TrainingResult:
    """Validate, split, cut windows, check for leakage, train every model, load every checkpoint.

    Every episode is read once. Writes the acceptance index, logs and checkpoints under `out`, in a
    folder a fold where the split has several. Goes on where an interrupted run of the same recipe
    on the same store stopped. `waived` are leakage rules that may fail. Raises Refused.
    """
    store.refuse_simulated("training", recipe.simulated)
    _refuse_names(recipe, store)
    refuse_inside(out)
    atomic.prepare_folder(out)
    results, episodes = validate_and_read(store)
    verdicts = " · ".join(f"{many} {verdict}" for verdict, many in count_verdicts(results).items())
    log(f"checked {counted(len(results), 'episode')}: {verdicts}")
    baseline, judged = of_episodes(episodes, store.schema, Selection.parse(recipe.baseline))
    _log_baseline(baseline, log)
    usable = [result.identity for result in results if result.id in set(judged)]
    folds = splits.find_splitter(recipe.split)(usable, recipe.test, recipe.validation)
    written = Run.create(out, _record(recipe, store, results))
    index.write(results, written.index_path)
    windows = windows_by_mode(recipe, store.schema, [episodes[one.id] for one in usable])
    _log_ambiguous(windows, log)
    probes = [episodes[split.train[0]] for split in folds]
    # Decoded episodes are as large as the windows, and training needs the memory.
    del episodes
    places = [written.fold(split.held_out) if len(folds) > 1 else written for split in folds]
    trained = [
        _train_fold(
            _FoldInput(recipe, store, split, place, probe),
            {one.id: one for one in usable},
            {
                mode: divide_windows(
                    cut, split, baseline.channels(store.schema, store.schema.for_mode(mode))
                )
                for mode, cut in windows.items()
            },
            (workers, waived, log),
        )
        for split, place, probe in zip(folds, places, probes, strict=True)
    ]
    return TrainingResult(written, recipe, results, trained, baseline)


def _log_baseline(baseline: Baseline, log: Log) -> None:
    """Say which recordings teach levels and are part of no split, where there are any."""
    if hosts := baseline.hosts:
        many = counted(sum(hosts.values()), "recording")
        log(f"baseline {many} of {counted(len(hosts), 'host')}: in no part of the split")
    if baseline.earlier:
        log(f"baseline {counted(len(baseline.earlier), 'benign episode')}, for later ones")


def _levels(recipe: Recipe, baseline: Baseline) -> LevelSource | None:
    """Return what the levels of a run are taken from; None where that is openings alone."""
    if not baseline:
        return None
    return LevelSource(recipe.baseline, baseline.hosts, len(baseline.earlier))


def _log_ambiguous(windows: Mapping[Mode, Windows], log: Log) -> None:
    """Say how many windows are left out of training and scored apart, where there are any."""
    marked = max((int(one.ambiguous.sum()) for one in windows.values()), default=0)
    if marked:
        log(f"ambiguous: {counted(marked, 'window')} left out of training, and scored apart")


def windows_by_mode(
    recipe: Recipe, schema: Schema, episodes: Sequence[Episode]
) -> dict[Mode, Windows]:
    """Return the windows of episodes in every mode of a recipe that the schema has.

    They are cut once, in the mode with the most channels; other modes are a slice of those, equal
    to the bit to windows that are cut in that mode. Raises Refused.
    """
    modes = [mode for mode in recipe.modes if mode in schema.modes]
    if not modes:
        return {}
    widest = schema.for_mode(max(modes, key=lambda mode: len(schema.for_mode(mode).channels)))
    widest_windows = concatenate(
        cut_windows(episode, widest, recipe.opening_s) for episode in episodes
    )
    return {mode: widest_windows.channels(widest, schema.for_mode(mode)) for mode in modes}


@dataclass(frozen=True)
class _FoldInput:
    """What the trainings of one fold share; the probe of every checkpoint is from `episode`."""

    recipe: Recipe
    store: Store
    split: Split
    run: Run
    episode: Episode

    def tasks(self, windows: Mapping[Mode, Subsets]) -> Iterator[Task]:
        """Yield every training. Raises Refused for windows that a model cannot be fitted on."""
        for mode, subsets in windows.items():
            schema = self.store.schema.for_mode(mode)
            refuse_unlearnable(subsets, schema)
            refuse_dead(subsets["train"], schema, mode)
            sides = (subsets["train"], subsets["validation"])
            shared = (mode, schema, self.split, *sides, self.episode, self.run.training_folders)
            for repeat in range(self.recipe.seeds):
                for name in self.recipe.models:
                    yield Task(self.recipe, name, *shared, repeat)


def _train_fold(
    fold: _FoldInput,
    episodes: Mapping[str, Identity],
    windows: dict[Mode, dict[str, Windows]],
    how: tuple[Workers, Sequence[str], Log],
) -> TrainedFold:
    """Check one split for leakage, train on it, and load every checkpoint. Raises Refused."""
    workers, waived, log = how
    log(describe_split(fold.split))
    tasks = list(fold.tasks(windows))
    data = _fold_data(fold.split, episodes, fold.store.schema, windows)
    checks = check_leakage(data, waived)
    log(f"leakage {len(checks)} rules checked: {_describe_checks(checks)}")
    for path in jobs.run_tasks(tasks, workers):
        log(f"saved   {path}  (written, read back, probe replayed)")
    loaded = [checkpoint.load(task.path) for task in tasks]
    for one in loaded:
        one.bind(fold.store.schema, fold.store.root)
    inner = {
        task.name: [(checkpoint.load(one.path), one.sides[1]) for one in task.inner_tasks]
        for task in tasks
        if task.inner_tasks
    }
    normalizers = {
        one.name: (one.normalizer, _learned_from(windows[one.mode], one.name in inner))
        for one in loaded
    }
    checks += check_leakage(replace(data, normalizers=normalizers), waived)
    return TrainedFold(fold.split, loaded, windows, checks, fold.run, inner)


def _learned_from(subsets: Subsets, validation: bool) -> Windows:
    """Return the windows that a checkpoint learned from: of training, and perhaps validation."""
    train = subsets["train"]
    return concatenate([train, subsets["validation"]]) if validation else train


def _fold_data(
    split: Split,
    episodes: Mapping[str, Identity],
    schema: Schema,
    windows: Mapping[Mode, Subsets],
) -> FoldData:
    """Return the data of the leakage checks: the windows of the mode with the most channels."""
    mode = max(windows, key=lambda name: len(schema.for_mode(name).channels))
    return FoldData(split, episodes, schema.for_mode(mode), windows[mode])


def _describe_checks(checks: Sequence[Check]) -> str:
    waived = [check.rule for check in checks if not check.passed]
    return f"waived {', '.join(waived)}" if waived else "no leak found"


def _record(recipe: Recipe, store: Store, results: list[ValidationResult]) -> dict[str, Any]:
    """Return the content of `run.json`: release, recipe, and the digest of the store."""
    digest = hashlib.sha256()
    for result in results:
        digest.update(result.id.encode())
        if (manifest := store.folder(result.id) / MANIFEST).exists():
            digest.update(manifest.read_bytes())
    return {
        "phasewatch": __version__,
        "recipe": recipe.dump(),
        "episodes": len(results),
        "store_sha256": digest.hexdigest(),
    }


def describe_split(split: Split) -> str:
    """Return how many episodes stand on each side of a split, as a line for a person."""
    return (
        f"split   train {len(split.train)} · validation {len(split.validation)} · evaluated on "
        f"{counted(len(split.seen), 'episode')} like those in training and {len(split.test)} of "
        f"{split.held_out}, never seen"
    )


def _refuse_names(recipe: Recipe, store: Store) -> None:
    """Raise Refused when a held-out host has no episode, before the long validation of the store.

    Manifests are trusted here, so a host is refused only when no episode claims it.
    """
    splits.find_splitter(recipe.split)
    if recipe.split != "held_out_host":
        return
    hosts = set()
    for id in store.ids():
        with contextlib.suppress(Refused, OSError):
            hosts.add(store.manifest(id).host)
    for role, host in (("test", recipe.test), ("validation", recipe.validation)):
        if host not in hosts:
            raise Refused(
                f"--{role}",
                f"{host!r} is no host of {store.root}" if host else "names no host",
                f"one of {', '.join(sorted(hosts)) or 'its hosts, but it has no episode'}",
                f"Name one with --{role}.",
                code="host_unknown",
            )


def refuse_unlearnable(parts: Subsets, schema: Schema) -> None:
    """Raise Refused when a part has no window, or has a phase that training lacks."""
    _refuse_empty_parts(parts, schema)
    known = set(parts["train"].clear.y.tolist())
    for part, windows in parts.items():
        absent = sorted(set(windows.clear.y.tolist()) - known)
        if absent:
            raise Refused(
                f"{part} windows",
                f"hold {', '.join(schema.classes[label] for label in absent)}",
                "only phases that training windows hold",
                "Record that phase more often, or hold out something else.",
                code="phase_untrained",
            )


def _refuse_empty_parts(parts: Subsets, schema: Schema) -> None:
    for part in ("train", "validation", "seen", "unseen"):
        if part in parts and not len(parts[part].clear):
            raise Refused(
                f"{part} windows",
                "there are none, or all of them are ambiguous"
                if len(parts[part])
                else "there are none",
                f"episodes longer than the opening and {schema.grid.window_s:g} s",
                "Record longer episodes, or shorten the opening with --opening.",
                code="split_empty",
            )


def refuse_dead(windows: Windows, schema: Schema, mode: Mode) -> None:
    """Raise Refused when a channel was never measured in the training windows."""
    alive = np.isfinite(windows.x).any(axis=(0, 2))
    dead = [schema.names[row] for row in np.flatnonzero(~alive)]
    if dead:
        raise Refused(
            f"training windows, {mode} mode",
            f"never measured: {', '.join(dead)}",
            "every channel of the schema in at least one window",
            "Look at `phasewatch validate` for the clock and coverage of that source.",
            code="channel_dead",
        )
