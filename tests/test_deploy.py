"""The files of deploy/, and the configuration that the how-to shows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.paths import ROOT

from phasewatch.attach.watch import config

UNIT = ROOT / "deploy" / "phasewatch-attach.service"
PAGE = ROOT / "docs" / "how-to" / "attach.md"


def test_the_configuration_of_the_how_to_is_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.DOTALL)
    path = tmp_path / "attach.toml"
    path.write_text(block)
    found = config.read(path)
    assert [one.kind for one in found.machine] == ["qemu", "libvirt"] and found.levels


def test_the_unit_gives_no_more_than_the_collectors_say_they_need() -> None:
    text = UNIT.read_text("utf-8")
    found = re.findall(r"^(?:AmbientCapabilities|CapabilityBoundingSet)=(.*)$", text, re.MULTILINE)
    assert found == ["CAP_NET_RAW CAP_SYS_PTRACE"] * 2
    for line in ("DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes"):
        assert f"\n{line}\n" in text


def test_systemd_takes_the_unit_and_rates_its_exposure(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/phasewatch/bin/phasewatch", "/bin/true"))
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True)
    assert UNIT.name not in done.stderr, done.stderr
    words = [program, "security", "--offline=true", "--threshold=40", "--no-pager", str(unit)]
    rated = subprocess.run(words, capture_output=True, text=True)
    assert rated.returncode == 0, rated.stdout[-200:]
