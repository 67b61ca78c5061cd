"""Every load profile there is, found by being there."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.paths import ROOT

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.lab import image, plan
from phasewatch.lab.hosts import host, hosts
from phasewatch.lab.profile import BENIGN, PHASES, Act, Profile, profile, profiles, schedule

ALL = sorted(profiles())
CORPUS = ROOT / "plans" / "corpus.toml"


def acts(name: str, seed: int, on: str = "pc-small", seconds: float = 90) -> tuple[Act, ...]:
    chosen = profile(name)
    return schedule(chosen, chosen.samples[seed % 5], host(on), seed, seconds)


def test_phases_are_the_schemas() -> None:
    assert schema.vm46().classes == PHASES


@pytest.mark.parametrize("name", ALL)
def test_a_profile_has_five_samples_named_by_their_script(name: str) -> None:
    own = profile(name)
    assert len({sample.id for sample in own.samples}) == len(own.samples) >= 5
    assert own.meaning


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6), st.sampled_from(sorted(hosts())))
def test_a_schedule_opens_and_ends_benign_and_holds_its_spans(
    name: str, seed: int, on: str
) -> None:
    made = acts(name, seed, on)
    assert made == acts(name, seed, on)
    work = [act for act in made if act.slot == "work"]
    assert work[0].at_s == 0
    assert work[0].phase == work[-1].phase == BENIGN
    assert [act.at_s for act in made] == sorted(act.at_s for act in made)
    ends = [act.at_s for act in work[1:]] + [90.0]
    hostile = [(act, end) for act, end in zip(work, ends, strict=True) if act.phase != BENIGN]
    for act, end in hostile:
        assert act.at_s >= 14.99
        assert 7.99 <= end - act.at_s <= 25.01
    assert (name == BENIGN) == (not hostile)


@pytest.mark.parametrize("name", [name for name in ALL if name != BENIGN])
def test_the_clock_does_not_tell_the_phase(name: str) -> None:
    first = {
        round(next(act.at_s for act in acts(name, seed) if act.phase != BENIGN))
        for seed in range(0, 100, 5)
    }
    assert len(first) >= 4
    assert acts(name, 5) != acts(name, 10)


def test_too_short_is_refused_with_the_least() -> None:
    with pytest.raises(Refused, match="at least 68 s"):
        acts("scan-and-dial", 0, seconds=40)


def test_unknown_names_answer_with_the_list() -> None:
    with pytest.raises(Refused, match="mine-and-report"):
        profile("mine")
    with pytest.raises(Refused, match="pc-small"):
        host("pc")
    with pytest.raises(Refused, match="Choose one"):
        profile("benign").sample("nope")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[str, str]]]:
    """The load generator's own table: program, key, bounds."""
    if shutil.which("gcc") is None:
        pytest.skip("apt-get install gcc libc6-dev")
    built = tmp_path_factory.mktemp("load") / "load"
    source = str(image.GUEST / "load.c")
    subprocess.run(["gcc", "-O1", "-o", str(built), source, "-lpthread", "-lm"], check=True)
    told = subprocess.run([built, "programs"], capture_output=True, text=True, check=True).stdout
    programs: dict[str, dict[str, tuple[str, str]]] = {}
    for line in told.splitlines():
        name, *keys = line.split()
        programs[name] = {
            key.split("=")[0]: (key.split(":")[1].split("..")[0], key.split("..")[1])
            for key in keys
        }
    return programs


def lines() -> list[str]:
    """Every program line that a host or a profile may give to a guest."""
    own = [line for one in hosts().values() for line in (one.background, *one.programs)]
    own += [take.host.background for take in plan.read(CORPUS).takes]
    every: list[Profile] = list(profiles().values())
    scripts = [line.program for one in every for sample in one.samples for line in sample.lines]
    return sorted({*own, *scripts})


@pytest.mark.parametrize("line", lines())
def test_every_program_line_is_within_the_generators_bounds(
    line: str, table: dict[str, dict[str, tuple[str, str]]]
) -> None:
    name, *settings_ = line.split()
    assert name in table
    for setting in settings_:
        key, _, value = setting.partition("=")
        low, high = {**table["(every)"], **table[name]}[key]
        assert float(low) <= float(value) <= float(high)
