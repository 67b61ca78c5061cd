import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewatch import schema
from phasewatch.lab.network import BIN_NS, CHANNELS, Bins
from phasewatch.lab.switch import ACK, FIN, RST, SYN, Wire, checksum

GUEST, SINK = bytes((10, 77, 0, 100)), bytes((10, 77, 0, 3))


def frame(flags: int, port: int = 80, data: bytes = b"", **more: int) -> bytes:
    """A TCP segment of the guest to the sink."""
    numbers = (more.get("sequence", 0), more.get("acknowledged", 0), 5 << 4, flags, 4096, 0, 0)
    segment = struct.pack("!HHIIBBHHH", more.get("source", 4000), port, *numbers) + data
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0)
    return b"\2" * 6 + b"\4" * 6 + b"\x08\x00" + head + GUEST + SINK + segment


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


def test_channels_are_the_schemas() -> None:
    channels = [channel.name for channel in schema.vm46().channels_of("netflow")]
    assert channels == [f"netflow.{name}" for name in CHANNELS]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=40))
def test_every_packet_is_in_one_bin_and_silence_is_zero(packets: list[tuple[int, bool]]) -> None:
    bins = Bins(0, 0)
    for place, outward in sorted(packets):
        bins.add(frame(ACK), 54, outward, place * BIN_NS // 4)
    bins.until(7 * BIN_NS)
    assert [row[0] for row in bins.rows] == [(n + 1) * BIN_NS for n in range(7)]
    out = sum(row[2][CHANNELS.index("pkts_out")] for row in bins.rows)
    into = sum(row[2][CHANNELS.index("pkts_in")] for row in bins.rows)
    assert (out, into) == (
        sum(outward for _, outward in packets),
        sum(not outward for _, outward in packets),
    )
    assert bins.rows[-1][2] == (0.0,) * len(CHANNELS)


def test_flags_flows_and_targets_are_counted_apart() -> None:
    bins = Bins(0, 0)
    for source in (1, 1, 2):
        bins.add(frame(SYN, source=source), 60, True, 1)
    bins.add(frame(RST), 54, False, 2)
    bins.add(frame(FIN | ACK, port=443), 54, True, 3)
    bins.until(BIN_NS)
    row = dict(zip(CHANNELS, bins.rows[0][2], strict=True))
    assert (row["syn_out"], row["rst_in"], row["fin_out"]) == (3, 1, 1)
    assert (row["uniq_dst"], row["uniq_dport"]) == (1, 2)
    assert row["bytes_out"] == 234
    assert row["flows_new"] == 4


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
