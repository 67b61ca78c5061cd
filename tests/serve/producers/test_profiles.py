"""Every profile is counted once, and what was never recorded is 0, not missing."""

from pathlib import Path
from threading import Event as Signal

from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve.events import Event, ProducerContext
from phasewatch.serve.producers import profiles
from phasewatch.serve.producers.profiles import ProfileSummary
from phasewatch.store.local import Store


def summaries(given: ProducerContext) -> dict[str, ProfileSummary]:
    found: dict[str, ProfileSummary] = {}

    def hear(event: Event) -> None:
        assert isinstance(event, ProfileSummary)
        found[event.subject] = event

    profiles.Producer(given, hear).work(Signal())
    return found


def test_profiles_of_a_store(toy_store: Store, toy_run: RunResult) -> None:
    found = summaries(ProducerContext(None, toy_store))
    assert set(found) == set(toy_run.report.profiles)
    total = sum(one.episodes.accepted for one in found.values())
    assert total == len(toy_store.ids())
    for one in found.values():
        assert sum(host.episodes for host in one.hosts) == one.episodes.accepted
        assert abs(sum(one.phase_share_ratio.values()) - 1) < 0.01
        assert one.coverage == []
        sizes = [top.importance for top in one.top_channels]
        assert sizes == sorted(sizes, reverse=True)


def test_coverage_is_the_splits(toy_store: Store, toy_run: RunResult, toy_out: Path) -> None:
    found = summaries(ProducerContext(Run(toy_out), toy_store))
    split = toy_run.predictions.folds[0].split
    assert sum(one.coverage[0].test for one in found.values()) == len(split.test)
    assert sum(one.coverage[0].train for one in found.values()) == len(split.train)
    assert all(
        one.coverage[0].status == ("tested" if one.coverage[0].test else "untested")
        for one in found.values()
    )


def test_without_a_store_nothing_is_published() -> None:
    assert summaries(ProducerContext(None, None)) == {}
