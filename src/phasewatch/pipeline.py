"""The whole road as straight code: store, verdicts, split, windows, models, checkpoints, report."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from phasewatch import checkpoint, durable, scores
from phasewatch.checkpoint import Checkpoint
from phasewatch.evaluate import Answers, Report, evaluate
from phasewatch.model import Data, find
from phasewatch.recipes import Recipe
from phasewatch.refusal import Refused
from phasewatch.schema import Mode, Schema
from phasewatch.splits import Split, held_out_host
from phasewatch.store import Store
from phasewatch.validate import Judgement, counts, sweep, write_index
from phasewatch.views import VIEWS, Scaler
from phasewatch.windows import Windows, cut, join

Say = Callable[[str], None]
Tick = Callable[[], None]


@dataclass(frozen=True)
class Done:
    """What a run found, beside the files it wrote."""

    judgements: list[Judgement]
    answers: list[Answers]
    report: Report


def run(recipe: Recipe, store: Store, out: Path, say: Say, tick: Tick) -> Done:
    """Validate, split, train every model in every mode, judge the checkpoints as loaded again.

    Writes the acceptance index, the checkpoints and `report.json` under `out`. Raises Refused.
    """
    store.refuse_simulated("run")
    judgements = sweep(store)
    write_index(judgements, out / "validation_v1.parquet")
    told = " · ".join(f"{count} {verdict}" for verdict, count in counts(judgements).items())
    say(f"checked {len(judgements)} episodes: {told}")
    usable = [judgement.identity for judgement in judgements if judgement.usable]
    split = held_out_host(usable, recipe.test_host, recipe.validation_host)
    say(
        f"split   train {len(split.train)} · validation {len(split.validation)} · {describe(split)}"
    )
    answers: list[Answers] = []
    for mode in recipe.modes:
        schema = store.schema.mode(mode)
        parts = {part: extract(store, ids, schema) for part, ids in _parts(split).items()}
        refuse_dead(parts["train"], schema, mode)
        for name in recipe.models:
            made = train(recipe, name, mode, schema, split, parts)
            path = checkpoint.save(made, store.read(split.train[0]), out / "checkpoints")
            loaded = checkpoint.load(path)
            loaded.bind(store.schema, store.root)
            say(f"saved   {path}  (written, read back, probe replayed)")
            answers += [ask(loaded, part, parts[part]) for part in ("seen", "unseen")]
            tick()
    report = evaluate(answers, split, usable, store.schema.classes, recipe.seed)
    durable.write(out / "report.json", json.dumps(asdict(report), indent=1).encode())
    return Done(judgements, answers, report)


def describe(split: Split) -> str:
    """The judged parts in words."""
    return (
        f"judged on {len(split.seen)} episodes of seen hosts and {len(split.test)} of "
        f"{split.held_out}, never seen"
    )


def _parts(split: Split) -> dict[str, tuple[str, ...]]:
    return {
        "train": split.train,
        "validation": split.validation,
        "seen": split.seen,
        "unseen": split.test,
    }


def extract(store: Store, ids: tuple[str, ...], schema: Schema) -> Windows:
    """Windows of some episodes, in the order of `ids`."""
    return join(cut(store.read(id), schema) for id in ids)


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


def train(
    recipe: Recipe, name: str, mode: Mode, schema: Schema, split: Split, parts: dict[str, Windows]
) -> Checkpoint:
    """One model in one mode; only training windows reach the scaler and the fit."""
    kind = find(name)
    view = VIEWS[kind.view]
    raw = view(parts["train"].x)
    scaler = Scaler.fit(raw)
    validation = Data(scaler.apply(view(parts["validation"].x)), parts["validation"].y)
    model = kind(len(schema.classes), recipe.seed)
    model.fit(Data(scaler.apply(raw), parts["train"].y), validation)
    guess = model.logits(validation.z).argmax(axis=1)
    _, cube = scores.cube(parts["validation"].episode, validation.y, guess, len(schema.classes))
    return Checkpoint(
        name=f"{name}-{mode}",
        model_name=name,
        mode=mode,
        schema=schema,
        scaler=scaler,
        model=model,
        recipe=asdict(recipe),
        split=asdict(split),
        scores={"validation_macro_f1": float(scores.macro_f1(cube.sum(axis=0)))},
    )


def ask(loaded: Checkpoint, part: str, windows: Windows) -> Answers:
    """What a checkpoint says of windows."""
    guess = loaded.logits(windows.x).argmax(axis=1)
    return Answers(loaded.model_name, loaded.mode, part, windows, guess)
