"""The registry of collectors is the folder; each says what it needs and cannot see."""

import pytest

from phasewatch.attach import collector
from phasewatch.attach.collector import Target, checked, kinds, of_kind
from phasewatch.errors import Refused


def test_the_folder_is_the_registry() -> None:
    assert kinds() == ("cgroup", "host", "libvirt", "qemu", "received")


@pytest.mark.parametrize("kind", kinds())
def test_every_collector_says_what_it_is(kind: str) -> None:
    found = of_kind(kind)
    assert found.kind == kind and found.needs and found.blind
    assert found.schema().name == found.schema_name
    assert found.options <= set(Target.model_fields)


@pytest.mark.parametrize("kind", ["", "moon", "_base", "../x"])
def test_an_unknown_kind_is_refused_with_the_known_ones(kind: str) -> None:
    with pytest.raises(Refused, match="one of cgroup, host, libvirt, qemu"):
        of_kind(kind)


def test_an_option_that_a_collector_does_not_take_is_refused() -> None:
    with pytest.raises(Refused, match="host: takes no unstable") as refused:
        checked(Target(kind="host", network="packets", unstable=True))
    assert refused.value.code == "collector_option"
    assert checked(Target(kind="qemu", network="off", unstable=True)) is of_kind("qemu")


def test_a_target_is_needed_where_there_are_several_machines() -> None:
    for kind in ("cgroup", "libvirt", "qemu", "received"):
        with pytest.raises(Refused, match="has no target"):
            of_kind(kind)(Target(kind=kind, network="packets"))
    assert collector.missing_target("qemu", "a name").code == "target"
