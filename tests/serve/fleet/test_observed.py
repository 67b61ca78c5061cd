"""What a machine shows is what its model predicted, and its incidents are those of `alerts`."""

from pathlib import Path

import numpy as np
import pytest

from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live.incidents import machine_incidents
from phasewatch.live.machine import Machine
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.fleet.observed import RIBBON, Observed
from phasewatch.serve.replay.library import Library
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def library(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Library:
    return Library(ProducerContext(Run(toy_out), toy_store))


def observed(library: Library, id: str, key: str) -> tuple[Observed, Machine]:
    """A machine that has seen an episode, and an observer that has seen nothing of it."""
    episode = library.read(id)
    seen = library.replayed(episode.id)[1]
    blank = library.machine(episode)
    return Observed(id, id, id, blank, library.ensemble.member(key)), seen


def test_a_machine_starts_without_a_prediction(library: Library, toy_store: Store) -> None:
    one, _ = observed(library, toy_store.ids()[0], "gbt.realistic")
    event = one.event()
    assert (event.state, event.label, event.p, event.ribbon) == ("starting", None, None, [])
    one.stopped = True
    assert one.event().state == "stopped"


def test_the_ribbon_and_the_phases_are_those_predicted(library: Library, toy_store: Store) -> None:
    one, seen = observed(library, toy_store.ids()[0], "gbt.realistic")
    member, labels = one.member, []
    assert member is not None
    for window in seen.predictions.values():
        one.take(window)
        p = member.probabilities(window.logits[member.key])
        labels.append(library.store.schema.classes[int(p.argmax())])
        event = one.event()
        assert [part.label for part in event.ribbon] == labels[-RIBBON:]
        assert event.p == [round(float(value), 4) for value in p]
        others = [
            name for name in window.logits if name.endswith("realistic") and name != member.key
        ]
        same = [window.logits[name].argmax() == p.argmax() for name in others]
        assert event.agreement_ratio == np.mean(same)
    run = next(n for n, label in enumerate([*labels[::-1], ""], 0) if label != labels[-1])
    since = list(seen.predictions.values())[-run].end_ns
    assert event.phase_since_ns == since


def test_incidents_and_their_ends_are_those_of_alerts(library: Library, toy_store: Store) -> None:
    count = 0
    for id in [id for id in toy_store.ids() if "dig" in id][:4]:
        one, seen = observed(library, id, "gbt.oracle")
        # A log holds what it has seen: give the observer's machine the same windows, one by one.
        found = {}
        for window in seen.predictions.values():
            for log in one.machine.incidents.values():
                log.add(window.end_ns, window.logits["gbt.oracle"])
            for finding in one.take(window):
                found[finding.incident.id] = finding
        expected = machine_incidents(seen, id, id, "gbt.oracle", None)
        assert [finding.incident for finding in found.values()] == expected
        for finding in found.values():
            count += 1
            opened_s = (finding.incident.opened_ns - one.machine.origin_ns) / 1e9
            assert finding.opened_at_s == opened_s and 1 <= len(finding.channels) <= 3
        incidents = [finding.incident for finding in found.values()]
        still = [incident.id for incident in incidents if incident.closed_ns is None]
        assert one.open_incident == (still[-1] if still else None)
        assert [finding.incident.id for finding in one.end()] == still
        assert one.open_incident is None
    assert count
