"""Recipes of runs, by name. A recipe is a frozen value; `dataclasses.replace` gives a variant."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from phasewatch.errors import Refused
from phasewatch.modes import MODES, Mode


@dataclass(frozen=True)
class Recipe:
    """The models, modes, split and seed of a run. Every checkpoint stores its recipe.

    `test` and `validation` name what the split holds out. `opening_s` is how many seconds every
    machine is observed, known to be benign, before the first prediction. Each model is trained
    `seeds` times, from `seed` and the numbers after it. `view_version` chooses what models see of a
    window: 3 is the window alone, 4 also what came before it and ratios of channels; None is what
    the view of each model prefers. `baseline` selects recordings of machines in benign use that
    teach their levels, see `baseline.Selection`. `balance` is how far classes are weighed alike: 1
    gives each class the same weight, 0 each window; None is what each model prefers. With
    `inner_folds` the length of a training is chosen by so many trainings before it, see
    `inner_folds`, and the model then learns from training and validation; without, it is stopped by
    validation. `simulated` asks for a store of simulated episodes, which is refused otherwise: its
    scores say nothing about machines, and all that comes of it says so.
    """

    name: str
    models: tuple[str, ...]
    split: str = "held_out_host"
    test: str = ""
    validation: str = ""
    modes: tuple[Mode, ...] = MODES
    opening_s: float = 15.0
    seed: int = 0
    seeds: int = 1
    view_version: Literal[3, 4] | None = None
    baseline: str = "noted"
    balance: float | None = None
    inner_folds: int = 0
    simulated: bool = False

    def dump(self) -> dict[str, Any]:
        """Return the recipe as plain values, as files of runs and checkpoints hold it.

        Only simulated ones hold `simulated`, so that the files of recorded runs stay as they were.
        """
        values = asdict(self)
        if not self.simulated:
            del values["simulated"]
        return values


SIX = ("gbt", "mlp", "cnn", "gru", "lstm", "transformer")
COMBINED = "combination"
BASELINES = ("logistic", "majority")
RECIPES = {
    "all": Recipe("all", SIX),
    "quick": Recipe("quick", ("gbt", *BASELINES)),
    "baselines": Recipe("baselines", BASELINES),
    "results": Recipe("results", (*SIX, COMBINED, *BASELINES), inner_folds=1),
}


def find(name: str) -> Recipe:
    """Return a recipe by its name. Raises Refused with the list of names."""
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise Refused(f"recipe {name!r}", "is unknown", f"one of {known}", "Use one of these.")
    return RECIPES[name]


def with_models(recipe: Recipe, names: str) -> Recipe:
    """Return the recipe with the models in `names`, separated by commas; unchanged for "".

    Raises Refused for a name that no model has, and for one that stands twice.
    """
    from phasewatch.models import base

    if not names:
        return recipe
    models = tuple(name.strip() for name in names.split(","))
    for name in models:
        base.refuse_unknown(name)
    if len(set(models)) < len(models):
        raise Refused("--models", f"{names!r} names a model twice", "each once", "Leave one out.")
    return replace(recipe, models=models)
