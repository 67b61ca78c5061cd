"""The kernel's accounts of a process: of this test, and of a folder that a test writes."""

import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from phasewatch.attach import kernel, process
from phasewatch.attach.probe import Gone
from phasewatch.attach.process import BY_THREAD, PROC, ProcessAccounts


def named(values: list[float]) -> dict[str, float]:
    return dict(zip(PROC, values, strict=True))


def test_accounts_of_this_process_are_those_of_the_kernel() -> None:
    probe = ProcessAccounts(os.getpid(), vcpus=(threading.get_native_id(),))
    before = named(probe.read())
    sum(range(2_000_000))
    after = named(probe.read())
    assert after["vcpu_run"] > before["vcpu_run"] > 0
    assert after["threads"] == threading.active_count() or after["threads"] >= 1
    used = os.times()
    assert after["utime"] == pytest.approx(100 * used.user, abs=50)
    assert all(math.isfinite(value) for value in after.values()) and probe.unmeasured == {}


def test_without_a_vcpu_six_channels_are_not_measured_and_named() -> None:
    probe = ProcessAccounts(os.getpid())
    found = named(probe.read())
    assert {name for name, value in found.items() if math.isnan(value)} == set(BY_THREAD)
    assert set(probe.unmeasured) == set(BY_THREAD)
    assert "debug-threads=on" in probe.unmeasured["vcpu_run"]


def test_bytes_written_need_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    real = kernel.text

    def refused(path: Path) -> str:
        if path.name == "io":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(process, "text", refused)
    probe = ProcessAccounts(os.getpid(), vcpus=(threading.get_native_id(),))
    assert math.isnan(named(probe.read())["write_bytes"])
    assert "CAP_SYS_PTRACE" in probe.unmeasured["write_bytes"]
    monkeypatch.setattr(process, "text", real)
    assert math.isfinite(named(probe.read())["write_bytes"]) and probe.unmeasured == {}


def test_what_an_ended_thread_had_used_still_counts() -> None:
    main = threading.get_native_id()
    probe = ProcessAccounts(os.getpid(), vcpus=(main,))
    ready, done = threading.Event(), threading.Event()

    def work() -> None:
        sum(range(1_000_000))
        ready.set()
        done.wait()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    during = named(probe.read())
    done.set()
    thread.join()
    while Path(f"/proc/self/task/{thread.native_id}").exists():
        pass
    after = named(probe.read())
    assert after["other_run"] >= during["other_run"] > 0
    assert after["threads"] < during["threads"]


def test_an_ended_process_is_gone_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    probe = ProcessAccounts(child.pid)
    probe.read()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(Gone, match=f"process {child.pid} has ended"):
        probe.read()
    child.communicate()
    with pytest.raises(Gone):
        probe.read()


def test_an_id_that_another_process_has_taken_is_gone() -> None:
    probe = ProcessAccounts(os.getpid())
    probe.read()
    probe._began = "1"
    with pytest.raises(Gone):
        probe.read()


@pytest.mark.parametrize(("name", "is_one"), [("CPU 0/TCG", True), ("CPU 11/KVM", True)])
def test_vcpus_are_found_by_the_names_that_qemu_gives(name: str, is_one: bool) -> None:
    probe = ProcessAccounts(os.getpid())
    probe._name("7", f"Name:\t{name}\nUmask:\t0022\n")
    probe._name("8", "Name:\tqemu-system-x86\n")
    assert probe._is_vcpu == {"7": is_one, "8": False}
