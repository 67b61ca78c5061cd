import pytest

from phasewatch.attach.collectors.libvirt import Collector as Libvirt
from phasewatch.attach.collectors.qemu import Collector as Qemu
from phasewatch.attach.guest import Guest, one_of


def test_the_only_interface_is_taken_and_else_it_is_said_what_there_is() -> None:
    assert one_of(["tap0"], "tap interface") == "tap0"
    with pytest.raises(OSError, match="no tap interface; name one with --interface"):
        one_of([], "tap interface")
    with pytest.raises(OSError, match=r"2 interfaces \(a, b\)"):
        one_of(["a", "b"], "tap interface")


@pytest.mark.parametrize("collector", [Qemu, Libvirt])
def test_guests_have_the_labs_schema_and_see_nothing_inside(collector: type[Guest]) -> None:
    assert collector.schema_name == "vm46"
    assert any("inside of the guest" in one for one in collector.blind)
