"""The switch that stands for every server of the lab's network."""

import struct

import pytest
from tests.lab.frames import frame

from phasewatch.lab.switch import ACK, FIN, RST, SYN, Wire, checksum


class Line:
    """A switch whose replies are recorded."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.wire = Wire(self.sent.append)

    def replies(self, *words: bytes) -> list[tuple[int, int, int, bytes]]:
        """Flags, sequence, acknowledged and data of the replies; their checksums must hold."""
        self.sent.clear()
        for word in words:
            self.wire.frame(word)
        found = []
        for reply in self.sent:
            assert checksum(reply[14:34]) == 0
            length = len(reply) - 34
            assert checksum(reply[26:34] + struct.pack("!BBH", 0, 6, length) + reply[34:]) == 0
            _, _, sequence, acknowledged, _, flags = struct.unpack_from("!HHIIBB", reply, 34)
            found.append((flags, sequence, acknowledged, reply[54:]))
        return found


def test_the_switch_refuses_ports_without_a_server() -> None:
    assert Line().replies(frame(SYN, port=81, sequence=7)) == [(RST | ACK, 0, 8, b"")]


def test_the_switch_serves_a_download_within_the_window() -> None:
    line = Line()
    ((flags, _, acknowledged, _),) = line.replies(frame(SYN, sequence=10))
    assert (flags, acknowledged) == (SYN | ACK, 11)
    got, last, received, acked = b"", 0, 11, 1
    replies = line.replies(frame(ACK, data=b"GET 9000\n", sequence=received, acknowledged=acked))
    received += 9
    for _ in range(20):
        for flags, sequence, _, data in replies:
            got += data
            last |= flags
            assert sequence + len(data) - acked <= 4096
        if last & FIN:
            break
        acked = 1 + len(got)
        replies = line.replies(frame(ACK, sequence=received, acknowledged=acked))
    assert len(got) == 9000
    assert last & FIN


def test_the_switch_completes_tcp_handshake_and_close() -> None:
    line = Line()
    line.replies(frame(SYN, sequence=0))
    greeted = line.replies(frame(ACK, data=b"HELLO\n", sequence=1, acknowledged=1))
    assert b"here\n" in [data for *_, data in greeted]
    closed = line.replies(frame(FIN | ACK, sequence=7, acknowledged=6))
    assert closed[-1][0] == FIN | ACK
    assert line.replies(frame(ACK, sequence=8, acknowledged=7))[0][0] == RST


def test_bytes_out_of_order_are_requested_again() -> None:
    line = Line()
    line.replies(frame(SYN, sequence=0))
    assert line.replies(frame(ACK, data=b"later", sequence=9, acknowledged=1))[0][2] == 1


@pytest.mark.parametrize("data", [b"", b"\0", b"odd", b"\xff" * 9])
def test_a_packet_with_its_checksum_sums_to_zero(data: bytes) -> None:
    even = data + b"\0" * (len(data) % 2)
    assert checksum(even + checksum(even).to_bytes(2, "big")) == 0
