"""A producer that fails is named with its reason, and leaves the others running."""

from pathlib import Path

from tests.served import serving, until

from phasewatch.experiment.run import Run
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.store.local import Store


def test_a_refused_producer_reports_it_and_others_continue(
    tmp_path: Path, toy_store: Store
) -> None:
    (tmp_path / "report.json").write_text("{}")
    with serving(ProducerContext(Run(tmp_path), toy_store), Access()) as one:
        until(lambda: "metrics" in one.runtime.failures and "replay" in one.runtime.failures)
        status = {row["name"]: row for row in one.get("/api/producers")}
        assert "report.json" in status["metrics"]["trouble"]
        assert "report.json" in status["replay"]["trouble"]
        assert status["perf"]["trouble"] is None
        assert one.ask("/healthz")[0] == 503


def test_a_run_without_checkpoints_is_refused(tmp_path: Path, toy_store: Store) -> None:
    with serving(ProducerContext(Run(tmp_path), toy_store), Access()) as one:
        until(lambda: "replay" in one.runtime.failures)
        assert "no checkpoints" in one.runtime.failures["replay"]
