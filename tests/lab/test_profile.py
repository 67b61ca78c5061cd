"""Load profiles: every file of the folder, their samples and their schedules."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.lab import image, plan
from phasewatch.lab.hosts import host, hosts
from phasewatch.lab.profile import (
    BENIGN,
    PHASES,
    Profile,
    catalogue,
    profile,
    profiles,
    read,
)

ALL = sorted(profiles())
EVERY = sorted(catalogue())
PLANS = Path(__file__).parent.parent.parent / "plans"
FIRST = (
    "beacon-and-wait",
    "benign",
    "collect-and-send",
    "encrypt-and-notify",
    "flood-on-order",
    "mine-and-report",
    "scan-and-dial",
)
"""The profiles of the first corpus; others may be added beside them."""
LISTED = "13c2d539ef53"


def test_phases_are_the_schemas() -> None:
    assert schema.vm46().classes == PHASES


@pytest.mark.parametrize("name", ALL)
def test_a_profile_has_five_samples_named_by_their_script(name: str) -> None:
    chosen = profile(name)
    assert len({sample.id for sample in chosen.samples}) == len(chosen.samples) >= 5
    assert chosen.meaning


def test_listed_samples_have_the_ids_of_the_first_corpus() -> None:
    """Their ids name what was recorded; an edit of a script would be another sample."""
    ids = " ".join(sample.id for name in FIRST for sample in profile(name).samples)
    assert hashlib.sha256(ids.encode()).hexdigest()[:12] == LISTED


@pytest.mark.parametrize("name", EVERY)
def test_a_profile_has_many_samples_drawn_from_its_spaces(name: str) -> None:
    chosen = profile(name)
    assert len(chosen.drawn) >= 25
    assert len({sample.id for sample in chosen.every}) == len(chosen.every)
    assert chosen.every == profile(name).every
    for sample in chosen.every:
        hostile = {line.phase for line in sample.lines} - {BENIGN}
        assert bool(hostile) != name.startswith(BENIGN)


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith(BENIGN)])
def test_some_samples_are_low_and_slow(name: str) -> None:
    """Commands every half minute or less often, in at least five of them."""
    slow = [
        sample
        for sample in profile(name).drawn
        if any(
            line.phase == "command_and_control" and line.setting("period_s", 0) >= 15
            for line in sample.lines
        )
    ]
    assert len(slow) >= 5


def test_a_file_with_a_bad_space_is_refused_by_field(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    good = """
name = "x"
meaning = "m"
ordered = true
[[space]]
name = "s"
draws = 3
script = "discovery walk rate=10~500"
"""
    path.write_text(good)
    assert len(read(path).drawn) == 3
    for old, new, expected in (
        ("draws = 3", "draws = 2", "fewer than 3"),
        ("draws = 3", "draws = 0", "space[0]: draws"),
        ("10~500", "500~10", "500 to 10 is no range"),
        ("discovery", "searching", "is not PHASE PROGRAM"),
        ('meaning = "m"', "", "meaning: is missing; expected a table with name"),
        ('meaning = "m"', 'meaning = "m"\ncolour = 1', "colour"),
    ):
        path.write_text(good.replace(old, new))
        with pytest.raises(Refused, match=r"x\.toml") as refused:
            read(path)
        assert expected in str(refused.value)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(Refused, match="mine-and-report"):
        profile("mine")
    with pytest.raises(Refused, match="pc-small"):
        host("pc")
    with pytest.raises(Refused, match="Choose one"):
        profile("benign").sample("nope")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[str, str]]]:
    """The bounds of each setting by program and key, as the load generator prints them."""
    if shutil.which("gcc") is None:
        pytest.skip("apt-get install gcc libc6-dev")
    built = tmp_path_factory.mktemp("load") / "load"
    source = str(image.GUEST / "load.c")
    subprocess.run(["gcc", "-O1", "-o", str(built), source, "-lpthread", "-lm"], check=True)
    listing = subprocess.run([built, "programs"], capture_output=True, text=True, check=True).stdout
    programs: dict[str, dict[str, tuple[str, str]]] = {}
    for line in listing.splitlines():
        name, *keys = line.split()
        programs[name] = {
            key.split("=")[0]: (key.split(":")[1].split("..")[0], key.split("..")[1])
            for key in keys
        }
    return programs


def lines() -> list[str]:
    """Every program line that a host or a profile may give to a guest."""
    programs = [line for one in hosts().values() for line in (one.background, *one.programs)]
    for name in ("corpus", "large"):
        programs += [take.host.background for take in plan.read(PLANS / f"{name}.toml").takes]
    every: list[Profile] = list(catalogue().values())
    scripts = [line.program for one in every for sample in one.every for line in sample.lines]
    return sorted({*programs, *scripts})


def test_every_program_line_is_within_the_generators_bounds(
    table: dict[str, dict[str, tuple[str, str]]],
) -> None:
    for line in lines():
        name, *settings_ = line.split()
        assert name in table, line
        for setting in settings_:
            key, _, value = setting.partition("=")
            low, high = {**table["(every)"], **table[name]}[key]
            assert float(low) <= float(value) <= float(high), line
