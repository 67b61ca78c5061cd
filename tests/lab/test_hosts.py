"""The register of virtual hosts."""

from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.lab.hosts import Host, hosts

BLOCK = """
[[host]]
name = "x"
arch = "x86_64"
machine = "pc"
cpu = "qemu64"
memory_mb = 96
vcpus = 1
bus = "pci"
kernel = ""
background = "idle"
files = 10
mean_kb = 10
programs = ["idle"]
never = []
"""


def test_sixteen_hosts_of_five_kinds_and_one_never_scans() -> None:
    known = hosts().values()
    assert len(known) >= 16
    assert len({one.kind for one in known}) >= 5
    assert {one.arch for one in known} == {"x86_64", "aarch64", "arm"}
    assert len({one.memory_mb for one in known}) >= 8
    assert len({one.cpu for one in known}) >= 8
    assert {one.vcpus for one in known} == {1, 2}
    assert [one.never for one in known].count(("scan-and-dial",)) == 1


def test_the_first_ten_hosts_are_those_of_the_first_corpus() -> None:
    assert list(hosts())[:10] == [
        "pc-small",
        "pc-tick",
        "q35-build",
        "q35-edge",
        "arm-desk",
        "arm-store",
        "pc-yard",
        "q35-desk",
        "arm-gate",
        "arm-rack",
    ]


def test_a_block_is_a_host(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(BLOCK)
    (one,) = hosts(path).values()
    assert isinstance(one, Host)
    assert one.programs == ("idle",)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "x"', 'name = "x"\nflavour = "new"', "flavour"),
        ('bus = "pci"', 'bus = "mmio"', "bus mmio"),
        ('machine = "pc"', 'machine = "microvm"', "microvm"),
        (
            "memory_mb = 96",
            'memory_mb = "96"',
            "host[0]: memory_mb: is '96'; expected a whole number",
        ),
        ('programs = ["idle"]', "programs = []", "programs is empty"),
        ('cpu = "qemu64"', "", "host[0]: cpu: is missing; expected a table with name"),
        ('cpu = "qemu64"', "cpu = ", "Invalid value (at line 6"),
    ],
)
def test_a_wrong_block_is_refused_by_field(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(BLOCK.replace(old, new))
    with pytest.raises(Refused, match=r"hosts\.toml") as refused:
        hosts(path)
    assert expected in str(refused.value)


def test_a_duplicate_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(BLOCK + BLOCK)
    with pytest.raises(Refused, match="host x twice"):
        hosts(path)
