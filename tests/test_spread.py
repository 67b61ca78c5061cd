"""The ways of spreading work give the same results in the same order, and fail in one line."""

import os
import signal

import pytest

from phasewatch.refusal import Refused
from phasewatch.spread import alone, cluster, pool


def double(number: int) -> int:
    return 2 * number


def dies(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_pool_keeps_the_order() -> None:
    assert list(pool(2)(double, range(5))) == list(alone(double, range(5))) == [0, 2, 4, 6, 8]


def test_a_worker_that_was_killed_is_one_line() -> None:
    with pytest.raises(Refused, match="a worker was killed"):
        list(pool(2)(dies, range(4)))


def test_a_cluster_that_does_not_answer_is_one_line() -> None:
    pytest.importorskip("distributed", reason="pip install phasewatch[cluster]")
    with pytest.raises(Refused, match="does not answer"):
        list(cluster("tcp://127.0.0.1:9")(double, [1]))
