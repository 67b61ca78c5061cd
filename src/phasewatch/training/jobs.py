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
from phasewatch.training.fitting import FitOptions, fit_model
from phasewatch.training.recipes import Recipe
from phasewatch.windowing import Windows

REPEATED = "-again"
"""Ending of the name of a training that repeats another one from another seed."""

EpochListener = Callable[[str, Epoch], None]


@dataclass(frozen=True)
class TrainingFolders:
    """Where trainings write: checkpoints, logs of every epoch, and states to resume from."""

    checkpoints: Path
    logs: Path
    states: Path

    def log(self, name: str) -> Path:
        """Return the log of the training of that name: a line of JSON an epoch."""
        return self.logs / f"{name}.jsonl"


def checkpoint_name(model: str, mode: Mode, repeat: int = 0) -> str:
    """Return the name of the checkpoint of a model in a mode, trained for the `repeat`th time."""
    return f"{model}-{mode}" + (f"{REPEATED}{repeat}" if repeat else "")


def repeat_of(name: str) -> int:
    """Return how many trainings of its model came before the one of this checkpoint's name."""
    return int(name.partition(REPEATED)[2] or 0)


@dataclass(frozen=True)
class Task:
    """One training: a model in a mode, the windows it is fitted on, and where it writes.

    The checkpoint's probe comes from `episode`. `repeat` counts the trainings of this model before
    it, from other seeds. `cluster` is the address of a Dask cluster to train on, empty for here.
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

    @property
    def seed(self) -> int:
        """The seed of this training."""
        return self.recipe.seed + self.repeat

    @property
    def name(self) -> str:
        """The name of the checkpoint."""
        return checkpoint_name(self.model, self.mode, self.repeat)

    @property
    def path(self) -> Path:
        """Where the checkpoint's header is written."""
        return checkpoint.path_of(self.folders.checkpoints, self.name)


def train_checkpoint(task: Task, monitor: TrainingMonitor) -> Checkpoint:
    """Fit the model of one task and return it as a checkpoint. Raises Refused."""
    sides = (task.train, task.validation)
    options = FitOptions(monitor, task.cluster, task.recipe.view_version, task.recipe.balance)
    try:
        fitted = fit_model(task.model, task.schema, task.seed, sides, options)
    except Refused as refused:
        raise refused.within(task.name) from None
    validation = task.validation.clear
    predicted = fitted.predict(validation)
    classes = len(task.schema.classes)
    _, confusions = metrics.confusions(validation.episode, validation.y, predicted, classes)
    return Checkpoint(
        name=task.name,
        model_name=task.model,
        mode=task.mode,
        schema=task.schema,
        opening_s=task.recipe.opening_s,
        normalizer=fitted.normalizer,
        projection=fitted.project(task.train),
        model=fitted.model,
        recipe=asdict(task.recipe),
        split=asdict(task.split),
        scores={"validation_macro_f1": float(metrics.macro_f1(confusions.sum(axis=0)))},
    )


def is_done(task: Task) -> bool:
    """Whether the checkpoint of a task is there, whole, and of the same recipe and split."""
    try:
        header = checkpoint.load_header(task.path)
    except Refused:
        return False
    wanted = (asdict(task.recipe), asdict(task.split))
    return atomic.canonical_json(wanted) == atomic.canonical_json((header.recipe, header.split))


def run_task(task: Task, follow: EpochListener) -> Path:
    """Train, save and load again one task, unless it is done. Return the checkpoint's path."""
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
    checkpoint.save(trained, task.episode, task.folders.checkpoints)
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
