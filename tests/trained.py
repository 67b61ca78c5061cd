"""Models that are trained on the toy store, each of them once in a process."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from unittest import mock

from tests import toy

from phasewatch import windowing
from phasewatch.artifacts import checkpoint
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.experiment.run import Run
from phasewatch.features.views import NEWEST, ViewVersion
from phasewatch.models import _network
from phasewatch.models._trainer import Schedule
from phasewatch.models.base import UNMONITORED
from phasewatch.schema import Mode
from phasewatch.splits import Split
from phasewatch.store.local import Store
from phasewatch.training import jobs
from phasewatch.training.jobs import Task

TRAINING_SPLIT = Split("held_out_host", "delta", ("alpha.dig.s1",), ("gamma.dig.s1",), (), ())
TEST_SPLIT = Split(
    "held_out_host", "delta", ("alpha.dig.s1",), (), (), ("delta.dig.s1", "delta.leak.s1")
)
"""The split of saved checkpoints; its test episodes are those that an export is compared on."""

SHORT = partial(Schedule, epochs=6)
"""Networks need not be good here, only be trained: a tenth of the usual time."""

_CACHE: dict[tuple[Path, str, Mode, ViewVersion], Checkpoint] = {}


def trained(
    store: Store, name: str = "gbt", mode: Mode = "oracle", version: ViewVersion = NEWEST
) -> Checkpoint:
    """Return a model that was trained on two hosts of the toy store; do not change it."""
    key = (store.root, name, mode, version)
    if key not in _CACHE:
        visible = store.schema.for_mode(mode)
        ids = tuple(id for id in store.ids() if id.startswith(("alpha", "beta")))
        windows = windowing.extract(store, ids, visible, toy.RECIPE.opening_s)
        probe = (toy.episode(), Run(Path("nowhere")).training_folders)
        recipe = replace(toy.RECIPE, view_version=version)
        task = Task(recipe, name, mode, visible, TRAINING_SPLIT, windows, windows, *probe)
        with mock.patch.object(_network, "Schedule", SHORT):
            _CACHE[key] = jobs.train_checkpoint(task, UNMONITORED)
    return _CACHE[key]


def saved(store: Store, folder: Path, name: str = "gbt", mode: Mode = "oracle") -> Path:
    """Save a trained model with `TEST_SPLIT` into `folder`; return the path of its header."""
    model = replace(trained(store, name, mode), split=asdict(TEST_SPLIT))
    return checkpoint.save(model, toy.episode(), folder)
