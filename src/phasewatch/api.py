"""The public functions of `import phasewatch`: validate, cut windows, train, and watch.

Heavy libraries are imported by the function that needs them, so that importing costs nothing.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasewatch.artifacts.contract import Predictor
    from phasewatch.experiment.run import Run
    from phasewatch.live.watcher import Prediction
    from phasewatch.schema import Mode
    from phasewatch.store.local import Store
    from phasewatch.training.recipes import Recipe
    from phasewatch.validation.verdict import ValidationResult
    from phasewatch.windowing import Windows


def open_store(path: str | Path) -> "Store":
    """Open the episode store in a folder of this machine.

    Raises Refused when there is none, or it is of another format.
    """
    from phasewatch.io import atomic
    from phasewatch.store.local import Store

    atomic.refuse_url(Path(path))
    return Store.open(Path(path))


def validate(store: "Store | str | Path") -> list["ValidationResult"]:
    """Validate every episode of a store, and return a result each, in the order of their ids.

    `store` is opened, or the path of one. Raises Refused when there is no store at the path.

    A result has a `verdict` (accepted, degraded, rejected or errored), its `findings`, and
    `usable`. What an episode holds raises nothing.
    """
    from phasewatch.validation.sweep import validate_store

    return validate_store(_opened(store))


def windows(
    store: "Store | str | Path",
    mode: "Mode" = "realistic",
    opening_s: float = 15.0,
    ids: Sequence[str] = (),
    include_rejected: bool = False,
    baseline: str = "noted",
) -> "Windows":
    """Validate a store, or the one at a path, and return the windows of its usable episodes.

    `x[N,C,T]` has the channels of `store.schema.for_mode(mode)`; `y[N]` are places in `classes`.
    The first `opening_s` seconds of each episode must be benign: they are the level that its
    windows are compared with, pooled over the machine's last usable episodes. `ids` names the
    episodes; without it, all usable ones are read. Rejected episodes are read only with
    `include_rejected`. Recordings that `baseline` selects teach levels as well; those declared
    baseline have no windows. Raises Refused for an episode that is absent, not usable, or not
    benign at its start, for a mode that is neither realistic nor oracle, for an opening that is
    negative or not finite, and for a text as `ids`.
    """
    from phasewatch.baseline import Selection
    from phasewatch.experiment.usable import usable_windows

    _refuse_text("ids", ids)
    _refuse_opening(opening_s)
    opened = _opened(store)
    schema = opened.schema.for_mode(mode)
    selection = Selection.parse(baseline)
    return usable_windows(opened, schema, opening_s, ids, include_rejected, selection)[0]


def train(
    store: "Store | str | Path",
    recipe: "str | Recipe" = "quick",
    *,
    out: str | Path,
    models: Sequence[str] | None = None,
    test: str | None = None,
    validation: str | None = None,
    split: str | None = None,
    opening_s: float | None = None,
    seed: int | None = None,
    seeds: int | None = None,
    baseline: str | None = None,
    simulated: bool | None = None,
    jobs: int = 1,
    waive: Sequence[str] = (),
    log: Callable[[str], None] = lambda line: None,
) -> "Run":
    """Train the models of a recipe on the usable episodes of a store or path, and evaluate them.

    `recipe` is a name (all, quick, baselines, results) or a `Recipe`; other arguments replace its
    values, `models` the names of its models, `baseline` the recordings that teach levels. `test`
    and `validation` name what the `split` holds out, hosts by default. `out` is the run's folder:
    an interrupted run resumes there. `jobs` trainings run side by side, `waive` names leakage rules
    that may fail, and `log` is called with each line of progress. A store of simulated episodes is
    taken with `simulated` alone, and all that comes of it says so. Raises Refused.
    """
    from phasewatch.experiment import pipeline
    from phasewatch.training import recipes
    from phasewatch.training.jobs import Workers

    _refuse_text("models", models)
    _refuse_text("waive", waive)
    _refuse_opening(opening_s or 0.0)
    found = recipes.find(recipe) if isinstance(recipe, str) else recipe
    if models is not None:
        found = recipes.with_models(found, ",".join(models))
    given: dict[str, Any] = {
        "test": test,
        "validation": validation,
        "split": split,
        "opening_s": opening_s,
        "seed": seed,
        "seeds": seeds,
        "baseline": baseline,
        "simulated": simulated,
    }
    chosen = replace(found, **{key: value for key, value in given.items() if value is not None})
    return pipeline.run(chosen, _opened(store), Path(out), log, Workers(jobs), waive).run


def watch(
    model: "str | Path | Predictor", samples: Iterable[str | Mapping[str, Any]]
) -> Iterator["Prediction"]:
    """Predict the phase of a running machine from its samples, a window every stride.

    `model` is a checkpoint or a bundle, or its path. A sample is an object, or a line of JSON, such
    as `{"source": "proc", "t_wall_ns": 1790000000000000000, "values": {"proc.rss": 9000}}`, in the
    order of time. The first `model.opening_s` seconds must be benign. A bundle with an alarm rule
    also says which incident is open. Raises Refused for a sample that cannot be used.
    """
    from phasewatch.live import jsonl

    lines = (one if isinstance(one, str) else json.dumps(one) for one in samples)
    loaded = _loaded(model) if isinstance(model, str | Path) else model
    return jsonl.watch(loaded, lines, getattr(loaded, "alarm", None))


def _refuse_text(name: str, value: Sequence[str] | None) -> None:
    """Raise Refused for an argument that is a text, whose letters would be taken as names."""
    if isinstance(value, str):
        from phasewatch.errors import Refused

        raise Refused(name, f"is the text {value!r}", "a list of names", f"Write [{value!r}].")


def _refuse_opening(opening_s: float) -> None:
    """Raise Refused for an opening that is negative or not finite."""
    if not 0 <= opening_s < math.inf:
        from phasewatch.errors import Refused

        expected = "seconds, 0 or more"
        raise Refused("opening_s", f"is {opening_s:g}", expected, "Give another opening.")


def _opened(store: "Store | str | Path") -> "Store":
    """Return a store, opened when it is a path. Raises Refused."""
    return open_store(store) if isinstance(store, str | Path) else store


def _loaded(path: str | Path) -> "Predictor":
    """Load a checkpoint, or the bundle in a folder. Raises Refused."""
    if Path(path).is_dir():
        from phasewatch.artifacts import bundle

        return bundle.load(Path(path))
    from phasewatch.artifacts import checkpoint

    return checkpoint.load(Path(path))
