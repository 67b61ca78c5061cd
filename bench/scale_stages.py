"""The stages of `bench/scale.py`: what each prepares, what is measured, and its bound on memory.

A stage runs in a process of its own. It first reads what earlier stages left in the folder, which
is not measured but stays in memory, and returns the work that is. `growth_kib` is its bound: how
many KiB each further episode may add to its peak. Windows are those of the mode with the most
channels, so that each figure is the larger one.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from unittest import mock

import phasewatch.cli.main  # noqa: F401 (every command is then known to `app`)
from phasewatch.artifacts import checkpoint
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.cli.console import SOME_ERRORED, SOME_REJECTED, app
from phasewatch.evaluation import baselines
from phasewatch.evaluation.evaluate import evaluate
from phasewatch.evaluation.leakage import BEFORE_TRAINING, FoldData, check_leakage
from phasewatch.experiment.inference import (
    TrainedFold,
    any_ambiguous,
    predict_baseline,
    predict_each,
    to_predict,
)
from phasewatch.experiment.run import Run
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.views import PREFERRED
from phasewatch.grids.cache import GridCache, Swept
from phasewatch.schema import Mode
from phasewatch.sim import stream
from phasewatch.splits import Split, divide_windows, held_out_sample
from phasewatch.store.local import Store
from phasewatch.training import augment, recipes
from phasewatch.training.fitting import FittedModel, refit_model
from phasewatch.validation import index
from phasewatch.windowing import WindowSet

MODE: Mode = "oracle"
ROUNDS = 10
RECIPE = replace(recipes.find("quick"), split="held_out_sample", simulated=True)

Work = Callable[[], object]


@dataclass(frozen=True)
class Place:
    """The folder of one size: the store of so many simulated episodes, and all that comes of it."""

    folder: Path
    episodes: int
    faults: float = 0.1

    @property
    def root(self) -> Path:
        """The folder of the store."""
        return self.folder / "store"

    @property
    def index(self) -> Path:
        """The acceptance index."""
        return self.folder / "index.parquet"

    @property
    def store(self) -> Store:
        """The store, opened."""
        return Store.open(self.root)

    @property
    def run(self) -> Run:
        """The folder of the run."""
        return Run(self.folder / "run")

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that the stage `gbt` leaves."""
        return self.run.checkpoint_path("gbt", MODE)

    def split(self) -> Split:
        """The split of the usable episodes by sample."""
        usable = [one.identity for one in index.read(self.index) if one.usable]
        return held_out_sample(usable, "", "")

    def sweep(self) -> Swept:
        """Validate the store and make the grids that are not there, as training does."""
        schema = self.store.schema.for_mode(MODE)
        return GridCache(self.run.grids_path, schema, RECIPE.opening_s).sweep(self.store)

    def windows(self) -> WindowSet:
        """Open the windows of `MODE`, which the stage `extract` leaves."""
        if not self.run.grids_path.exists():
            raise FileNotFoundError(self.run.grids_path)
        swept = self.sweep()
        usable = [one.id for one in swept.results if one.usable]
        return swept.of(usable).windows(self.store.schema.for_mode(MODE))

    def subsets(self) -> dict[str, WindowSet]:
        """Read the windows of each side of the split."""
        return divide_windows(self.windows(), self.split())


@dataclass(frozen=True)
class Stage:
    """One stage: what it does, and how many KiB an episode its peak may grow by."""

    prepare: Callable[[Place], Work]
    growth_kib: float


def simulate(place: Place) -> Work:
    """Write the store, and the truth about it."""
    words = ("simulate", "--out", place.root, "--episodes", place.episodes, "--seed", 1)
    return lambda: command(*words, "--faults", place.faults, "--jobs", 1)


def validate(place: Place) -> Work:
    """Validate every episode. Verdicts other than the truth asks for end the stage.

    Of the episodes without a fault a hundredth may be judged otherwise: some are drawn at a limit.
    """

    def work() -> None:
        command("validate", place.root, "--index", place.index, "--jobs", 1, "--summary")
        hits = stream.score_validation(index.read(place.index), stream.read_truth(place.root))
        wrong = hits.planted - hits.correct_verdicts
        if hits.missed or wrong or hits.false_alarms > hits.clean / 100:
            raise SystemExit(f"verdicts are not those of the truth: {hits}")

    return work


def extract(place: Place) -> Work:
    """Validate, and make the grids of both modes, as training does."""
    return place.sweep


def divide(place: Place) -> Work:
    """Divide the windows by the split, and pool the openings of each host."""
    windows, split = place.windows(), place.split()
    return lambda: divide_windows(windows, split)


def audit(place: Place) -> Work:
    """Check the fold for leakage, by every rule that is checked before training."""
    usable = {one.id: one.identity for one in index.read(place.index) if one.usable}
    schema = place.store.schema.for_mode(MODE)
    data = FoldData(place.split(), usable, schema, place.subsets())
    return lambda: check_leakage(data, tuple(BEFORE_TRAINING))


def baseline(place: Place) -> Work:
    """Predict by every baseline."""
    subsets, classes = place.subsets(), len(place.store.schema.classes)
    return lambda: [
        list(predict_baseline(name, "scale", MODE, subsets, classes))
        for name in baselines.BASELINES
    ]


def views(place: Place) -> Work:
    """Fit the normalizer of boosted trees, and apply it to the augmented training windows."""
    train, schema = place.subsets()["train"].clear, place.store.schema.for_mode(MODE)

    def work() -> object:
        lens = Normalizer.fit("summary", train, PREFERRED["summary"], schema)
        return sum(len(z) for z in lens.blocks(augment.drop(train, schema, 0)))

    return work


def gbt(place: Place) -> Work:
    """Fit boosted trees for `ROUNDS` rounds, and save them as a checkpoint."""
    train = place.subsets()["train"]
    return lambda: _save(place, _refit(place, train, "gbt", {"rounds": float(ROUNDS)}), train)


def gru(place: Place) -> Work:
    """Train a gru for one epoch."""
    train = place.subsets()["train"]
    return lambda: _refit(place, train, "gru", {"epochs": 1.0})


def _refit(place: Place, train: WindowSet, name: str, choices: Mapping[str, float]) -> FittedModel:
    return refit_model(name, place.store.schema.for_mode(MODE), 0, train, choices)


def _save(place: Place, fitted: FittedModel, train: WindowSet) -> None:
    split = place.split()
    trained = Checkpoint(
        name=f"gbt-{MODE}",
        model_name="gbt",
        mode=MODE,
        schema=place.store.schema.for_mode(MODE),
        opening_s=RECIPE.opening_s,
        normalizer=fitted.normalizer,
        projection=fitted.project(train),
        model=fitted.model,
        recipe=RECIPE.dump(),
        split=asdict(split),
        scores={},
    )
    checkpoint.save(trained, place.store.read(split.train[0]), place.checkpoint.parent)


def predict(place: Place) -> Work:
    """Predict all subsets by the trees and the baselines, and write the predictions."""
    usable = [one.identity for one in index.read(place.index) if one.usable]
    subsets, split, loaded = place.subsets(), place.split(), checkpoint.load(place.checkpoint)
    fold = TrainedFold(split, [loaded], {MODE: subsets}, [], place.run)

    def work() -> None:
        about = replace(to_predict([fold], usable, place.store.schema, 0), simulated=True)
        found = predict_each([fold], place.store.schema)
        place.run.write_predictions(about, found, any_ambiguous([fold]))

    return work


def judge(place: Place) -> Work:
    """Read the predictions, and compute every score of the report."""
    return lambda: place.run.write_report(evaluate(place.run.predictions))


def report(place: Place) -> Work:
    """Write the page of the report, with an episode of each profile."""
    from phasewatch.reports import page

    def work() -> None:
        run = place.run
        page.write_report(run.report, run.predictions, run, place.store)

    return work


def serve(place: Place) -> Work:
    """Read run and store for the page of `phasewatch serve`, up to where it would be served."""

    def work() -> None:
        with mock.patch("phasewatch.cli.commands.serve.serve_page"):
            command("serve", "--run", place.run.path, "--store", place.root, "--port", 0)

    return work


def command(*words: object) -> None:
    """Run a command of phasewatch in this process."""
    code = app([str(word) for word in words], standalone_mode=False)
    if code not in (0, None, SOME_ERRORED, SOME_REJECTED):
        raise SystemExit(f"{words[0]} ended with {code}")


STAGES = {
    "simulate": Stage(simulate, 4),
    "validate": Stage(validate, 8),
    "validate again": Stage(validate, 8),
    "extract": Stage(extract, 150),
    "divide": Stage(divide, 60),
    "audit": Stage(audit, 400),
    "baselines": Stage(baseline, 350),
    "lens and view": Stage(views, 300),
    f"gbt, {ROUNDS} rounds": Stage(gbt, 400),
    "gru, one epoch": Stage(gru, 550),
    "predict": Stage(predict, 350),
    "evaluate": Stage(judge, 100),
    "report": Stage(report, 50),
    "serve, start": Stage(serve, 60),
}
"""Every stage, in the order in which they run, with the KiB an episode that its peak may grow by.

The bounds hold from the few hundred episodes of CI on, where a block of windows is not yet full and
grids that are mapped into memory count as resident.
"""
