"""Boosted trees (XGBoost, hist): the model to beat on tabular telemetry.

Every node has a branch for missing values, so a window without a source needs no imputation.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import xgboost

from phasewatch.features.views import Array
from phasewatch.models import _xgboost_file
from phasewatch.models.base import (
    THREADS,
    UNMONITORED,
    Classifier,
    Data,
    Epoch,
    TrainingMonitor,
)


@dataclass(frozen=True)
class Config:
    """Hyperparameters under the names of XGBoost. Another `nthread` gives another model."""

    max_depth: int = 6
    eta: float = 0.1
    subsample: float = 0.8
    colsample_bytree: float = 0.5
    min_child_weight: float = 5.0
    rounds: int = 600
    patience: int = 30
    nthread: int = THREADS


STOPPING = ("rounds", "patience")
"""Hyperparameters that say when training stops."""


class _RoundReporter(xgboost.callback.TrainingCallback):
    """Reports every round as an epoch; the score is minus the loss of the windows `of`.

    Those of validation stop the training.
    """

    def __init__(self, watch: TrainingMonitor, rounds: int, of: str = "validation") -> None:
        self._watch, self._rounds, self._of = watch, rounds, of
        self._began = time.monotonic()

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report a round, called by XGBoost. Return False, so that training continues."""
        now = time.monotonic()
        loss = evals_log[self._of]["mlogloss"][epoch]
        self._watch.on_epoch(Epoch(epoch + 1, self._rounds, loss, -loss, now - self._began))
        self._began = now
        return False


class _Blocks(xgboost.DataIter):
    """Gives XGBoost the windows of a training block by block; it keeps their quantiles alone."""

    def __init__(self, data: Data) -> None:
        self._data, self._weight = data, data.weight
        self.reset()
        super().__init__(release_data=True)

    def reset(self) -> None:
        """Begin anew, called by XGBoost before each of its passes."""
        self._blocks, self._at = self._data.blocks(), 0

    def next(self, input_data: Callable[..., None]) -> bool:
        """Give the next block to `input_data`; return whether there was one."""
        z = next(self._blocks, None)
        if z is None:
            return False
        rows = slice(self._at, self._at + len(z))
        self._at = rows.stop
        single = z.astype(np.float32)
        input_data(data=single, label=self._data.y[rows], weight=self._weight[rows])
        return True


class Model(Classifier):
    """Gradient-boosted trees with early stopping on the validation set's weighted mlogloss."""

    view = "summary"
    suffix = "xgb.json"

    def __init__(self, classes: int, seed: int = 0) -> None:
        """Create an untrained model; `Config` has what is fixed."""
        self._classes = classes
        self._seed = seed
        self._config = Config()
        self._booster = xgboost.Booster()

    @property
    def config(self) -> dict[str, Any]:
        """The hyperparameters in `Config`."""
        return asdict(self._config)

    @property
    def parameters(self) -> int:
        """The number of nodes of all trees."""
        return sum(tree.count("\n") for tree in self._booster.get_dump())

    def fit(
        self, train: Data, validation: Data, watch: TrainingMonitor = UNMONITORED, cluster: str = ""
    ) -> None:
        """Fit up to `rounds` trees a class, and keep those up to the best round on `validation`."""
        parameters, rounds = self._parameters(), self._config.rounds
        chosen = xgboost.callback.EarlyStopping(
            rounds=self._config.patience,
            metric_name="mlogloss",
            data_name="validation",
            save_best=True,
        )
        reporter = _RoundReporter(watch, rounds)
        how: dict[str, Any] = {"num_boost_round": rounds, "verbose_eval": False}
        if cluster:
            parts = (train, validation)
            result = self._train_on_cluster(
                cluster, parameters, {**how, "callbacks": [chosen]}, parts
            )
            self._booster = result["booster"]
            for number, _ in enumerate(result["history"]["validation"]["mlogloss"]):
                reporter.after_iteration(None, number, result["history"])
            return
        self._booster = xgboost.train(
            parameters,
            matrix := self._matrix(train),
            evals=[(self._matrix(validation, matrix), "validation")],
            callbacks=[chosen, reporter],
            **how,
        )

    @property
    def choices(self) -> dict[str, float]:
        """The rounds that were kept."""
        return {"rounds": float(self._booster.num_boosted_rounds())}

    def refit(
        self, train: Data, choices: Mapping[str, float], watch: TrainingMonitor = UNMONITORED
    ) -> None:
        """Fit as many trees a class as there are rounds in `choices`."""
        parameters, rounds = self._parameters(), max(round(choices["rounds"]), 1)
        matrix = self._matrix(train)
        reporter = _RoundReporter(watch, rounds, "train")
        self._booster = xgboost.train(
            parameters,
            matrix,
            num_boost_round=rounds,
            evals=[(matrix, "train")],
            callbacks=[reporter],
            verbose_eval=False,
        )

    def _parameters(self) -> dict[str, Any]:
        """Return the parameters of XGBoost, which do not say how many rounds there are."""
        chosen = {key: value for key, value in self.config.items() if key not in STOPPING}
        return chosen | {
            "objective": "multi:softprob",
            "num_class": self._classes,
            "eval_metric": "mlogloss",
            "tree_method": "hist",
            "seed": self._seed,
        }

    def _train_on_cluster(
        self,
        cluster: str,
        parameters: dict[str, Any],
        how: dict[str, Any],
        parts: tuple[Data, Data],
    ) -> dict[str, Any]:
        """Train like `xgboost.train`, with a part of the windows on each Dask worker."""
        import dask.array
        from xgboost import dask as xgboost_dask

        from phasewatch.io.executors import connected

        with connected(cluster) as client:
            count = len(client.scheduler_info(n_workers=-1)["workers"])

            def matrix(data: Data) -> Any:
                z, y, w = (
                    dask.array.from_array(array, chunks=(-(-len(array) // count), *array.shape[1:]))
                    for array in (data.read(), data.y, data.weight)
                )
                return xgboost_dask.DaskDMatrix(client, z, y, weight=w)

            train, validation = map(matrix, parts)
            evals = [(validation, "validation")]
            result: dict[str, Any] = xgboost_dask.train(
                client, parameters, train, evals=evals, **how
            )
            return result

    def _matrix(self, data: Data, train: xgboost.DMatrix | None = None) -> xgboost.DMatrix:
        """Return the matrix of windows; of those that are read in blocks, one of their quantiles.

        The quantiles are those of `train`, where it has some.
        """
        threads = self._config.nthread
        if (z := data.whole) is not None:
            return xgboost.DMatrix(z, label=data.y, weight=data.weight, nthread=threads)
        known = train if isinstance(train, xgboost.QuantileDMatrix) else None
        return xgboost.QuantileDMatrix(_Blocks(data), ref=known, nthread=threads)

    def logits(self, z: Array) -> Array:
        """Return the sum of the leaf values of each class, `[N,K]`."""
        matrix = xgboost.DMatrix(z, nthread=self._config.nthread)
        margins: Array = self._booster.predict(matrix, output_margin=True)
        return margins.astype("float64").reshape(len(z), self._classes)

    def contributions(self, z: Array) -> Array:
        """Return XGBoost's TreeSHAP (Lundberg et al., Nature Machine Intelligence 2, 2020)."""
        matrix = xgboost.DMatrix(z, nthread=self._config.nthread)
        values: Array = self._booster.predict(matrix, pred_contribs=True)
        return values.astype("float64").reshape(len(z), self._classes, -1).swapaxes(1, 2)

    def save(self) -> bytes:
        """Return the trees as XGBoost's JSON."""
        return bytes(self._booster.save_raw("json"))

    @classmethod
    def load(cls, weights: bytes, shape: tuple[int, ...], classes: int) -> Self:
        """Load XGBoost's JSON after checking every tree of it: XGBoost itself checks little."""
        _xgboost_file.refuse(json.loads(weights), shape[0], classes)
        model = cls(classes)
        try:
            model._booster.load_model(bytearray(weights))
        except xgboost.core.XGBoostError as error:
            raise ValueError(str(error).partition("\n")[0]) from error
        model._booster.set_param({"nthread": model._config.nthread})
        return model

    def onnx(self, shape: tuple[int, ...]) -> bytes:
        """Return a tree ensemble whose margins are not turned into probabilities."""
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        graph = convert_xgboost(
            self._booster, initial_types=[("z", FloatTensorType([None, *shape]))], target_opset=15
        )
        (trees,) = (node for node in graph.graph.node if node.op_type == "TreeEnsembleClassifier")
        (after,) = (one for one in trees.attribute if one.name == "post_transform")
        after.s = b"NONE"
        trees.output[1] = "logits"
        del graph.graph.output[0]
        graph.graph.output[0].name = "logits"
        return bytes(graph.SerializeToString())
