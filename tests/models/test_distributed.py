"""Past one machine: two real workers give what one process gives, within the seeds' spread."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import toy

from phasewatch.errors import Refused
from phasewatch.experiment import pipeline
from phasewatch.store.local import Store
from phasewatch.training.jobs import Workers

distributed = pytest.importorskip("distributed", reason="pip install phasewatch[cluster]")
BOTH = replace(toy.RECIPE, models=("mlp", "gbt"), modes=("oracle",))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster of two processes on this machine."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield str(cluster.scheduler_address)


def scores(store: Store, out: Path, cluster: str = "", seed: int = 0) -> dict[str, float]:
    recipe = replace(BOTH, seed=seed)
    done = pipeline.run(recipe, store, out, lambda line: None, Workers(cluster=cluster))
    return {row.model: row.unseen.value for row in done.report.rows}


@pytest.mark.filterwarnings("ignore")
def test_two_workers_score_as_one_process_does(
    address: str, toy_store: Store, tmp_path: Path
) -> None:
    alone = [scores(toy_store, tmp_path / str(seed), seed=seed) for seed in range(3)]
    together = scores(toy_store, tmp_path / "cluster", address)
    for model in ("mlp", "gbt"):
        values = [one[model] for one in alone]
        spread = max(values) - min(values)
        assert min(values) - spread - 0.05 <= together[model] <= max(values) + spread + 0.05


def test_an_unreachable_cluster_is_refused_in_one_line(toy_store: Store, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not answer"):
        scores(toy_store, tmp_path, "tcp://127.0.0.1:9")
