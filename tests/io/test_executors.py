"""The ways of spreading work give the same results in the same order, and fail in one line."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from distributed import CancelledError
from tests.paths import ROOT

from phasewatch.errors import Refused
from phasewatch.io.executors import (
    _lost,
    dask_workers,
    interrupts_deferred,
    process_pool,
    serial,
    worker_processes,
)


def double(number: int) -> int:
    return 2 * number


def dies(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_pool_keeps_the_order() -> None:
    assert (
        list(process_pool(2)(double, range(5))) == list(serial(double, range(5))) == [0, 2, 4, 6, 8]
    )


def test_a_worker_that_was_killed_is_one_line() -> None:
    with pytest.raises(Refused, match="a worker was killed"):
        list(process_pool(2)(dies, range(4)))


def waits(number: int) -> int:
    """Says which process it is in, and stays there."""
    os.write(1, f"{os.getpid()}\n".encode())
    time.sleep(600)
    return number


def test_workers_end_with_the_process_that_they_work_for() -> None:
    code = (
        "import tests.io.test_executors as t, phasewatch.io.executors as s; "
        "list(s.process_pool(2)(t.waits, range(2)))"
    )
    boss = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    assert boss.stdout
    workers = [psutil.Process(int(boss.stdout.readline())) for _ in range(2)]
    boss.kill()
    boss.wait()
    boss.stdout.close()
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert (len(gone), alive) == (2, [])


def test_workers_end_at_once_where_the_block_raises() -> None:
    ours, theirs = os.pipe()
    with (
        os.fdopen(ours) as said,
        pytest.raises(KeyboardInterrupt),
        worker_processes(2) as pool,
    ):
        for _ in range(2):
            pool.submit(waits_in, os.getpid(), theirs)
        workers = [psutil.Process(int(said.readline())) for _ in range(2)]
        raise KeyboardInterrupt
    gone, alive = psutil.wait_procs(workers, timeout=60)
    os.close(theirs)
    assert (len(gone), alive) == (2, [])


def waits_in(boss: int, handle: int) -> None:
    """As `waits`, told through a descriptor of the process that works it out."""
    Path(f"/proc/{boss}/fd/{handle}").write_text(f"{os.getpid()}\n")
    time.sleep(600)


def test_an_interrupt_is_deferred_to_the_end_of_the_block() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("in the block")
        steps.append("after it")
    assert steps == ["in the block"]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


INTERRUPTED = """
import multiprocessing, os, signal
from tests.io.test_executors import double
from phasewatch.io.executors import interrupts_deferred

if __name__ == "__main__":
    worker = multiprocessing.get_context("spawn").Process(target=double, args=(2,))
    with interrupts_deferred():
        worker.start()
        os.kill(worker.pid, signal.SIGINT)
    worker.join()
    print(worker.exitcode)
"""


def test_a_process_that_begins_in_the_block_is_not_interrupted(tmp_path: Path) -> None:
    """In a program of its own, in which the tracker of multiprocessing does not run yet."""
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    done = subprocess.run(
        [sys.executable, tmp_path / "interrupted.py"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_pool_may_begin_in_any_thread() -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(list, process_pool(2)(double, range(3))).result() == [0, 2, 4]


begun: list[int] = []


def begin(number: int) -> None:
    begun.append(number)


def first_of(number: int) -> int:
    return begun[0] + number


def test_a_worker_begins_with_the_initializer() -> None:
    with worker_processes(2, begin, (40,)) as pool:
        assert list(pool.map(first_of, range(3))) == [40, 41, 42]


def test_a_cluster_that_went_away_is_one_line() -> None:
    with pytest.raises(Refused, match="was lost"), _lost("tcp://10.0.0.5:8786"):
        raise CancelledError


def test_a_cluster_that_does_not_answer_is_one_line() -> None:
    pytest.importorskip("distributed", reason="pip install phasewatch[cluster]")
    with pytest.raises(Refused, match="does not answer"):
        list(dask_workers("tcp://127.0.0.1:9")(double, [1]))
