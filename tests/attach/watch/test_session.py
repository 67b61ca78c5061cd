"""A watch from its machines to lines, predictions and episodes."""

import json
import queue
from pathlib import Path

import pytest
from tests.attach.fakes import Box, FakeClock

from phasewatch import schema
from phasewatch.attach.collector import Target
from phasewatch.attach.watch.session import Session, machines, one_schema, refuse_phase, typed
from phasewatch.errors import Refused
from phasewatch.store.local import Store


def opened(*boxes: Box, clock: FakeClock) -> Session:
    watched = [box.watched() for box in boxes]
    for one in watched:
        one.open(clock.wall_ns(), clock.mono_ns())
    return Session(watched, boxes[0].say, clock)


def test_lines_name_their_machine_where_there_are_several() -> None:
    clock = FakeClock()
    alone = list(opened(Box(), clock=clock).run(5.0))
    assert len(alone) == 11 and "machine" not in json.loads(str(alone[0]))
    both = list(opened(Box("one"), Box("two"), clock=clock).run(5.0))
    assert {json.loads(str(line))["machine"] for line in both} == {"one", "two"}


def test_marks_label_what_follows_and_episodes_are_finished_at_the_end(tmp_path: Path) -> None:
    box, clock = Box(), FakeClock()
    watch = opened(box, clock=clock)
    store = Store.create(tmp_path / "store", schema.vm46())
    watch.record(store, "benign", 600.0)
    for count, _ in enumerate(watch.run(60.0)):
        if count == 60:
            watch.marks.put("impact")
    (id,) = store.ids()
    assert [label.phase for label in store.read(id).labels] == ["benign", "impact"]
    assert "impact from now on" in box.said
    assert box.probe.closed


def test_typed_phases_become_marks_and_a_slip_is_said() -> None:
    lines = iter(["impact\n", "\n", "imapct\n", ""])
    box = Box()
    watch = opened(box, clock=FakeClock())
    typed(watch, schema.vm46(), lambda: next(lines))
    assert watch.marks.get(timeout=30) == "impact"
    with pytest.raises(queue.Empty):
        watch.marks.get(timeout=0.2)
    assert any("label imapct: is no phase" in line for line in box.said)


def test_a_label_that_is_no_phase_is_refused() -> None:
    refuse_phase(schema.vm46(), "")
    with pytest.raises(Refused, match="one of benign, execution"):
        refuse_phase(schema.vm46(), "evil")


def test_machines_of_several_schemas_do_not_share_an_output() -> None:
    qemu, libvirt, host = (
        Target(kind=kind, network="packets") for kind in ("qemu", "libvirt", "host")
    )
    assert one_schema([qemu, libvirt]).name == "vm46"
    with pytest.raises(Refused, match="have the schemas host, vm46"):
        one_schema([qemu, host])


def test_what_is_measured_is_said_when_a_watch_begins() -> None:
    said: list[str] = []
    (found,) = machines(
        [Target(kind="host", name="pi", network="packets")], said.append, FakeClock()
    )
    assert said[0].startswith("pi (host): ") and any("cannot be seen" in line for line in said)
    found.close()


def test_two_machines_of_one_name_and_one_that_is_absent_are_refused() -> None:
    both = [Target(kind="host", name="pi", network="packets")] * 2
    with pytest.raises(Refused, match="is the name of two machines"):
        machines(both, lambda line: None, FakeClock())
    absent = Target(kind="qemu", target="nosuchbox", network="packets")
    with pytest.raises(Refused, match="qemu nosuchbox: no QEMU process") as refused:
        machines([absent], lambda line: None, FakeClock())
    assert refused.value.code == "gone"


def test_an_interrupt_finishes_the_episode(tmp_path: Path) -> None:
    watch = opened(Box(), clock=FakeClock())
    store = Store.create(tmp_path / "store", schema.vm46())
    watch.record(store, "benign", 600.0)
    lines = watch.run()
    for _ in range(120):
        next(lines)
    lines.close()  # type: ignore[attr-defined]
    assert len(store.ids()) == 1
