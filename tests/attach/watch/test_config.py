from pathlib import Path

import pytest

from phasewatch.attach.watch import config
from phasewatch.errors import Refused

FILE = """
bundle = "gbt.bundle"
out = "store"
label = "benign"

[[machine]]
kind = "qemu"
target = "web"

[[machine]]
kind = "libvirt"
target = "mail"
network = "counters"
"""


def test_machines_and_outputs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "attach.toml"
    path.write_text(FILE)
    found = config.read(path)
    assert [(one.kind, one.target, one.network) for one in found.machine] == [
        ("qemu", "web", "packets"),
        ("libvirt", "mail", "counters"),
    ]
    assert (found.bundle, found.out, found.label) == ("gbt.bundle", "store", "benign")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "machine: is missing"),
        ("machine = []", "machine"),
        ("[[machine]]\nkind = 7", "machine[0]: kind: is 7"),
        ("[[machine]]\nkind = 'qemu'\nnetwork = 'all'", "packets, counters or off"),
        ("[[machine]]\nkind = 'qemu'\nport = 1", "port: is an unknown field"),
        ("episode_s = 1\n[[machine]]\nkind = 'host'", "episode_s: is 1"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "attach.toml"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        config.read(path)
    assert message in str(refused.value) and "\n" not in str(refused.value)
