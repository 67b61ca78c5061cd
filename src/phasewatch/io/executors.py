"""Executors: work in this process, in a pool of processes, or on the workers of a Dask cluster.

An executor is a function like `map`: it takes blocks of work and yields their results in order.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Protocol

from phasewatch.errors import Refused

if TYPE_CHECKING:
    from distributed import Client

CONNECT_TIMEOUT_S = 10


class Executor(Protocol):
    """A function that applies `work` to every block and yields the results in order."""

    def __call__(self, work: Callable[[Any], Any], blocks: Sequence[Any], /) -> Iterator[Any]: ...


def serial(work: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
    """Return the results of `work` on each block, computed one by one in this process."""
    return map(work, blocks)


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def process_pool(
    jobs: int,
) -> Callable[[Callable[[Any], Any], Sequence[Any]], Generator[Any, None, None]]:
    """Return an executor over `jobs` processes, or over this one where one is enough.

    The processes have ended when its results are closed. It raises Refused when a worker is killed.
    """

    def execute(work: Callable[[Any], Any], blocks: Sequence[Any]) -> Generator[Any, None, None]:
        if min(jobs, len(blocks)) < 2:
            yield from serial(work, blocks)
            return
        with worker_processes(min(jobs, len(blocks))) as pool:
            try:
                # `pool.map` would cancel futures on an interrupt; the pool's thread fails on those.
                with interrupts_deferred():
                    futures = deque(pool.submit(work, block) for block in blocks)
                while futures:
                    yield futures.popleft().result()
            except BrokenProcessPool as error:
                raise Refused(
                    f"--jobs {jobs}",
                    "a worker was killed",
                    "workers that keep running",
                    "Use fewer if memory is short, and run the command again: it resumes.",
                    code="worker_lost",
                ) from error

    return execute


@contextlib.contextmanager
def worker_processes(
    count: int,
    initializer: Callable[..., object] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of `count` processes, each of which begins with `initializer(*arguments)`.

    They end at once when the block raises, an interrupt included, and when this process ends for
    any reason, so their work must tolerate that.
    """
    context = multiprocessing.get_context("spawn")
    stop, alive = context.Pipe(duplex=False)
    begin = (stop, initializer, arguments)
    with stop, alive, ProcessPoolExecutor(count, context, _begin, begin) as pool:
        try:
            yield pool
        except BaseException:
            # The workers wait for the end of this pipe, beside the end of this process.
            alive.close()
            raise


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Defer an interrupt to the end of the block, and block it in processes started in the block.

    Outside the main thread, which alone is interrupted, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Processes inherit the mask: an initializer would run after their imports, a second late.
    # The tracker of multiprocessing unblocks interrupts when it starts, so it starts first.
    resource_tracker.ensure_running()
    deferred: list[int] = []
    # Other threads of this process do not have the mask, and an interrupt may arrive in any.
    handler = signal.signal(signal.SIGINT, lambda number, _: deferred.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if deferred:
            signal.raise_signal(signal.SIGINT)


def _begin(
    stop: Connection, initializer: Callable[..., object] | None, arguments: tuple[Any, ...]
) -> None:
    """Initialise a worker, which ends with its parent process."""
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _end_with_parent(stop: Connection) -> None:
    parent = multiprocessing.parent_process()
    wait([stop, *([parent.sentinel] if parent else [])])
    os._exit(1)


def dask_workers(address: str) -> Executor:
    """Return an executor over the Dask cluster at `address`, whose workers see the same files.

    It raises Refused when the cluster cannot be reached or is lost.
    """

    def execute(work: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        with connected(address) as client:
            # The same block may be submitted again for a store that has changed meanwhile.
            for future in client.map(work, blocks, pure=False):
                with _lost(address):
                    found = future.result()
                yield found

    return execute


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Disable logging: Dask logs a page for each lost connection, and Refused has one line."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def _lost(address: str) -> Iterator[None]:
    """Turn the loss of the cluster in the block into Refused."""
    from distributed import CancelledError
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    try:
        yield
    except (CancelledError, CommClosedError, KilledWorker) as error:
        raise Refused(
            f"--cluster {address}",
            f"was lost ({type(error).__name__})",
            "a scheduler and workers that keep running",
            "Start them again, and run the command again: it resumes.",
            code="worker_lost",
        ) from error


@contextlib.contextmanager
def connected(address: str) -> "Iterator[Client]":
    """Yield a client of the cluster at `address`.

    Raises Refused without Dask, when no scheduler answers, or when it has no worker.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise Refused(
            f"--cluster {address}",
            "Dask is not installed",
            "the extra `cluster`",
            "pip install phasewatch[cluster]",
            code="cluster",
        ) from error

    try:
        if not address:
            raise ValueError("it is empty")
        client = Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise Refused(
            f"--cluster {address}",
            f"does not answer: {error}",
            "a Dask scheduler such as tcp://10.0.0.5:8786",
            "Start one with `dask scheduler`, and workers with `dask worker ADDRESS`.",
            code="cluster",
        ) from error
    with client, _quiet():
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise Refused(
                f"--cluster {address}",
                "has no worker",
                "at least one",
                f"Start some with `dask worker {address}`.",
                code="cluster",
            )
        yield client
