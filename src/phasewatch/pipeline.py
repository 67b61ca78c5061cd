"""The whole road as straight code: store, verdicts, split, windows, models, checkpoints, report."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from phasewatch import __version__, answers, checkpoint, dropout, durable, splits, timing, training
from phasewatch.answers import Answered, Answers
from phasewatch.checkpoint import Checkpoint
from phasewatch.decoding import Chain
from phasewatch.episode import Identity
from phasewatch.evaluate import Report, evaluate
from phasewatch.recipes import Recipe
from phasewatch.refusal import Refused
from phasewatch.schema import Mode, Schema
from phasewatch.splits import Split
from phasewatch.store import MANIFEST, Store
from phasewatch.training import Crew, Task
from phasewatch.validate import Judgement, counts, sweep, write_index
from phasewatch.windows import Windows, cut, join, pool

RUN, POSTERIORS = "run.json", "posteriors.parquet"
ALONE = Crew()
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """What training found, beside the files it wrote: checkpoints read back, in the recipe's order.

    `windows` are of each mode and each part of the split.
    """

    recipe: Recipe
    judgements: list[Judgement]
    split: Split
    checkpoints: list[Checkpoint]
    windows: dict[Mode, dict[str, Windows]]

    @property
    def usable(self) -> list[Identity]:
        """All episodes that a split may use."""
        return [judgement.identity for judgement in self.judgements if judgement.usable]


@dataclass(frozen=True)
class Done:
    """What a run found, beside the files it wrote."""

    trained: Trained
    answered: Answered
    report: Report


def run(recipe: Recipe, store: Store, out: Path, say: Say, crew: Crew = ALONE) -> Done:
    """Train every model in every mode, and judge the checkpoints as loaded again.

    Writes what `train` writes, every answer in `posteriors.parquet`, and `report.json` under `out`;
    the report is made from the file, so whoever has it can make it again. Raises Refused.
    """
    trained = train(recipe, store, out, say, crew)
    answers.save(_answered(trained, store.schema), out / POSTERIORS)
    answered = answers.load(out / POSTERIORS)
    report = evaluate(answered)
    durable.write(out / "report.json", json.dumps(asdict(report), indent=1).encode())
    return Done(trained, answered, report)


def _answered(trained: Trained, schema: Schema) -> Answered:
    """Everything that is asked of every checkpoint."""
    windows = trained.windows[trained.recipe.modes[0]]["train"]
    sequences = (windows.y[rows] for rows in timing.each(windows.episode, windows.t_ns))
    return Answered(
        trained.split,
        tuple(trained.usable),
        schema.classes,
        Chain.fit(sequences, len(schema.classes)),
        schema.grid.stride_s,
        trained.recipe.seed,
        tuple(
            answer
            for loaded in trained.checkpoints
            for answer in ask(loaded, trained.windows[loaded.mode])
        ),
    )


def train(recipe: Recipe, store: Store, out: Path, say: Say, crew: Crew = ALONE) -> Trained:
    """Validate, split, cut windows, train every model in every mode, read every checkpoint back.

    Writes the acceptance index, logs and checkpoints under `out`; goes on where an interrupted
    run of the same recipe on the same store stopped. Raises Refused.
    """
    store.refuse_simulated("training")
    judgements = sweep(store)
    told = " · ".join(f"{count} {verdict}" for verdict, count in counts(judgements).items())
    say(f"checked {len(judgements)} episodes: {told}")
    usable = [judgement.identity for judgement in judgements if judgement.usable]
    split = splits.find(recipe.split)(usable, recipe.test, recipe.validation)
    say(f"split   train {len(split.train)} · validation {len(split.validation)} · {told_of(split)}")
    _claim(out, recipe, store, judgements)
    write_index(judgements, out / "validation_v1.parquet")
    windows: dict[Mode, dict[str, Windows]] = {}
    tasks = []
    for mode in recipe.modes:
        schema = store.schema.mode(mode)
        parts = divide(extract(store, [one.id for one in usable], schema, recipe.opening_s), split)
        refuse_unlearnable(parts, schema)
        refuse_dead(parts["train"], schema, mode)
        windows[mode] = parts
        probe = store.read(split.train[0])
        learned = (parts["train"], parts["validation"], probe, out)
        tasks += [Task(recipe, name, mode, schema, split, *learned) for name in recipe.models]
    for path in training.work_all(tasks, crew):
        say(f"saved   {path}  (written, read back, probe replayed)")
    made = [checkpoint.load(task.path) for task in tasks]
    for loaded in made:
        loaded.bind(store.schema, store.root)
    return Trained(recipe, judgements, split, made, windows)


def _claim(out: Path, recipe: Recipe, store: Store, judgements: list[Judgement]) -> None:
    """Write what `out` is of, or raise Refused when it is of another run."""
    digest = hashlib.sha256()
    for judgement in judgements:
        digest.update(judgement.id.encode())
        if (manifest := store.folder(judgement.id) / MANIFEST).exists():
            digest.update(manifest.read_bytes())
    asked = {
        "phasewatch": __version__,
        "recipe": json.loads(json.dumps(asdict(recipe))),
        "episodes": len(judgements),
        "store_sha256": digest.hexdigest(),
    }
    path = out / RUN
    if not path.exists():
        durable.write(path, (json.dumps(asked, indent=1) + "\n").encode())
        return
    try:
        there = json.loads(path.read_bytes())
    except ValueError:
        there = {}
    if there != asked:
        other = [key for key in asked if there.get(key) != asked[key]]
        raise Refused(
            path,
            f"is of another run: its {', '.join(other)} is not the same",
            "the same recipe on the same store, to go on with",
            "Choose another folder, or delete this one.",
            code="run_other",
        )


def told_of(split: Split) -> str:
    """The judged parts in words."""
    return (
        f"judged on {len(split.seen)} episodes like those in training and {len(split.test)} of "
        f"{split.held_out}, never seen"
    )


def extract(store: Store, ids: Sequence[str], schema: Schema, opening_s: float) -> Windows:
    """Windows of some episodes, in the order of `ids`."""
    return join(cut(store.read(id), schema, opening_s) for id in ids)


def divide(whole: Windows, split: Split) -> dict[str, Windows]:
    """The windows of each part of a split, each beside what was known of its machine by then.

    What is learned from knows no opening of what is judged. Raises Refused when a part has no
    episode.
    """
    sides = {
        "train": split.train,
        "validation": split.validation,
        "seen": split.seen,
        "unseen": split.test,
    }
    empty = [part for part, ids in sides.items() if not ids]
    if empty:
        raise Refused(
            f"split {split.recipe}",
            f"has no episode to be {', '.join(empty)}",
            "episodes to train on, to choose by and to judge",
            "Record more, or hold out something else.",
            code="split_empty",
        )
    learned = [*split.train, *split.validation]
    near = {
        "train": split.train,
        "validation": learned,
        "seen": [*learned, *split.seen, *split.test],
        "unseen": [*learned, *split.seen, *split.test],
    }
    parts = {}
    for part, ids in sides.items():
        known = pool(whole.take(np.isin(whole.episode, near[part])))
        parts[part] = known.take(np.isin(known.episode, ids))
    return parts


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


def ask(loaded: Checkpoint, parts: dict[str, Windows]) -> list[Answers]:
    """What a checkpoint says of every part but training, and of the unseen with a part missing."""
    asked = {part: parts[part] for part in ("validation", "seen", "unseen")}
    for part in dropout.parts(loaded.schema):
        asked[f"without {part}"] = dropout.without(parts["unseen"], loaded.schema, part)
    return [
        Answers(
            loaded.model_name,
            loaded.mode,
            part,
            windows,
            loaded.logits(windows.x, windows.opening),
        )
        for part, windows in asked.items()
    ]
