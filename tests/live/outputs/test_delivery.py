"""Delivery goes on through failures, in order, without delaying whoever puts messages."""

import threading

import pytest

from phasewatch.live.outputs import delivery
from phasewatch.live.outputs.delivery import Delivery, Undeliverable

SOON = (0.001,)


class Receiver:
    """Fails as often as it is told to, and remembers the rest; `open` lets it answer at all."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.got = failures, list[bytes]()
        self.open = threading.Event()
        self.open.set()

    def send(self, message: bytes) -> None:
        self.open.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError(111, "Connection refused")
        if message == b"bad":
            raise Undeliverable("status 400")
        self.got.append(message)


def test_messages_arrive_in_order_and_a_failure_is_said_once() -> None:
    receiver, said = Receiver(failures=5), list[str]()
    one = Delivery("hook", receiver.send, said.append, SOON)
    messages = [b"%d" % number for number in range(20)]
    for message in messages:
        one.put(message)
    while len(receiver.got) < len(messages):
        threading.Event().wait(0.001)
    one.close()
    assert receiver.got == messages
    assert said == ["hook: not reached: Connection refused; tried again", "hook: reached again"]


def test_a_message_that_is_refused_is_left_out_and_said() -> None:
    receiver, said = Receiver(), list[str]()
    one = Delivery("hook", receiver.send, said.append, SOON)
    for message in (b"1", b"bad", b"2"):
        one.put(message)
    one.close(60)
    assert receiver.got == [b"1", b"2"] and said == ["hook: a message was refused: status 400"]


def test_what_waits_is_bounded_and_what_is_lost_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MOST_WAITING", 10)
    receiver, said = Receiver(), list[str]()
    receiver.open.clear()
    one = Delivery("hook", receiver.send, said.append, SOON)
    for number in range(25):
        one.put(b"%d" % number)
    assert len(one._waiting) == 10
    receiver.open.set()
    while b"24" not in receiver.got:
        threading.Event().wait(0.001)
    one.close(60)
    assert receiver.got[-10:] == [b"%d" % number for number in range(15, 25)]
    assert said[0] == "hook: 10 messages wait; the oldest is dropped"
    assert said[-1] == "hook: 15 messages were not delivered"


def test_the_end_of_a_watch_does_not_wait_for_a_receiver_that_is_gone() -> None:
    receiver, said = Receiver(failures=10**9), list[str]()
    one = Delivery("hook", receiver.send, said.append, (3600.0,))
    one.put(b"1")
    while not said:
        threading.Event().wait(0.001)
    one.close(60)
    assert said[-1] == "hook: 1 messages were not delivered" and not one._thread.is_alive()
