"""Checks of the structure of XGBoost's JSON, made before XGBoost loads it.

XGBoost trusts a file: a child out of range ends the process, and nodes in another order change the
predictions silently. So only files that training can write are loaded: every tree is walked from
its root, and anything but numeric trees for one softmax is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch.models.base import Unfit

ROOT = 2**31 - 1
"""The number that XGBoost writes as the parent of a root."""

MOST_NODES = 4096
"""Most nodes of a tree; TreeSHAP recurses to the depth of a tree."""

OLDEST = [2, 1, 0]
"""The oldest version of a file; XGBoost reads older files by other rules."""

INTEGERS = (
    "left_children",
    "right_children",
    "parents",
    "split_indices",
    "split_type",
    "default_left",
)
REALS = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
TREE = {*INTEGERS, *REALS, *CATEGORIES, "id", "tree_param"}
NO_CATEGORIES: dict[str, list[int]] = {"enc": [], "feature_segments": [], "sorted_idx": []}


def refuse(value: Any, features: int, classes: int) -> None:
    """Raise Unfit unless the JSON is a forest of numeric trees on `features` for `classes`."""
    file = _fields(value, {"learner", "version"})
    learner = _fields(file["learner"], LEARNER)
    version = file["version"]
    if not isinstance(version, list) or [*map(type, version)] != [int] * 3 or version < OLDEST:
        raise Unfit("xgb_param", f"of another version than {OLDEST} and later")
    _refuse_parameters(learner, features, classes)
    booster = _fields(learner["gradient_booster"], {"model", "name"})
    if booster["name"] != "gbtree":
        raise Unfit("xgb_param", f"the booster is {booster['name']!r}, not 'gbtree'")
    model = _fields(booster["model"], MODEL)
    trees = _list(model["trees"])
    _refuse_order(model, len(trees), classes)
    for number, tree in enumerate(trees):
        _tree(_fields(tree, TREE), number, features)


LEARNER = {
    "attributes",
    "feature_names",
    "feature_types",
    "gradient_booster",
    "learner_model_param",
    "objective",
}
MODEL = {"cats", "gbtree_model_param", "iteration_indptr", "tree_info", "trees"}


def _fields(value: Any, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict) or value.keys() - {"cats"} != names - {"cats"}:
        raise Unfit("weights_format", f"the fields are not {', '.join(sorted(names))}")
    return value


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise Unfit("weights_format", "a value is not a list")
    return value


def _refuse_parameters(learner: Mapping[str, Any], features: int, classes: int) -> None:
    """Raise Unfit unless the file states these numbers of features and classes, and a softmax."""
    stated = learner["learner_model_param"]
    expected = {"num_class": str(classes), "num_feature": str(features), "num_target": "1"}
    found = {name: stated.get(name) for name in expected} if isinstance(stated, dict) else {}
    if found != expected:
        raise Unfit("xgb_param", f"it states {found}, not {expected}")
    base = np.array([float(one) for one in str(stated.get("base_score")).strip("[]").split(",")])
    if len(base) not in (1, classes) or not np.isfinite(base).all():
        raise Unfit("xgb_param", f"base_score has {len(base)} numbers for {classes} classes")
    objective = {"name": "multi:softprob", "softmax_multiclass_param": {"num_class": str(classes)}}
    if learner["objective"] != objective:
        raise Unfit("xgb_param", f"the objective is not {objective}")
    if learner["feature_names"] or learner["feature_types"]:
        raise Unfit("xgb_param", "features have names or types, which are not used here")
    attributes = learner["attributes"]
    if not isinstance(attributes, dict) or not attributes.keys() <= {
        "best_iteration",
        "best_score",
    }:
        raise Unfit("xgb_param", "it has attributes that training does not set")


def _refuse_order(model: Mapping[str, Any], trees: int, classes: int) -> None:
    """Raise Unfit unless every round has one tree for each class, in the order of classes."""
    if model.get("cats", NO_CATEGORIES) != NO_CATEGORIES:
        raise Unfit("xgb_param", "it has categories")
    if model["gbtree_model_param"] != {"num_parallel_tree": "1", "num_trees": str(trees)}:
        raise Unfit("xgb_param", f"gbtree_model_param does not state {trees} trees")
    if trees % classes or model["tree_info"] != list(range(classes)) * (trees // classes):
        raise Unfit("xgb_tree", "tree_info is not one tree a class in each round")
    if model["iteration_indptr"] != list(range(0, trees + 1, classes)):
        raise Unfit("xgb_tree", "iteration_indptr is not one tree a class in each round")


def _tree(tree: Mapping[str, Any], number: int, features: int) -> None:
    """Raise Unfit unless every node is reached once from the root, and splits on a feature."""

    def bad(problem: str) -> Unfit:
        return Unfit("xgb_tree", f"tree {number}: {problem}")

    nodes = len(_list(tree["left_children"]))
    about = {
        "num_deleted": "0",
        "num_feature": str(features),
        "num_nodes": str(nodes),
        "size_leaf_vector": "1",
    }
    if tree["tree_param"] != about or tree["id"] != number or not 0 < nodes <= MOST_NODES:
        raise bad(f"its id or tree_param is not that of {nodes} nodes and {features} features")
    if any(_list(tree[name]) for name in CATEGORIES):
        raise bad("it splits on categories")
    integers = {name: _numbers(tree[name], int, nodes, bad) for name in INTEGERS}
    reals = [_numbers(tree[name], float, nodes, bad) for name in REALS]
    # XGBoost stores float32, in which a number may be infinite that is finite as a double.
    if not all((np.abs(numbers) <= np.finfo(np.float32).max).all() for numbers in reals):
        raise bad("it holds a number that is not finite")
    _walk(integers, bad)
    left, right = integers["left_children"], integers["right_children"]
    inner = np.flatnonzero(left != -1)
    cover = reals[REALS.index("sum_hessian")]
    if not np.allclose(cover[left[inner]] + cover[right[inner]], cover[inner], rtol=1e-3, atol=0):
        raise bad("what its nodes cover, which TreeSHAP weighs by, does not add up")
    split = integers["split_indices"]
    if (split < 0).any() or (split >= features).any():
        raise bad(f"it splits on a feature beyond {features}")
    if integers["split_type"].any() or not np.isin(integers["default_left"], [0, 1]).all():
        raise bad("it has a split that is not numeric")


def _walk(integers: Mapping[str, NDArray[np.int64]], bad: Any) -> None:
    """Raise Unfit unless all nodes are one tree, children behind their parents."""
    left, right = integers["left_children"], integers["right_children"]
    nodes = len(integers["parents"])
    inner = np.flatnonzero(left != -1)
    if (right[left == -1] != -1).any() or (right[inner] != left[inner] + 1).any():
        raise bad("a right child does not follow its left one")
    if (
        sorted([*left[inner], *right[inner]]) != list(range(1, nodes))
        or (left[inner] <= inner).any()
    ):
        raise bad("a node is reached twice, or never, or from below")
    parents = np.full(nodes, ROOT)
    parents[left[inner]] = parents[right[inner]] = inner
    if (integers["parents"] != parents).any():
        raise bad("parents and children disagree")


def _numbers(value: Any, kind: type, nodes: int, bad: Any) -> NDArray[Any]:
    allowed = (int,) if kind is int else (int, float)
    if len(_list(value)) != nodes or not all(type(one) in allowed for one in value):
        raise bad(f"its arrays are not {nodes} numbers each")
    if not all(-(2**31) <= one <= ROOT for one in value if type(one) is int):
        raise bad("a number has more than 32 bits")
    return np.array(value, dtype=np.int64 if kind is int else np.float64)
