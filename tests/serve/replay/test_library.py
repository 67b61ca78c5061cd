"""A library remembers a few replayed episodes, and knows each host's past."""

from dataclasses import replace
from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.replay.library import REMEMBERED, Library
from phasewatch.store.local import Store
from phasewatch.windowing import POOLED_OPENINGS


@pytest.fixture(scope="module")
def library(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Library:
    return Library(ProducerContext(Run(toy_out), toy_store))


def test_members_have_the_temperatures_of_the_report(library: Library, toy_run: RunResult) -> None:
    assert library.ensemble.members
    rows = {f"{row.model}.{row.mode}": row for row in toy_run.report.rows}
    for member in library.ensemble.members:
        assert member.temperature == rows[member.key].temperatures[0]


def test_a_replayed_episode_is_remembered(library: Library, toy_store: Store) -> None:
    ids = toy_store.ids()[: REMEMBERED + 1]
    first = library.replayed(ids[0])
    assert library.replayed(ids[0])[1] is first[1]
    for id in ids[1:]:
        library.replayed(id)
    assert library.replayed(ids[0])[1] is not first[1]


def test_the_split_is_that_of_the_checkpoints(library: Library, toy_run: RunResult) -> None:
    words, roles = library.split()
    split = toy_run.predictions.folds[0].split
    assert words is not None and split.held_out in words
    assert {id for id, role in roles.items() if role == "train"} == set(split.train)


def test_without_a_run_there_are_no_models_and_no_split(toy_store: Store) -> None:
    library = Library(ProducerContext(None, toy_store))
    assert library.ensemble.members == () and library.scale is None
    assert library.split() == (None, {})


def test_history_holds_earlier_episodes_of_the_same_host(library: Library) -> None:
    episodes = [library.read(id) for id, one in library.manifests.items() if one.host == "alpha"]
    first = min(episodes, key=lambda one: one.start_ns)
    assert library.past(first) == []
    later = replace(first, id="later", start_ns=first.start_ns + 10**15)
    assert len(library.past(later)) == min(len(episodes), POOLED_OPENINGS - 1) > 0
    assert library.past(replace(later, host="nobody")) == []


def test_an_unknown_episode_is_refused(library: Library) -> None:
    with pytest.raises(Refused, match="has no episode 'nobody'"):
        library.read("nobody")
