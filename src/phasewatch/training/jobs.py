"""One model in one mode, from windows to a checkpoint; and many of them, side by side.

Every training stands alone: its process gets windows, tells each epoch, and leaves a checkpoint
that was read back. One that is there already, of the same recipe and split, is not trained again.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from phasewatch import metrics
from phasewatch.artifacts import checkpoint
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.projection import Projection
from phasewatch.io import atomic
from phasewatch.models.base import UNMONITORED, Classifier, Data, Epoch, TrainingMonitor, find
from phasewatch.schema import Mode, Schema
from phasewatch.splits import Split
from phasewatch.training import augment
from phasewatch.training.recipes import Recipe
from phasewatch.windowing import Windows

CHECKPOINTS, LOGS, STATES = "checkpoints", "logs", "states"
"""Folders of a run: what is kept, what can be plotted, what an interrupted training left."""

AGAIN = "-again"

Follow = Callable[[str, Epoch], None]


@dataclass(frozen=True)
class Task:
    """One training: a model in a mode, `folder` of the run, and an episode for the probe.

    `again` counts the trainings of this model before it, from other seeds; `cluster` is the address
    of a Dask cluster to train on, empty for here.
    """

    recipe: Recipe
    model: str
    mode: Mode
    schema: Schema
    split: Split
    train: Windows
    validation: Windows
    episode: Episode
    folder: Path
    again: int = 0
    cluster: str = ""

    @property
    def seed(self) -> int:
        """Of this training."""
        return self.recipe.seed + self.again

    @property
    def name(self) -> str:
        """Of the checkpoint."""
        return f"{self.model}-{self.mode}" + (f"{AGAIN}{self.again}" if self.again else "")

    @property
    def path(self) -> Path:
        """Where its checkpoint goes."""
        return checkpoint.path_of(self.folder / CHECKPOINTS, self.name)


def learn(
    name: str,
    schema: Schema,
    seed: int,
    parts: tuple[Windows, Windows],
    watch: TrainingMonitor = UNMONITORED,
    cluster: str = "",
) -> tuple[Normalizer, Classifier]:
    """A model of training and validation windows under `schema`, and the lens it sees through.

    Only training windows reach the lens and the fit. Raises Refused.
    """
    train, validation = parts
    kind, classes = find(name), len(schema.classes)
    normalizer = Normalizer.fit(kind.view, train)

    def seen(windows: Windows) -> Data:
        return Data(normalizer.apply(windows.x, windows.opening), windows.y, classes)

    model = kind(classes, seed)
    model.fit(seen(augment.drop(train, schema, seed)), seen(validation), watch, cluster)
    return normalizer, model


def fit(task: Task, watch: TrainingMonitor) -> Checkpoint:
    """Train one task. Raises Refused."""
    validation = task.validation
    try:
        normalizer, model = learn(
            task.model, task.schema, task.seed, (task.train, validation), watch, task.cluster
        )
    except Refused as refused:
        raise refused.inside(task.name) from None
    guess = model.logits(normalizer.apply(validation.x, validation.opening)).argmax(axis=1)
    classes = len(task.schema.classes)
    _, cube = metrics.cube(validation.episode, validation.y, guess, classes)
    return Checkpoint(
        name=task.name,
        model_name=task.model,
        mode=task.mode,
        schema=task.schema,
        opening_s=task.recipe.opening_s,
        normalizer=normalizer,
        projection=Projection.fit(normalizer.apply(task.train.x, task.train.opening)),
        model=model,
        recipe=asdict(task.recipe),
        split=asdict(task.split),
        scores={"validation_macro_f1": float(metrics.macro_f1(cube.sum(axis=0)))},
    )


def again(name: str) -> int:
    """How many trainings of its model came before the one that left a checkpoint of this name."""
    return int(name.partition(AGAIN)[2] or 0)


def done(task: Task) -> bool:
    """Whether its checkpoint is there, whole, and of this recipe and split."""
    try:
        header = checkpoint.load_header(task.path)
    except Refused:
        return False
    asked = (asdict(task.recipe), asdict(task.split))
    return atomic.canonical(asked) == atomic.canonical((header.recipe, header.split))


def work(task: Task, follow: Follow) -> Path:
    """Train, save and read back one task, unless it is done; returns the checkpoint's path."""
    if done(task):
        return task.path
    log = task.folder / LOGS / f"{task.name}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    state = task.folder / STATES / f"{task.name}.safetensors"
    with log.open("w", encoding="utf-8") as lines, _tensorboard(task) as draw:

        def tell(epoch: Epoch) -> None:
            lines.write(json.dumps(epoch._asdict()) + "\n")
            lines.flush()
            draw(epoch)
            follow(task.name, epoch)

        made = fit(task, TrainingMonitor(tell, state))
    checkpoint.save(made, task.episode, task.folder / CHECKPOINTS)
    state.unlink(missing_ok=True)
    return task.path


@contextlib.contextmanager
def _tensorboard(task: Task) -> Iterator[Callable[[Epoch], None]]:
    """Draws epochs where TensorBoard is installed, and nothing elsewhere."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield lambda epoch: None
        return
    writer = SummaryWriter(str(task.folder / LOGS / "tensorboard" / task.name))

    def draw(epoch: Epoch) -> None:
        writer.add_scalar("loss", epoch.loss, epoch.number)
        writer.add_scalar("validation", epoch.score, epoch.number)

    try:
        yield draw
    finally:
        writer.close()


# ---------------------------------------------------------------- side by side


def nobody(name: str, epoch: Epoch) -> None:
    """Follows a training, and does nothing."""


@dataclass(frozen=True)
class Workers:
    """Who does the trainings: `jobs` processes here, or all workers of a Dask `cluster` at once.

    `follow` is told every epoch.
    """

    jobs: int = 1
    cluster: str = ""
    follow: Follow = nobody


def work_all(tasks: Sequence[Task], workers: Workers) -> Iterator[Path]:
    """All tasks; paths come as they are done. Raises Refused of the first."""
    if workers.jobs == 1 or workers.cluster:
        yield from (work(replace(task, cluster=workers.cluster), workers.follow) for task in tasks)
        return
    jobs, follow = workers.jobs, workers.follow
    context = get_context("spawn")
    queue = context.SimpleQueue()
    with ProcessPoolExecutor(jobs, context, _WorkerLink.open, (queue, os.getpid())) as pool:
        waiting: set[Future[Path]] = {pool.submit(_WorkerLink.work, task) for task in tasks}
        try:
            while waiting:
                ended, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                while not queue.empty():
                    follow(*queue.get())
                yield from (future.result() for future in ended)
        except BaseException:
            # What is unfinished goes on from its last epoch when the same run is asked for again.
            for process in list(pool._processes.values()):
                process.kill()
            raise


class _WorkerLink:
    """In a worker: its way back to the process that asked, without which it ends itself."""

    queue: "SimpleQueue[tuple[str, Epoch]]"
    parent: int

    @classmethod
    def open(cls, queue: "SimpleQueue[tuple[str, Epoch]]", parent: int) -> None:
        cls.queue, cls.parent = queue, parent

    @classmethod
    def work(cls, task: Task) -> Path:
        return work(task, cls.follow)

    @classmethod
    def follow(cls, name: str, epoch: Epoch) -> None:
        if os.getppid() != cls.parent:
            os._exit(1)
        cls.queue.put((name, epoch))


def seconds(folder: Path, name: str) -> float:
    """How long the epochs of a training took, from its log."""
    lines = (folder / LOGS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return float(sum(json.loads(line)["seconds"] for line in lines))
