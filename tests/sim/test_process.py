"""The process: what runs decides what is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from phasewatch import schema
from phasewatch.features.views import Array
from phasewatch.lab.timetable import Act
from phasewatch.sim.fit import PACKAGED_FIT, Fit
from phasewatch.sim.process import Process, Running

VM46 = schema.vm46()
FIT = Fit.load(PACKAGED_FIT, VM46)
HOST = list(FIT.hosts).index("pc-tick")


def drawn(program: str, phase: str = "benign", fit: Fit = FIT, episodes: int = 30) -> Array:
    """Median log1p rates of episodes in which one program runs beside an idle side."""
    acts = [Act(0.0, "work", phase, program), Act(0.0, "side", "benign", "idle")]
    zeros = np.zeros(60, np.int64)
    running = Running(acts, zeros, zeros + 1, zeros + VM46.classes.index(phase))
    process, generator = Process(fit), np.random.default_rng(1)
    steps = [process.draw(running, HOST, 0, generator) for _ in range(episodes)]
    return np.asarray(np.log1p(np.concatenate(steps)).mean(axis=0))


def test_a_program_that_works_the_network_does_so() -> None:
    packets = VM46.names.index("netflow.pkts_in")
    assert drawn("download rate_kbs=2000")[packets] > drawn("idle")[packets] + 1


def test_a_rare_call_is_less_than_a_frequent_one() -> None:
    packets = VM46.names.index("netflow.pkts_out")
    rare = drawn("beacon period_s=90", "command_and_control")
    frequent = drawn("beacon period_s=1", "command_and_control")
    assert rare[packets] < frequent[packets]


def test_acts_of_the_same_settings_are_more_alike_with_a_larger_share() -> None:
    def spread(share: float) -> float:
        fit = replace(FIT, repeats=np.asarray(share, np.float16))
        acts = [Act(0.0, "work", "impact", "hash duty=90")]
        zeros = np.zeros(40, np.int64)
        running = Running(acts, zeros, zeros, zeros + VM46.classes.index("impact"))
        process, generator = Process(fit), np.random.default_rng(2)
        means = [
            np.log1p(process.draw(running, HOST, 0, generator)).mean(axis=0) for _ in range(40)
        ]
        return float(np.var(means, axis=0).mean())

    assert spread(1.0) < 0.8 * spread(0.0)


@pytest.mark.parametrize("phase", VM46.classes)
def test_rates_stay_within_the_quantiles(phase: str) -> None:
    label = VM46.classes.index(phase)
    rates = drawn("idle", phase, episodes=3)
    ends = np.log1p(FIT.quantiles[HOST, label])
    assert (rates >= ends[:, 0] - 1e-4).all()
    assert (rates <= ends[:, -1] + 1e-4).all()
