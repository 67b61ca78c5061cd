"""What XGBoost would follow out of its memory never reaches it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from phasewatch.models import _xgboost_file
from phasewatch.models.base import Data, Unfit, find

SHAPE, CLASSES = (6,), 3


@pytest.fixture(scope="module")
def saved() -> bytes:
    generator = np.random.default_rng(0)
    model = find("gbt")(CLASSES, 0)
    parts = []
    for rows in (300, 90):
        y = generator.integers(0, CLASSES, rows)
        z = generator.normal(0, 1, (rows, *SHAPE))
        z[np.arange(rows), y] += 2
        parts.append(Data(z, y, CLASSES))
    model.fit(parts[0], parts[1])
    return model.save()


@pytest.fixture
def value(saved: bytes) -> Any:
    return json.loads(saved)


def trees(value: Any) -> Any:
    return value["learner"]["gradient_booster"]["model"]["trees"]


def test_a_trained_forest_passes_the_checks(saved: bytes, value: Any) -> None:
    _xgboost_file.refuse(value, SHAPE[0], CLASSES)
    find("gbt").load(saved, SHAPE, CLASSES)


def _set(field: str, place: int, new: Any) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        trees(value)[0][field][place] = new

    return change


def _model(field: str, new: Callable[[Any], Any]) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        model = value["learner"]["gradient_booster"]["model"]
        model[field] = new(model[field])

    return change


def _parameter(field: str, new: Any) -> Callable[[Any], None]:
    return lambda value: value["learner"]["learner_model_param"].update({field: new})


def _swapped(value: Any) -> None:
    tree = trees(value)[0]
    left, right = tree["left_children"], tree["right_children"]
    left[0], right[0] = right[0], left[0]


def _cycle(value: Any) -> None:
    tree = trees(value)[0]
    last = max(row for row, part in enumerate(tree["left_children"]) if part != -1)
    tree["left_children"][last], tree["right_children"][last] = 0, 1


ATTACKS: dict[str, tuple[Callable[[Any], None], str]] = {
    "child below 0": (_set("left_children", 0, -5), "xgb_tree"),
    "child beyond": (_set("right_children", 0, 10**6), "xgb_tree"),
    "child in 65 bits": (_set("right_children", 0, 1 << 65), "xgb_tree"),
    "cycle": (_cycle, "xgb_tree"),
    "swapped children": (_swapped, "xgb_tree"),
    "unreachable": (_set("left_children", 0, -1), "xgb_tree"),
    "parent": (_set("parents", 1, 2), "xgb_tree"),
    "shorter array": (lambda value: trees(value)[0]["split_indices"].pop(), "xgb_tree"),
    "feature": (_set("split_indices", 0, 6), "xgb_tree"),
    "negative feature": (_set("split_indices", 0, -1), "xgb_tree"),
    "text": (_set("split_indices", 0, "0"), "xgb_tree"),
    "truth": (_set("default_left", 0, True), "xgb_tree"),
    "no number": (_set("split_conditions", 0, float("nan")), "xgb_tree"),
    "beyond float32": (_set("split_conditions", 0, 1e300), "xgb_tree"),
    "categorical": (_set("split_type", 0, 1), "xgb_tree"),
    "categories": (lambda value: trees(value)[0]["categories"].append(1), "xgb_tree"),
    "deleted nodes": (lambda v: trees(v)[0]["tree_param"].update(num_deleted="1"), "xgb_tree"),
    "tree order": (_model("tree_info", lambda part: part[::-1]), "xgb_tree"),
    "rounds": (_model("iteration_indptr", lambda part: [*part[:-1], part[-1] + 3]), "xgb_tree"),
    "fewer trees": (_model("trees", lambda part: part[:-1]), "xgb_param"),
    "classes": (_parameter("num_class", "4"), "xgb_param"),
    "features": (_parameter("num_feature", "7"), "xgb_param"),
    "targets": (_parameter("num_target", "2"), "xgb_param"),
    "base score": (_parameter("base_score", "[nan,0,0]"), "xgb_param"),
    "objective": (
        lambda v: v["learner"]["objective"].update(name="reg:quantileerror"),
        "xgb_param",
    ),
    "booster": (lambda v: v["learner"]["gradient_booster"].update(name="dart"), "xgb_param"),
    "another version": (lambda v: v.update(version=[1, 0, 0]), "xgb_param"),
    "no version": (lambda v: v.update(version=[3, 2, "0"]), "xgb_param"),
    "cover": (_set("sum_hessian", 0, 1.0), "xgb_tree"),
    "another field": (lambda v: v["learner"].update(more=1), "weights_format"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_manipulated_forest_is_refused(value: Any, attack: str) -> None:
    change, code = ATTACKS[attack]
    change(value)
    with pytest.raises(Unfit) as unfit:
        _xgboost_file.refuse(value, SHAPE[0], CLASSES)
    assert unfit.value.code == code


@pytest.mark.parametrize(
    "weights", [b"", b"binf\x00", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner"]
)
def test_other_formats_of_xgboost_are_refused(weights: bytes) -> None:
    with pytest.raises(ValueError):
        find("gbt").load(weights, SHAPE, CLASSES)
