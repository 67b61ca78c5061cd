"""Every line arrives once: over a faulty network, past a dead receiver, and in the next watch."""

import errno
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.certificates import self_signed
from tests.faulty import Faulty
from tests.uploads import HOSTS, LIMITS, TOKENS

from phasewatch import schema
from phasewatch.attach.watch import sending
from phasewatch.attach.watch.sending import Sending
from phasewatch.attach.watch.watched import Event, Gap, Reading
from phasewatch.errors import Refused
from phasewatch.io import journal
from phasewatch.io.link import Link
from phasewatch.store.local import Store
from phasewatch.store.receiver import Receiver
from phasewatch.store.samples import Samples
from phasewatch.store.server import Server

MOST = 64 << 20
SOON = (0.05,)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PERIOD_S", 0.02)


def reading(number: int, machine: str = "web") -> Reading:
    return Reading(machine, "cpu", ("cpu.user",), number, number, [1.0])


class Elsewhere:
    """A receiver on this machine that can end and begin again at the same port."""

    def __init__(self, root: Path, tls: tuple[Path, Path] | None = None) -> None:
        self.root, self.tls, self.port = root, tls, 0
        self.log: list[str] = []

    @contextmanager
    def serving(self) -> Iterator[str]:
        store = Store.create(self.root / "store", schema.vm46())
        with (
            Receiver(store, HOSTS, LIMITS) as receiver,
            Samples(self.root / "samples", HOSTS.values(), MOST) as samples,
            Server(
                ("127.0.0.1", self.port), receiver, self.log.append, self.tls, samples
            ) as server,
        ):
            self.port = server.server_address[1]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"
            server.shutdown()

    def rows(self) -> list[dict[str, object]]:
        folder = self.root / "samples" / "alpha"
        data, start = b"", min(journal.found(folder), default=0) if folder.exists() else 0
        while folder.exists() and (part := journal.read(folder, start + len(data), MOST)):
            data += part
        return [json.loads(line) for line in data.splitlines()]

    def numbers(self) -> list[object]:
        return [row["t_wall_ns"] for row in self.rows() if "gap" not in row]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "elsewhere")


def watch(url: str, folder: Path, said: list[str], most: int = MOST) -> Sending:
    return Sending(Link(url, TOKENS["alpha"]), folder, most, said.append, SOON)


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_what_is_read_arrives_and_nothing_stays_behind(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    said: list[str] = []
    events: list[Event] = [reading(1), Gap("web", 2, "away"), reading(3, "mail")]
    with elsewhere.serving() as url:
        sent = watch(url, tmp_path / "buffer", said)
        for event in events:
            sent.take(event)
        sent.close(30)
    assert [(row["machine"], row["t_wall_ns"]) for row in elsewhere.rows()] == [
        *(("web", 1), ("web", 2), ("mail", 3))
    ]
    assert elsewhere.rows()[1]["gap"] == "away"
    assert said == [] and [path.name for path in (tmp_path / "buffer").iterdir()] == ["lock"]
    assert len([line for line in elsewhere.log if "samples of alpha" in line]) == 1


def test_over_a_faulty_network_every_line_arrives_once(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    said: list[str] = []
    with elsewhere.serving() as url:
        line = Faulty(int(url.rpartition(":")[2]), seed=3, reach=2000)
        sent = watch(line.url, tmp_path / "buffer", said)
        for number in range(4000):
            sent.take(reading(number))
            if number % 20 == 0:
                time.sleep(0.01)
        until(lambda: len(elsewhere.numbers()) >= 4000)
        sent.close(30)
        line.close()
    assert elsewhere.numbers() == list(range(4000))
    assert all(line.fates[fate] for fate in ("cut", "swallow", "flip"))


def test_a_receiver_that_dies_and_returns_gets_the_rest(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    said: list[str] = []
    with elsewhere.serving() as url:
        sent = watch(url, tmp_path / "buffer", said)
        sent.take(reading(0))
        until(lambda: elsewhere.numbers() == [0])
    for number in range(1, 200):
        sent.take(reading(number))
    until(lambda: bool(said))
    with elsewhere.serving():
        until(lambda: len(elsewhere.numbers()) == 200)
        sent.close(30)
    assert elsewhere.numbers() == list(range(200))
    assert "samples wait in" in said[0] and said[1] == f"{url}: takes samples again"
    assert len(said) == 2


def test_what_a_watch_leaves_behind_the_next_one_sends(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    said: list[str] = []
    with elsewhere.serving() as url:
        first = watch(url, tmp_path / "buffer", said)
        first.take(reading(0))
        until(lambda: elsewhere.numbers() == [0])
    first.take(reading(1))
    first.close(0.5)
    assert said[-1].endswith("what was not acknowledged is sent by the next watch")
    left = next(path for path in (tmp_path / "buffer").iterdir() if path.is_dir())
    with max(left.iterdir()).open("ab") as file:
        file.write(b'{"machine": "we')
    with elsewhere.serving() as url:
        second = watch(url, tmp_path / "buffer", said)
        second.take(reading(2))
        until(lambda: len(elsewhere.numbers()) == 3)
        second.close(30)
    assert elsewhere.numbers() == [0, 1, 2]
    assert [path.name for path in (tmp_path / "buffer").iterdir()] == ["lock"]


def test_in_a_long_outage_the_oldest_lines_go_and_there_is_a_gap(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal.Journal, "file_bytes", 2000)
    said: list[str] = []
    with elsewhere.serving() as url:
        pass
    sent = watch(url, tmp_path / "buffer", said, most=10_000)
    sent._stream.file_bytes = 2000
    for number in range(1000):
        sent.take(reading(number))
    size = sum(path.stat().st_size for path in sent._stream.folder.iterdir())
    assert size <= 12_000
    assert said.count(f"{tmp_path / 'buffer'}: is full: the oldest samples are dropped") == 1
    with elsewhere.serving():
        until(lambda: elsewhere.numbers()[-1:] == [999])
        sent.close(30)
    found = elsewhere.numbers()
    assert found == list(range(1000 - len(found), 1000)) and 50 < len(found) < 200
    assert "bytes of lines were dropped" in str(elsewhere.rows()[0]["gap"])


def test_a_full_disk_is_said_once_and_becomes_a_gap(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def full(self: journal.Journal, lines: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with elsewhere.serving() as url:
        sent = watch(url, tmp_path / "buffer", said)
        with monkeypatch.context() as patch:
            patch.setattr(journal.Journal, "append", full)
            sent.take(reading(0))
            sent.take(reading(1))
        sent.take(reading(2))
        sent.close(30)
    assert said == [f"{tmp_path / 'buffer'}: samples are lost: No space left on device"]
    gap, row = elsewhere.rows()
    assert gap["gap"] == "not buffered: No space left on device" and row["t_wall_ns"] == 2


def test_a_receiver_that_declines_is_said_and_the_lines_wait(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    said: list[str] = []
    with elsewhere.serving() as url:
        sent = Sending(Link(url, "wrong" * 8), tmp_path / "buffer", MOST, said.append, SOON)
        sent.take(reading(0))
        until(lambda: bool(said))
        sent.close(5)
    assert "status 401: no host has this token; samples wait in" in said[0]
    assert len(said) == 2 and elsewhere.rows() == []


def test_over_tls_and_only_to_a_receiver_that_is_trusted(tmp_path: Path) -> None:
    pair = self_signed(tmp_path / "own")
    other, _ = self_signed(tmp_path / "other")
    far, said = Elsewhere(tmp_path / "far", pair), list[str]()
    with far.serving() as url:
        for authority, arrived in ((other, []), (pair[0], [7])):
            link = Link(url, TOKENS["alpha"], authority=authority)
            sent = Sending(link, tmp_path / authority.parent.name / "b", MOST, said.append, SOON)
            sent.take(reading(7))
            until(lambda: bool(said) or far.numbers() == [7])
            sent.close(5)
            assert far.numbers() == arrived
    assert "CERTIFICATE_VERIFY_FAILED" in said[0]


def test_two_watches_do_not_share_a_buffer(tmp_path: Path) -> None:
    first = watch("http://127.0.0.1:9", tmp_path, [])
    with pytest.raises(Refused, match="is used by another watch"):
        watch("http://127.0.0.1:9", tmp_path, [])
    first.close(0.1)
    watch("http://127.0.0.1:9", tmp_path, []).close(0.1)
