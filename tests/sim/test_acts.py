"""Acts: those of a recorded episode follow from its manifest."""

from dataclasses import replace

import numpy as np
import pytest
from tests import toy
from tests.sim.made_up import VM46

from phasewatch.episode import Episode, Label
from phasewatch.lab.hosts import hosts
from phasewatch.lab.profile import catalogue, schedule
from phasewatch.lab.timetable import Act
from phasewatch.schema import NS
from phasewatch.sim.acts import Programs, acts_of, by_slot, intensity, recorded_acts, seed_of

HOSTS, PROFILES = hosts(), catalogue()


def recorded() -> tuple[Episode, tuple[Act, ...]]:
    """An episode as the lab would record it, and its schedule."""
    host, profile = HOSTS["pc-tick"], PROFILES["scan-and-dial"]
    sample = profile.drawn[3]
    there = host.model_copy(update={"background": "sync rate_kbs=30"})
    acts = schedule(profile, sample, there, 5, 180)
    episode = toy.episode(seconds=180)
    labels: list[Label] = []
    for act in acts:
        if act.slot == "work" and (not labels or labels[-1].phase != act.phase):
            labels.append(Label(episode.start_ns + round(act.at_s * NS), act.phase))
    named = replace(episode, host=host.name, profile=profile.name, sample=sample.id)
    notes = {"seed": 5, "background": "sync rate_kbs=30"}
    return replace(named, labels=tuple(labels), notes=notes), acts


def test_acts_are_those_of_the_schedule() -> None:
    episode, acts = recorded()
    assert acts_of(episode, HOSTS, PROFILES) == acts
    found = recorded_acts([toy.episode(), episode], VM46)
    assert len(found.work) == len(found.side) == 80 + 360
    work, side = by_slot(acts)
    late = found.work[80:]
    assert [found.acts[place] for place in np.unique(late)] == work
    assert {found.acts[place] for place in found.side[80:]} == set(side)
    for step in (0, 100, 359):
        running = [act for act in work if act.at_s < (step + 1) / 2][-1]
        assert found.acts[late[step]] == running


@pytest.mark.parametrize("change", ["labels", "host", "sample", "seed"])
def test_an_episode_without_its_schedule_has_an_act_for_each_label(change: str) -> None:
    episode, _ = recorded()
    other = {
        "labels": {"labels": episode.labels[:-1]},
        "host": {"host": "elsewhere"},
        "sample": {"sample": "unknown"},
        "seed": {"notes": {"background": "idle"}},
    }[change]
    changed = replace(episode, **other)  # type: ignore[arg-type]
    acts = acts_of(changed, HOSTS, PROFILES)
    assert [act.phase for act in acts] == [label.phase for label in changed.labels]
    assert {act.program for act in acts} == {""}


def test_intensity_rises_with_the_rate_and_falls_with_the_period() -> None:
    def of(program: str) -> float:
        return intensity(Act(0.0, "work", "benign", program))

    assert of("spawn rate=4 payload_s=8") > of("spawn rate=2 payload_s=8")
    assert of("beacon period_s=90") < of("beacon period_s=3")
    assert np.isnan(of("idle"))


def test_programs_have_a_column_and_a_slope() -> None:
    acts = [Act(0.0, "work", "benign", f"serve rate={rate}") for rate in (1, 10, 100)]
    idle, unknown = Act(0.0, "side", "benign", "idle"), Act(0.0, "work", "benign", "office rate=1")
    programs = Programs.of([*acts, idle])
    assert programs.names == ("side idle", "work serve")
    assert programs.design([*acts, idle, unknown]) == pytest.approx(
        np.array([[0, 0, 1, -1], [0, 0, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]])
    )
    beyond = Act(0.0, "work", "benign", "serve rate=100000")
    assert programs.design([beyond])[0, 3] == 1


def test_acts_of_the_same_settings_share_a_seed() -> None:
    one, later = (Act(at, "work", "benign", "serve rate=1") for at in (0.0, 9.0))
    assert seed_of(one) == seed_of(later) != seed_of(replace(one, program="serve rate=2"))
