"""Trainings, one model in one mode each, from windows to a checkpoint; several side by side.

Each training is independent: its process gets windows, logs every epoch, and writes a checkpoint
that it loads again. One that is there already, of the same recipe and split, is not trained again.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from phasewatch import metrics
from phasewatch.artifacts import checkpoint
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.io import atomic, executors
from phasewatch.models.base import Epoch, TrainingMonitor
from phasewatch.schema import Mode, Schema
from phasewatch.splits import Split
from phasewatch.training import inner_folds
from phasewatch.training.fitting import FitOptions, FittedModel, fit_model, refit_model
from phasewatch.training.recipes import Recipe
from phasewatch.windowing import Windows, concatenate

VALIDATED, CHOICE = "validation_macro_f1", "chosen_"
"""Scores of a checkpoint: macro F1 on validation, and the beginning of the names of choices."""

REPEATED = "-again"
"""Ending of the name of a training that repeats another one from another seed."""

EpochListener = Callable[[str, Epoch], None]


@dataclass(frozen=True)
class TrainingFolders:
    """Where trainings write: checkpoints, logs of every epoch, and states to resume from.

    Checkpoints of inner folds are in a folder of their own, `inner`.
    """

    checkpoints: Path
    logs: Path
    states: Path
    inner: Path

    def log(self, name: str) -> Path:
        """Return the log of the training of that name: a line of JSON an epoch."""
        return self.logs / f"{name}.jsonl"


def checkpoint_name(model: str, mode: Mode, repeat: int = 0) -> str:
    """Return the name of the checkpoint of a model in a mode, trained for the `repeat`th time."""
    return f"{model}-{mode}" + (f"{REPEATED}{repeat}" if repeat else "")


def inner_name(name: str, number: int) -> str:
    """Return the name of the checkpoint of an inner fold of the training of that name."""
    return f"{name}-inner{number}"


def repeat_of(name: str) -> int:
    """Return how many trainings of its model came before the one of this checkpoint's name."""
    return int(name.partition(REPEATED)[2] or 0)


@dataclass(frozen=True)
class Task:
    """One training: a model in a mode, the windows it is fitted on, and where it writes.

    The checkpoint's probe comes from `episode`. `repeat` counts the trainings of this model before
    it, from other seeds. `cluster` is the address of a Dask cluster to train on, empty for here.
    `inner` is the number of the inner fold that this training is; None where it is none.
    """

    recipe: Recipe
    model: str
    mode: Mode
    schema: Schema
    split: Split
    train: Windows
    validation: Windows
    episode: Episode
    folders: TrainingFolders
    repeat: int = 0
    cluster: str = ""
    inner: int | None = None

    @property
    def seed(self) -> int:
        """The seed of this training."""
        return self.recipe.seed + self.repeat

    @property
    def name(self) -> str:
        """The name of the checkpoint."""
        name = checkpoint_name(self.model, self.mode, self.repeat)
        return name if self.inner is None else inner_name(name, self.inner)

    @property
    def path(self) -> Path:
        """Where the checkpoint's header is written."""
        folders = self.folders
        folder = folders.checkpoints if self.inner is None else folders.inner
        return checkpoint.path_of(folder, self.name)

    @property
    def inner_tasks(self) -> list["Task"]:
        """The trainings of the inner folds that the choices of this one come from."""
        folds = 0 if self.inner is not None else self.recipe.inner_folds
        return [replace(self, inner=number) for number in range(folds)]

    @property
    def sides(self) -> tuple[Windows, Windows]:
        """The windows that this training learns from, and those that it is stopped by."""
        if self.inner is None:
            return self.train, self.validation
        chosen = (self.split.recipe, self.inner, self.recipe.inner_folds)
        return inner_folds.sides(self.train, self.validation, *chosen)


def train_checkpoint(task: Task, monitor: TrainingMonitor) -> Checkpoint:
    """Fit the model of one task and return it as a checkpoint. Raises Refused.

    Where the recipe has inner folds, those of the task are trained before it: see `run_task`.
    """
    recipe = task.recipe
    options = FitOptions(monitor, task.cluster, recipe.view_version, recipe.balance)
    fit = _fit_last if recipe.inner_folds and task.inner is None else _fit
    try:
        fitted, train, scores = fit(task, options)
    except Refused as refused:
        raise refused.within(task.name) from None
    return Checkpoint(
        name=task.name,
        model_name=task.model,
        mode=task.mode,
        schema=task.schema,
        opening_s=recipe.opening_s,
        normalizer=fitted.normalizer,
        projection=fitted.project(train),
        model=fitted.model,
        recipe=recipe.dump(),
        split=asdict(task.split),
        scores=scores,
    )


Fitted = tuple[FittedModel, Windows, dict[str, float]]
"""A fitted model, the windows that it learned from, and its scores."""


def _fit(task: Task, options: FitOptions) -> Fitted:
    """Fit on training windows, stopped by validation; an inner fold also notes its choices."""
    train, validation = task.sides
    fitted = fit_model(task.model, task.schema, task.seed, (train, validation), options)
    clear, classes = validation.clear, len(task.schema.classes)
    _, cube = metrics.confusions(clear.episode, clear.y, fitted.predict(clear), classes)
    scores = {VALIDATED: float(metrics.macro_f1(cube.sum(axis=0)))}
    if task.inner is not None:
        scores |= {CHOICE + name: value for name, value in fitted.model.choices.items()}
    return fitted, train, scores


def _fit_last(task: Task, options: FitOptions) -> Fitted:
    """Fit on training and validation windows, by what the inner folds chose on average."""
    scores = [checkpoint.load_header(one.path).scores for one in task.inner_tasks]
    choices = inner_folds.mean_choices(
        {name: value for name, value in one.items() if name.startswith(CHOICE)} for one in scores
    )
    own = {name.removeprefix(CHOICE): value for name, value in choices.items()}
    train = concatenate([task.train, task.validation])
    fitted = refit_model(task.model, task.schema, task.seed, train, own, options)
    return fitted, train, {VALIDATED: scores[0][VALIDATED], **choices}


def is_done(task: Task) -> bool:
    """Whether the checkpoint of a task is there, whole, and of the same recipe and split."""
    try:
        header = checkpoint.load_header(task.path)
    except Refused:
        return False
    wanted = (task.recipe.dump(), asdict(task.split))
    return atomic.canonical_json(wanted) == atomic.canonical_json((header.recipe, header.split))


def run_task(task: Task, follow: EpochListener) -> Path:
    """Train, save and load again one task, unless it is done. Return the checkpoint's path.

    Its inner folds are trained first, each of them unless it is done.
    """
    for inner in task.inner_tasks:
        run_task(inner, follow)
    if is_done(task):
        return task.path
    log = task.folders.log(task.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    state = task.folders.states / f"{task.name}.safetensors"
    with log.open("w", encoding="utf-8") as lines, _tensorboard(task) as draw:

        def write(epoch: Epoch) -> None:
            lines.write(json.dumps(epoch._asdict()) + "\n")
            lines.flush()
            draw(epoch)
            follow(task.name, epoch)

        trained = train_checkpoint(task, TrainingMonitor(write, state))
    checkpoint.save(trained, task.episode, task.path.parent)
    state.unlink(missing_ok=True)
    return task.path


@contextlib.contextmanager
def _tensorboard(task: Task) -> Iterator[Callable[[Epoch], None]]:
    """Yield a function that plots epochs, or does nothing where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield lambda epoch: None
        return
    writer = SummaryWriter(str(task.folders.logs / "tensorboard" / task.name))

    def draw(epoch: Epoch) -> None:
        writer.add_scalar("loss", epoch.loss, epoch.number)
        writer.add_scalar("validation", epoch.score, epoch.number)

    try:
        yield draw
    finally:
        writer.close()


# ---------------------------------------------------------------- side by side


def ignore_epoch(name: str, epoch: Epoch) -> None:
    """Ignore an epoch, in a training without a listener."""


@dataclass(frozen=True)
class Workers:
    """Where trainings run: in `jobs` processes here, or on all workers of a Dask `cluster` at once.

    `follow` is called with the name of the training after every epoch.
    """

    jobs: int = 1
    cluster: str = ""
    follow: EpochListener = ignore_epoch


def run_tasks(tasks: Sequence[Task], workers: Workers) -> Iterator[Path]:
    """Run all tasks, and yield the path of each checkpoint when it is done.

    Raises Refused, the first that any task raised.
    """
    if workers.jobs == 1 or workers.cluster:
        for task in tasks:
            yield run_task(replace(task, cluster=workers.cluster), workers.follow)
        return
    jobs, follow = workers.jobs, workers.follow
    queue = get_context("spawn").SimpleQueue()
    # An unfinished training resumes after its last epoch when the same run is started again.
    with executors.worker_processes(jobs, _WorkerLink.open, (queue,)) as pool:
        with executors.interrupts_deferred():
            waiting: set[Future[Path]] = {pool.submit(_WorkerLink.work, task) for task in tasks}
        while waiting:
            ended, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            while not queue.empty():
                follow(*queue.get())
            yield from (future.result() for future in ended)


class _WorkerLink:
    """In a worker: the queue on which epochs return to the parent process."""

    queue: "SimpleQueue[tuple[str, Epoch]]"

    @classmethod
    def open(cls, queue: "SimpleQueue[tuple[str, Epoch]]") -> None:
        cls.queue = queue

    @classmethod
    def work(cls, task: Task) -> Path:
        return run_task(task, cls.follow)

    @classmethod
    def follow(cls, name: str, epoch: Epoch) -> None:
        cls.queue.put((name, epoch))
