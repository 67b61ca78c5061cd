"""Strong peers on the windows that our models get; run by models.py in an environment of its own.

Reads `z` and `y` of train and validation, and `z` of what is asked, from one .npz; peers know no
early stopping, so they learn from train and validation together. Writes calls and seconds.
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier, MultiRocketHydraClassifier
from aeon.classification.interval_based import QUANTClassifier
from aeon.transformations.collection.feature_based import Catch22
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.pipeline import make_pipeline

BALANCED = {"class_weight": "balanced", "random_state": 0}
PEERS: dict[str, Callable[[], Any]] = {
    "MiniRocket, ridge (aeon)": lambda: MiniRocketClassifier(**BALANCED),
    "MultiRocket-Hydra, ridge (aeon)": lambda: MultiRocketHydraClassifier(**BALANCED),
    "QUANT, extra trees (aeon)": lambda: QUANTClassifier(**BALANCED),
    "catch22, extra trees (aeon)": lambda: make_pipeline(
        Catch22(replace_nans=True), ExtraTreesClassifier(200, **BALANCED)
    ),
}


def main(given: str, answers: str, *names: str) -> None:
    """Train peers on the windows in `given`, and write their predictions to `answers`.

    `names` are some of PEERS; without any, all are trained.
    """
    warnings.simplefilter("ignore")
    data = np.load(given)
    found = {}
    for name in names or PEERS:
        model = PEERS[name]()
        began = time.monotonic()
        model.fit(data["z"], data["y"])
        learned = time.monotonic()
        calls = np.asarray(model.predict(data["asked"]), dtype=np.int64)
        found[name] = calls
        found[f"{name} seconds"] = np.array([learned - began, time.monotonic() - learned])
        sys.stderr.write(f"  {name}: {learned - began:.0f} s\n")
    np.savez(answers, allow_pickle=False, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
