"""Each line is kept once, whatever was sent again, torn, damaged, or killed on the way."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from http import HTTPStatus
from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.io import journal
from phasewatch.io.link import (
    AFTER_HEADER,
    BATCH_BYTES,
    OFFSET_HEADER,
    SAMPLES_PATH,
    content_digest,
)
from phasewatch.store.receiver import Declined
from phasewatch.store.samples import (
    LINE_BYTES,
    MOST_STREAMS,
    POSITIONS,
    Batch,
    HostJournal,
    Samples,
    Unfit,
    refuse_double,
)

STREAM = "20261129T120000Z-0123456789ab"
MOST = 1 << 20


def lines(first: int, count: int, machine: str = "web") -> bytes:
    rows = [{"machine": machine, "source": "cpu", "t_wall_ns": first + n} for n in range(count)]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def kept(folder: Path) -> list[dict[str, object]]:
    data, offset = b"", min(journal.found(folder), default=0)
    while part := journal.read(folder, offset + len(data), 1 << 22):
        data += part
    return [json.loads(line) for line in data.splitlines()]


def head(body: bytes, after: int = 0, other: dict[str, str] | None = None) -> Message:
    fields = {
        "Content-Length": str(len(body)),
        AFTER_HEADER: str(after),
        OFFSET_HEADER: str(after),
        **content_digest(body),
    }
    found = Message()
    for name, value in (fields | (other or {})).items():
        found[name] = value
    return found


@pytest.fixture
def samples(tmp_path: Path) -> Iterator[Samples]:
    with Samples(tmp_path / "samples", ["alpha", "beta"], MOST) as found:
        yield found


def test_batches_follow_one_another_and_a_repeated_one_is_kept_once(
    samples: Samples, tmp_path: Path
) -> None:
    one, two = lines(0, 3), lines(3, 2)
    path = SAMPLES_PATH + STREAM
    assert samples.put("alpha", path, head(one), io.BytesIO(one)) == (len(one), True)
    with pytest.raises(Unfit) as unfit:
        samples.put("alpha", path, head(one), io.BytesIO(one))
    assert (unfit.value.status, unfit.value.position) == (HTTPStatus.CONFLICT, len(one))
    end = len(one) + len(two)
    assert samples.put("alpha", path, head(two, len(one)), io.BytesIO(two)) == (end, False)
    assert samples.put("beta", path, head(one), io.BytesIO(one)) == (len(one), True)
    assert [row["t_wall_ns"] for row in kept(tmp_path / "samples" / "alpha")] == [0, 1, 2, 3, 4]


def test_lines_that_a_sender_dropped_are_a_gap_of_each_machine(tmp_path: Path) -> None:
    host = HostJournal(tmp_path / "alpha", MOST)
    body = lines(70, 1, "web") + lines(71, 1, "mail")
    assert host.take(Batch(STREAM, 0, 500, body)) == (500 + len(body), True)
    gaps = kept(tmp_path / "alpha")[:2]
    assert [(one["machine"], one["t_wall_ns"]) for one in gaps] == [("web", 70), ("mail", 71)]
    assert gaps[0]["gap"] == "500 bytes of lines were dropped where they were measured"


@pytest.mark.parametrize(
    ("body", "other", "status", "reason"),
    [
        (b'{"machine": "web"}', {}, 422, "last line has no end"),
        (b"[1]\n", {}, 422, "line 1 is no object with a machine"),
        (b'{"source": "cpu"}\n', {}, 422, "line 1 is no object with a machine"),
        (b"x\n", {}, 422, "line 1 is no object"),
        (b'{"machine": "' + b"w" * LINE_BYTES + b'"}\n', {}, 422, "line 1 is no object"),
        (b"[" * 5000 + b"\n", {}, 422, "line 1 is no object"),
        (lines(0, 1), {"Content-Digest": ""}, 400, "Content-Digest"),
        (lines(0, 1), content_digest(b"other"), 400, "is not what Content-Digest says"),
        (lines(0, 1), {"Phasewatch-After": "x"}, 411, "are needed"),
        (lines(0, 1), {"Phasewatch-After": "5"}, 400, "lies before"),
        (lines(0, 1), {"Transfer-Encoding": "chunked"}, 411, "are needed"),
        (lines(0, 1), {"Content-Length": str(BATCH_BYTES + 1)}, 413, "over"),
        (lines(0, 1), {"Content-Length": "999"}, 408, "ended early"),
    ],
)
def test_a_wrong_batch_is_declined_and_leaves_nothing(
    samples: Samples, tmp_path: Path, body: bytes, other: dict[str, str], status: int, reason: str
) -> None:
    with pytest.raises(Declined, match=reason) as declined:
        samples.put("alpha", SAMPLES_PATH + STREAM, head(body, 0, other), io.BytesIO(body))
    assert declined.value.status == status
    assert not (tmp_path / "samples" / "alpha").exists()


def test_a_stream_has_a_plain_name(samples: Samples) -> None:
    for name in ("", "short", "../../etc/passwd", "x" * 65):
        with pytest.raises(Declined, match="not /v1/samples/"):
            samples.put("alpha", SAMPLES_PATH + name, head(b""), io.BytesIO(b""))


def test_hosts_do_not_share_a_folder_and_receivers_neither(
    samples: Samples, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="another receiver is at work"):
        Samples(tmp_path / "samples", ["alpha"], MOST)
    with samples:
        pass
    Samples(tmp_path / "samples", ["alpha"], MOST).__exit__()
    with pytest.raises(Refused, match="has the folder a-b of 'a/b' too"):
        refuse_double(["a/b", "a:b"])


def test_positions_are_those_of_the_last_streams(tmp_path: Path) -> None:
    host, body = HostJournal(tmp_path, MOST), lines(0, 1)
    for number in range(MOST_STREAMS + 5):
        host.take(Batch(f"stream-{number:04d}", 0, 0, body))
    host.take(Batch("stream-0050", len(body), len(body), body))
    streams = list(json.loads((tmp_path / POSITIONS).read_text())["streams"])
    assert len(streams) == MOST_STREAMS
    assert (streams[0], streams[-1]) == ("stream-0005", "stream-0050")


def test_a_journal_without_its_positions_is_refused(tmp_path: Path) -> None:
    HostJournal(tmp_path, MOST).take(Batch(STREAM, 0, 0, lines(0, 1)))
    (tmp_path / POSITIONS).write_text("{")
    with pytest.raises(Refused, match="is no JSON"):
        HostJournal(tmp_path, MOST)
    (tmp_path / POSITIONS).write_text('{"end": -1, "streams": {}}')
    with pytest.raises(Refused, match="end"):
        HostJournal(tmp_path, MOST)
    (tmp_path / POSITIONS).unlink()
    with pytest.raises(Refused, match="is missing beside"):
        HostJournal(tmp_path, MOST)


def test_a_receiver_killed_at_any_step_of_a_batch_keeps_each_line_once() -> None:
    """What the sender does then: it asks for the position, and goes on from there."""
    words = [sys.executable, "-m", "tests.killed_samples"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kills) > 15 and kills[-1]["at"] == "end"
    assert any(kill["position"] for kill in kills) and not all(kill["position"] for kill in kills)
    for kill in kills:
        assert kill["lines"] == list(range(6)), kill
