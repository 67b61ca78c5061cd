"""`phasewatch train` and `run`: from a store to checkpoints, predictions and scores."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from phasewatch.cli import tables
from phasewatch.cli.console import (
    AsJson,
    BaselineOf,
    Opening,
    StorePath,
    app,
    err,
    out,
    print_json,
    stages,
)
from phasewatch.splits import SPLITTERS
from phasewatch.training.recipes import RECIPES

if TYPE_CHECKING:
    from phasewatch.experiment.pipeline import RunResult
    from phasewatch.features.views import ViewVersion
    from phasewatch.models.base import Epoch
    from phasewatch.training.jobs import EpochListener
    from phasewatch.training.recipes import Recipe


RecipeName = Annotated[
    str,
    typer.Option("--recipe", help=f"Recipe that names the models: one of {', '.join(RECIPES)}."),
]
Models = Annotated[
    str,
    typer.Option(
        "--models", help="Names of models, separated by commas, instead of those of the recipe."
    ),
]
SplitName = Annotated[
    str, typer.Option("--split", help=f"What is held out: one of {', '.join(SPLITTERS)}.")
]
Tested = Annotated[str, typer.Option("--test", help="Host, or number of the sample, to test on.")]
Chosen = Annotated[
    str, typer.Option("--validation", help="Host, or number of the sample, to validate on.")
]
Seed = Annotated[
    int, typer.Option("--seed", help="Random seed; the same seed gives the same weights.", min=0)
]
Seeds = Annotated[
    int,
    typer.Option(
        "--seeds", help="Trainings of each model, which differ in their seed.", min=1, max=20
    ),
]
ViewNumber = Annotated[
    int | None,
    typer.Option(
        "--view-version",
        help="What models see of a window: 3 itself alone, as without this option; "
        "4 also the minute before it, and ratios.",
        min=3,
        max=4,
    ),
]
Balance = Annotated[
    float | None,
    typer.Option(
        "--balance",
        help="How far classes are weighed alike in training: 1 gives each class the same weight, "
        "0 each window; what each model prefers without this option.",
        min=0,
        max=1,
    ),
]
InnerFolds = Annotated[
    int | None,
    typer.Option(
        "--inner-folds",
        help="Trainings that choose how long the last one takes, which then learns from "
        "validation too; 0 stops it by validation; what the recipe says without this option.",
        min=0,
        max=10,
    ),
]
Simulated = Annotated[
    bool,
    typer.Option(
        "--simulated",
        help="Take a store of simulated episodes, for tests of scale; all that comes of it says "
        "so, and its scores say nothing about machines.",
    ),
]
Waived = Annotated[
    list[str] | None,
    typer.Option("--waive", help="Name of a leakage check that may fail; may be repeated."),
]
Jobs = Annotated[
    int, typer.Option("--jobs", help="Most trainings that run at a time.", min=1, max=64)
]
Cluster = Annotated[
    str, typer.Option("--cluster", help="Address (tcp://…) of a Dask cluster to train on.")
]
RunFolder = Annotated[
    Path, typer.Option("--out", help="Folder of the run, new or of an interrupted run.")
]


def _recipe(
    named: tuple[str, str],
    split: tuple[str, str, str],
    opening_s: float,
    seeds: tuple[int, int],
    fitting: tuple[int | None, float | None, int | None],
) -> "Recipe":
    """Return the recipe of a name, with the models, the split and the fitting that are given."""
    from dataclasses import replace

    from phasewatch.training import recipes

    (name, models), (way, test, validation) = named, split
    found = recipes.with_models(recipes.find(name), models)
    found = replace(found, opening_s=opening_s, seed=seeds[0], seeds=seeds[1])
    found = replace(found, split=way, test=test, validation=validation)
    seen: ViewVersion | None = {None: None, 3: 3, 4: 4}[fitting[0]]
    folds = found.inner_folds if fitting[2] is None else fitting[2]
    return replace(found, view_version=seen, balance=fitting[1], inner_folds=folds)


def _on_data(recipe: "Recipe", given: list[str] | None, simulated: bool) -> "Recipe":
    """Return the recipe with the baseline recordings that are given. Raises Refused.

    It takes stores of simulated episodes, or those of recorded ones.
    """
    from dataclasses import replace

    from phasewatch.baseline import Selection

    if given is None:
        return replace(recipe, simulated=simulated)
    Selection.parse(",".join(given))
    return replace(recipe, baseline=",".join(given), simulated=simulated)


@app.command()
def train(
    store: StorePath,
    folder: RunFolder,
    recipe: RecipeName = "all",
    models: Models = "",
    split: SplitName = "held_out_host",
    test: Tested = "",
    validation: Chosen = "",
    opening_s: Opening = 15.0,
    seed: Seed = 0,
    seeds: Seeds = 1,
    view_version: ViewNumber = None,
    baseline: BaselineOf = None,
    balance: Balance = None,
    inner_folds: InnerFolds = None,
    simulated: Simulated = False,
    waive: Waived = None,
    jobs: Jobs = 2,
    cluster: Cluster = "",
    as_json: AsJson = False,
) -> None:
    """Train every model of a recipe in both modes, and print a table of scores.

    Writes checkpoints, predictions and report.json. If it is interrupted at any moment, the same
    command resumes and ends with the same weights.
    """
    named, fitting = (recipe, models), (view_version, balance, inner_folds)
    chosen = _recipe(named, (split, test, validation), opening_s, (seed, seeds), fitting)
    chosen = _on_data(chosen, baseline, simulated)
    done = _train_and_evaluate(chosen, store, folder, (jobs, cluster, waive or []), as_json)
    _show_scores(done, as_json)


@app.command()
def run(
    store: StorePath,
    folder: RunFolder,
    recipe: RecipeName = "quick",
    models: Models = "",
    split: SplitName = "held_out_host",
    test: Tested = "",
    validation: Chosen = "",
    opening_s: Opening = 15.0,
    seed: Seed = 0,
    seeds: Seeds = 1,
    view_version: ViewNumber = None,
    baseline: BaselineOf = None,
    balance: Balance = None,
    inner_folds: InnerFolds = None,
    simulated: Simulated = False,
    waive: Waived = None,
    jobs: Jobs = 2,
    cluster: Cluster = "",
    as_json: AsJson = False,
) -> None:
    """Train like `train`, and write the report as a page and as Markdown too."""
    from phasewatch.reports import page
    from phasewatch.store.local import Store

    named, fitting = (recipe, models), (view_version, balance, inner_folds)
    chosen = _recipe(named, (split, test, validation), opening_s, (seed, seeds), fitting)
    chosen = _on_data(chosen, baseline, simulated)
    done = _train_and_evaluate(chosen, store, folder, (jobs, cluster, waive or []), as_json)
    with stages():
        page.write_report(done.report, done.predictions, done.run, Store.open(store))
    _show_scores(done, as_json)
    if not as_json:
        out.print(f"report: {done.run.page_path.resolve()}", soft_wrap=True)


def _train_and_evaluate(
    chosen: "Recipe", path: Path, folder: Path, how: tuple[int, str, list[str]], as_json: bool
) -> "RunResult":
    """Train and evaluate, with a bar for each stage and each training."""
    from phasewatch.experiment import pipeline
    from phasewatch.store.local import Store
    from phasewatch.training.jobs import Workers

    opened = Store.open(path)
    printer = err.print if as_json else out.print
    with stages() as bars:
        return pipeline.run(
            chosen,
            opened,
            folder,
            lambda line: printer(line, soft_wrap=True, markup=False),
            Workers(*how[:2], _follower(bars)),
            how[2],
        )


def _follower(progress: Progress) -> "EpochListener":
    """Return a listener that shows a bar for each training: epoch, loss, and validation score."""
    bars: dict[str, Any] = {}

    def follow(name: str, epoch: "Epoch") -> None:
        state = f"epoch {epoch.number}/{epoch.of} loss {epoch.loss:.3f} score {epoch.score:+.3f}"
        if name not in bars:
            bars[name] = progress.add_task(name, total=epoch.of, state=state)
        progress.update(bars[name], completed=epoch.number, state=state)

    return follow


def _show_scores(done: "RunResult", as_json: bool) -> None:
    """Print a table of all models, or the report as JSON."""
    from dataclasses import asdict

    if as_json:
        print_json(asdict(done.report))
        return
    tables.scores(done.report, _learned(done))
    tables.comparisons(done.report)


def _learned(done: "RunResult") -> tables.Learned:
    """Return the parameters of each model and mode, and the seconds of its trainings."""
    spent: Counter[tuple[str, str]] = Counter()
    sizes: dict[tuple[str, str], int] = {}
    for fold in done.trained.folds:
        for loaded in fold.checkpoints:
            key = (loaded.model_name, loaded.mode)
            sizes[key] = loaded.model.parameters
            spent[key] += round(fold.run.training_seconds(loaded.name))
    return {key: (f"{sizes[key]:,}", str(spent[key])) for key in sizes}
