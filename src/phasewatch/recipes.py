"""Whole runs by name: a recipe is a frozen value, and a variant is another one with `replace`."""

from dataclasses import dataclass

from phasewatch.schema import MODES, Mode


@dataclass(frozen=True)
class Recipe:
    """Which split, which models in which modes, from which seed. It is written into checkpoints."""

    name: str
    test_host: str
    validation_host: str
    models: tuple[str, ...] = ("gbt", "logistic", "majority")
    modes: tuple[Mode, ...] = MODES
    seed: int = 0


def held_out_host(test_host: str, validation_host: str) -> Recipe:
    """Boosted trees and two baselines, judged on a host that none of them has seen."""
    return Recipe("held_out_host", test_host, validation_host)
