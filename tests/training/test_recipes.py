"""Recipes are found by name, and name models and splits that exist."""

import pytest

from phasewatch import splits
from phasewatch.errors import Refused
from phasewatch.models.base import names
from phasewatch.models.combination import SHARES
from phasewatch.schema import MODES
from phasewatch.training import recipes


def test_every_recipe_names_what_exists() -> None:
    for name, recipe in recipes.RECIPES.items():
        assert recipes.find(name) is recipe and recipe.name == name
        assert set(recipe.models) <= set(names())
        assert len(set(recipe.models)) == len(recipe.models)
        assert recipe.split in splits.SPLITTERS
        assert recipe.modes == MODES


def test_the_recipe_all_trains_six_models_that_are_no_baselines_in_two_modes() -> None:
    recipe = recipes.find("all")
    assert recipe.models == recipes.SIX and not {*recipes.SIX} & {*recipes.BASELINES}
    assert len(recipe.models) * len(recipe.modes) == 12


def test_the_published_results_have_the_combination_beside_its_members() -> None:
    assert {recipes.COMBINED, *SHARES} <= set(recipes.find("results").models)


def test_an_unknown_recipe_is_refused_in_one_line() -> None:
    with pytest.raises(
        Refused, match="recipe 'everything': is unknown; expected one of all, quick"
    ):
        recipes.find("everything")


def test_models_are_named_instead_of_a_recipe() -> None:
    quick = recipes.find("quick")
    assert recipes.with_models(quick, "") is quick
    chosen = recipes.with_models(quick, "gbt, cnn")
    assert chosen.models == ("gbt", "cnn")
    assert (chosen.name, chosen.split) == (quick.name, quick.split)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("gbt,cnnn", "model 'cnnn': is unknown; expected one of"),
        ("gbt,", "model '': is unknown"),
        ("gbt,cnn,gbt", "names a model twice"),
    ],
)
def test_a_wrong_name_of_a_model_is_one_line(given: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem) as refused:
        recipes.with_models(recipes.find("quick"), given)
    assert "\n" not in str(refused.value)
