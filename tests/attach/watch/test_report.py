from tests.attach.fakes import FakeCollector

from phasewatch import schema
from phasewatch.attach.collector import Target
from phasewatch.attach.watch.report import opening


def test_what_is_missing_is_named_by_its_reason_and_whole_sources_are_short() -> None:
    found = FakeCollector(Target(kind="fake", network="packets"))
    guest = {channel.name: "no agent" for channel in schema.vm46().channels_of("guest")}
    lines = list(
        opening("box", found, schema.vm46(), {**guest, "qmp.vq_net_rx": "nobody counts it"})
    )
    assert lines == [
        "box (fake): 31 of 46 channels of vm46 are measured, 31 of the 32 that a model in "
        "realistic mode reads",
        "  not measured: guest.*: no agent",
        "  not measured: qmp.vq_net_rx: nobody counts it",
        "  cannot be seen: the far side of the moon",
    ]
