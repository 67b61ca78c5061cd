"""Whole runs by name: a recipe is a frozen value, and a variant is another one with `replace`."""

from dataclasses import dataclass

from phasewatch.errors import Refused
from phasewatch.schema import MODES, Mode


@dataclass(frozen=True)
class Recipe:
    """Which models in which modes, on which split, from which seed. It is in every checkpoint.

    `test` and `validation` say what the split holds out; `opening_s` for how long every machine is
    watched, known to be benign, before it is judged. `seeds` trainings of each model differ by
    nothing but their seed, `seed` and the numbers after it.
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


SIX = ("gbt", "mlp", "cnn", "gru", "lstm", "transformer")
BASELINES = ("logistic", "majority")
RECIPES = {
    "all": Recipe("all", SIX),
    "quick": Recipe("quick", ("gbt", *BASELINES)),
    "baselines": Recipe("baselines", BASELINES),
    "results": Recipe("results", (*SIX, *BASELINES)),
}


def find(name: str) -> Recipe:
    """A recipe by name; raises Refused with the list of names."""
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise Refused(f"recipe {name!r}", "is unknown", f"one of {known}", "Use one of these.")
    return RECIPES[name]
