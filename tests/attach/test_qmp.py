"""QMP against a small server of the tests' own; a real QEMU is asked in collectors/test_qemu.py."""

import contextlib
import json
import math
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from phasewatch.attach import qmp
from phasewatch.attach.qmp import QMP, UNSTABLE, Hypervisor, Qmp, QmpError

DISK = {name: 10 * place for place, name in enumerate(qmp.BLOCK, 1)}
HELLO = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 1}}}}


class Server:
    """Answers as a monitor does, one client at a time, and remembers what it was asked."""

    def __init__(self, path: Path, answers: dict[str, Any]) -> None:
        self.path, self.answers, self.asked = path, answers, list[str]()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        self._listening.listen(8)
        self.open = True
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; the thread ends with its next client."""
        self.open = False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
            last.connect(str(self.path))
        self._thread.join()
        self._listening.close()

    def _work(self) -> None:
        while True:
            client, _ = self._listening.accept()
            if not self.open:
                client.close()
                return
            with client, contextlib.suppress(OSError):
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        """Serve one client until it leaves, which it may have done already."""
        client.sendall(json.dumps(HELLO).encode() + b"\n")
        with client.makefile("rw") as file:
            for line in file:
                self._answer(json.loads(line), file)

    def _answer(self, request: dict[str, Any], file: Any) -> None:
        name = request["execute"]
        self.asked.append(name)
        answer = self.answers.get(name, {})
        if callable(answer):
            answer = answer(request["arguments"])
        key = "error" if "desc" in answer else "return"
        file.write(json.dumps({"event": "NOISE"}) + "\n" + json.dumps({key: answer}) + "\n")
        file.flush()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "qmp", {"query-blockstats": [{"stats": DISK}, {"stats": DISK}]})
    yield found
    found.close()


def test_disks_are_added_up_and_nothing_else_is_asked(server: Server) -> None:
    probe = Hypervisor(lambda: qmp.monitor(server.path), unstable=False)
    values = dict(zip(QMP, probe.read(), strict=True))
    assert values["blk_rd_bytes"] == 20.0 and values["blk_flush_ops"] == 100.0
    assert {name for name, value in values.items() if math.isnan(value)} == set(UNSTABLE)
    assert set(probe.unmeasured) == set(UNSTABLE)
    assert set(server.asked) == {"qmp_capabilities", "query-blockstats"}


def test_the_monitor_is_free_between_readings(server: Server) -> None:
    """A client that stayed would lock out whatever manages the machine."""
    probe = Hypervisor(lambda: qmp.monitor(server.path), unstable=False)
    for _ in range(3):
        probe.read()
        with qmp.monitor(server.path) as another:
            assert another.execute("query-blockstats")


def test_a_monitor_in_use_costs_one_reading_and_no_more(server: Server) -> None:
    probe = Hypervisor(lambda: qmp.monitor(server.path), unstable=False)
    with qmp.monitor(server.path), pytest.raises(OSError, match="timed out"):
        probe.read()
    assert probe.read()[0] == 20.0


def test_a_socket_that_is_no_monitor_is_an_error(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(tmp_path / "odd"))
    listening.listen()

    def work() -> None:
        client, _ = listening.accept()
        client.sendall(b"220 mail ready\n")
        client.close()

    threading.Thread(target=work, daemon=True).start()
    with pytest.raises(OSError, match="odd is no QMP monitor"), qmp.monitor(tmp_path / "odd"):
        pass
    listening.close()


def test_the_owner_of_a_socket_is_the_process_that_listens(server: Server) -> None:
    assert qmp.owner(server.path) == os.getpid()


class Scripted(Qmp):
    """A client whose answers a test gives."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def execute(self, name: str, handle: int = -1, **arguments: object) -> Any:
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer(**arguments) if callable(answer) else answer


def scripted(**answers: Any) -> Hypervisor:
    common = {
        "query-blockstats": [{"stats": DISK}],
        "x-query-virtio": [{"name": "virtio-net", "path": "/a"}, {"name": "virtio-blk"}],
        "x-query-jit": {"human-readable-text": "TLB full flushes 3\nTLB partial flushes  4\n"},
    }
    client = Scripted(common | {name.replace("_", "-"): value for name, value in answers.items()})
    return Hypervisor(lambda: nullcontext(client))


def test_a_queue_index_that_wraps_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    indices = iter([65_000, 65_000, 100, 65_100])
    probe = scripted(x_query_virtio_queue_status=lambda **_: {"used-idx": next(indices)})
    first, second = (dict(zip(QMP, probe.read(), strict=True)) for _ in range(2))
    assert first["vq_net_rx"] == 65_000 and second["vq_net_rx"] == 65_536 + 100
    assert second["vq_net_tx"] - first["vq_net_tx"] == 100
    assert first["jit_tlb_flushes"] == 7.0 and probe.unmeasured == {}


def test_a_guest_without_the_translator_has_no_flushes_and_is_asked_once() -> None:
    probe = scripted(
        x_query_virtio=[],
        x_query_jit=QmpError("JIT information is only available with accel=tcg"),
    )
    values = dict(zip(QMP, probe.read(), strict=True))
    assert {name for name, value in values.items() if math.isnan(value)} == set(UNSTABLE)
    assert "accel=tcg" in probe.unmeasured["jit_tlb_flushes"]
    assert probe.unmeasured["vq_net_rx"] == "no virtio network card"


@contextmanager
def broken() -> Iterator[Qmp]:
    if not os.getenv("NEVER_SET"):
        raise ConnectionRefusedError(111, "Connection refused")
    yield Scripted({})


def test_a_qemu_that_is_gone_raises() -> None:
    probe = Hypervisor(broken, unstable=False)
    with pytest.raises(ConnectionRefusedError):
        probe.read()
