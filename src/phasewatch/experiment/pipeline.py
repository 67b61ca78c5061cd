"""The whole road as straight code: store, verdicts, split, windows, models, checkpoints, report."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from phasewatch import __version__, splits
from phasewatch.artifacts import checkpoint
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.episode import Identity
from phasewatch.errors import Refused, differences
from phasewatch.evaluation import baselines, predictions, timing
from phasewatch.evaluation.evaluate import Report, evaluate
from phasewatch.evaluation.leakage import Check, Evidence, audit
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.evaluation.smoothing import MarkovChain
from phasewatch.io import atomic
from phasewatch.schema import Mode, Schema
from phasewatch.splits import Split, divide
from phasewatch.store.format import MANIFEST
from phasewatch.store.local import Store, refuse_inside
from phasewatch.training import augment, jobs
from phasewatch.training.jobs import Task, Workers
from phasewatch.training.recipes import Recipe
from phasewatch.validation import index
from phasewatch.validation.sweep import validate_store
from phasewatch.validation.verdict import ValidationResult, counts
from phasewatch.windowing import Windows, extract, join

RUN, FOLDS, POSTERIORS = "run.json", "folds", "posteriors.parquet"
ALONE = Workers()
Say = Callable[[str], None]


@dataclass(frozen=True)
class Fold:
    """One split: its checkpoints read back, in the recipe's order, and the windows of each mode.

    The windows are by the part of the split; `folder` has the checkpoints and logs.
    """

    split: Split
    checkpoints: list[Checkpoint]
    windows: dict[Mode, dict[str, Windows]]
    audit: list[Check]
    folder: Path


@dataclass(frozen=True)
class Trained:
    """What training found, beside the files it wrote."""

    recipe: Recipe
    results: list[ValidationResult]
    folds: list[Fold]

    @property
    def usable(self) -> list[Identity]:
        """All episodes that a split may use."""
        return [result.identity for result in self.results if result.usable]


@dataclass(frozen=True)
class Done:
    """What a run found, beside the files it wrote."""

    trained: Trained
    answered: PredictionSet
    report: Report


def run(
    recipe: Recipe,
    store: Store,
    out: Path,
    say: Say,
    workers: Workers = ALONE,
    waived: Sequence[str] = (),
) -> Done:
    """Train every model in every mode, and judge the checkpoints as loaded again.

    Writes what `train` writes, every answer in `posteriors.parquet`, and `report.json` under `out`;
    the report is made from the file, so whoever has it can make it again. Raises Refused.
    """
    trained = train(recipe, store, out, say, workers, waived)
    predictions.save(_answered(trained, store.schema), out / POSTERIORS)
    answered = predictions.load(out / POSTERIORS)
    report = evaluate(answered)
    atomic.write(out / "report.json", json.dumps(asdict(report), indent=1).encode())
    return Done(trained, answered, report)


def _answered(trained: Trained, schema: Schema) -> PredictionSet:
    """Everything that is asked of every checkpoint, and of those who need none."""
    return PredictionSet(
        tuple(predictions.Fold(fold.split, _chain(fold, schema)) for fold in trained.folds),
        tuple(trained.usable),
        schema.classes,
        tuple(baselines.BASELINES),
        schema.grid.stride_s,
        trained.recipe.seed,
        tuple(check for fold in trained.folds for check in fold.audit),
        tuple(answer for fold in trained.folds for answer in _asked(fold, schema)),
        schema.untested,
    )


def _chain(fold: Fold, schema: Schema) -> MarkovChain:
    windows = next(iter(fold.windows.values()))["train"]
    sequences = (windows.y[rows] for rows in timing.each(windows.episode, windows.t_ns))
    return MarkovChain.fit(sequences, len(schema.classes))


def _asked(fold: Fold, schema: Schema) -> Iterator[Predictions]:
    held_out = fold.split.held_out
    for loaded in fold.checkpoints:
        yield from ask(loaded, held_out, fold.windows[loaded.mode])
    first = next(iter(fold.windows))
    for mode, parts in fold.windows.items():
        for name in baselines.BASELINES:
            if mode == first or name not in baselines.BLIND:
                yield from guess(name, held_out, mode, parts, len(schema.classes))


def train(
    recipe: Recipe,
    store: Store,
    out: Path,
    say: Say,
    workers: Workers = ALONE,
    waived: Sequence[str] = (),
) -> Trained:
    """Validate, split, cut windows, look for leaks, train every model, read every checkpoint back.

    Writes the acceptance index, logs and checkpoints under `out`, in a folder a fold where the
    split has several; goes on where an interrupted run of the same recipe on the same store
    stopped. `waived` are rules of the audit that may fail. Raises Refused.
    """
    store.refuse_simulated("training")
    _refuse_names(recipe, store)
    refuse_inside(out)
    atomic.ready(out)
    results = validate_store(store)
    told = " · ".join(f"{count} {verdict}" for verdict, count in counts(results).items())
    say(f"checked {len(results)} episodes: {told}")
    usable = [result.identity for result in results if result.usable]
    folds = splits.find(recipe.split)(usable, recipe.test, recipe.validation)
    _claim(out, recipe, store, results)
    index.write(results, out / "validation_v1.parquet")
    ids = [one.id for one in usable]
    whole = {
        mode: extract(store, ids, store.schema.mode(mode), recipe.opening_s)
        for mode in recipe.modes
        if mode in store.schema.modes
    }
    learned = []
    for split in folds:
        say(told_of(split))
        place = out / FOLDS / split.held_out if len(folds) > 1 else out
        windows = {mode: divide(own, split) for mode, own in whole.items()}
        tasks = list(_tasks(recipe, store, split, windows, place))
        evidence = _evidence(split, usable, store.schema, windows)
        checks = audit(evidence, waived)
        say(f"audit   {len(checks)} rules looked for leaks: {_leaks(checks)}")
        for path in jobs.work_all(tasks, workers):
            say(f"saved   {path}  (written, read back, probe replayed)")
        made = [checkpoint.load(task.path) for task in tasks]
        for loaded in made:
            loaded.bind(store.schema, store.root)
        normalizers = {one.name: (one.normalizer, windows[one.mode]["train"]) for one in made}
        checks += audit(replace(evidence, normalizers=normalizers), waived)
        learned.append(Fold(split, made, windows, checks, place))
    return Trained(recipe, results, learned)


def _evidence(
    split: Split,
    usable: Sequence[Identity],
    schema: Schema,
    windows: dict[Mode, dict[str, Windows]],
) -> Evidence:
    """What the audit looks at: the mode that sees most."""
    mode = max(windows, key=lambda own: len(schema.mode(own).channels))
    return Evidence(split, {one.id: one for one in usable}, schema.mode(mode), windows[mode])


def _leaks(checks: Sequence[Check]) -> str:
    waived = [check.rule for check in checks if not check.passed]
    return f"waived {', '.join(waived)}" if waived else "none found"


def _tasks(
    recipe: Recipe,
    store: Store,
    split: Split,
    windows: dict[Mode, dict[str, Windows]],
    place: Path,
) -> Iterator[Task]:
    probe = store.read(split.train[0])
    for mode, parts in windows.items():
        schema = store.schema.mode(mode)
        refuse_unlearnable(parts, schema)
        refuse_dead(parts["train"], schema, mode)
        own = (mode, schema, split, parts["train"], parts["validation"], probe, place)
        for again in range(recipe.seeds):
            yield from (Task(recipe, name, *own, again) for name in recipe.models)


def _refuse_names(recipe: Recipe, store: Store) -> None:
    """Before the store is swept, which is long: raise Refused when what is held out is not there.

    Manifests are believed here, so that a host is refused only when no episode claims it.
    """
    splits.find(recipe.split)
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


def _claim(out: Path, recipe: Recipe, store: Store, results: list[ValidationResult]) -> None:
    """Write what `out` is of, or raise Refused when it is of another run."""
    digest = hashlib.sha256()
    for result in results:
        digest.update(result.id.encode())
        if (manifest := store.folder(result.id) / MANIFEST).exists():
            digest.update(manifest.read_bytes())
    asked = {
        "phasewatch": __version__,
        "recipe": json.loads(json.dumps(asdict(recipe))),
        "episodes": len(results),
        "store_sha256": digest.hexdigest(),
    }
    path = out / RUN
    if not path.exists():
        atomic.write(path, (json.dumps(asked, indent=1) + "\n").encode())
        return
    try:
        there = json.loads(path.read_bytes())
    except ValueError:
        there = None
    if there != asked:
        told = differences(there, asked) if isinstance(there, dict) else "it cannot be read"
        raise Refused(
            path,
            f"is of another run: {told}",
            "the same recipe on the same store, to go on with",
            "Choose another folder, or delete this one.",
            code="run_other",
        )


def told_of(split: Split) -> str:
    """The sides in words."""
    return (
        f"split   train {len(split.train)} · validation {len(split.validation)} · judged on "
        f"{len(split.seen)} episodes like those in training and {len(split.test)} of "
        f"{split.held_out}, never seen"
    )


def refuse_unlearnable(parts: dict[str, Windows], schema: Schema) -> None:
    """Raise Refused when a part has no window, or a phase is asked about that training lacks."""
    for part in ("train", "validation", "unseen"):
        if not len(parts[part]):
            raise Refused(
                f"{part} windows",
                "there are none",
                f"episodes longer than the opening and {schema.grid.window_s:g} s",
                "Record longer episodes, or shorten the opening with --opening.",
                code="split_empty",
            )
    known = set(parts["train"].y.tolist())
    for part, windows in parts.items():
        absent = sorted(set(windows.y.tolist()) - known)
        if absent:
            raise Refused(
                f"{part} windows",
                f"hold {', '.join(schema.classes[label] for label in absent)}",
                "only phases that training windows hold",
                "Record that phase more often, or hold out something else.",
                code="phase_untrained",
            )


def refuse_dead(windows: Windows, schema: Schema, mode: Mode) -> None:
    """Raise Refused when a channel was never measured in training: it would mean nothing."""
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


def ask(loaded: Checkpoint, held_out: str, parts: dict[str, Windows]) -> Iterator[Predictions]:
    """What a checkpoint says of every part but training, and of the unseen with a part missing.

    One from another seed is asked about the unseen alone.
    """

    def answer(part: str, windows: Windows) -> Predictions:
        logits = loaded.logits(windows.x, windows.opening)
        return Predictions(held_out, loaded.model_name, loaded.mode, part, windows, logits)

    if again := jobs.again(loaded.name):
        yield answer(f"again {again}", parts["unseen"])
        return
    for part in predictions.NEEDED:
        yield answer(part, parts[part])
    for part in augment.parts(loaded.schema):
        lacking = augment.without(parts["unseen"], loaded.schema, part)
        yield answer(f"without {part}", lacking)


def guess(
    name: str, held_out: str, mode: Mode, parts: dict[str, Windows], classes: int
) -> Iterator[Predictions]:
    """What a baseline says of the same windows; it is either sure or silent."""
    asked = [parts[part] for part in predictions.NEEDED]
    calls = baselines.BASELINES[name](parts["train"], parts["validation"], join(asked), classes)
    ends = np.cumsum([len(windows) for windows in asked])[:-1]
    for part, windows, own in zip(predictions.NEEDED, asked, np.split(calls, ends), strict=True):
        yield Predictions(held_out, name, mode, part, windows, np.eye(classes)[own])
