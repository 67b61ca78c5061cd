import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lab.frames import frame

from phasewatch import schema
from phasewatch.attach import packets
from phasewatch.attach.packets import BIN_NS, CHANNELS, Bins
from phasewatch.lab.switch import ACK, FIN, RST, SYN


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


def test_the_flows_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "MOST_FLOWS", 100)
    bins = Bins(0, 0)
    for port in range(1, 251):
        bins.add(frame(SYN, port=port), 60, True, 1)
    assert len(bins.seen) == 100
    bins.add(frame(SYN, port=250), 60, True, 1)
    bins.add(frame(SYN, port=1), 60, True, 1)
    bins.until(BIN_NS)
    assert bins.rows[0][2][CHANNELS.index("flows_new")] == 251


def test_ipv6_has_flows_and_targets_as_ipv4_has() -> None:
    bins = Bins(0, 0)
    segment = frame(SYN)[34:]
    head = bytes((0x60, 0, 0, 0, 0, len(segment), 6, 64)) + b"\1" * 16 + b"\2" * 16
    bins.add(b"\2" * 12 + b"\x86\xdd" + head + segment, 74, True, 1)
    bins.until(BIN_NS)
    row = dict(zip(CHANNELS, bins.rows[0][2], strict=True))
    assert (row["syn_out"], row["flows_new"], row["uniq_dst"], row["uniq_dport"]) == (1, 1, 1, 1)


@given(st.binary(max_size=140), st.booleans())
def test_whatever_arrives_is_counted_and_raises_nothing(data: bytes, outward: bool) -> None:
    bins = Bins(0, 0)
    bins.add(data, len(data), outward, 1)
    bins.until(BIN_NS)
    assert bins.rows[0][2][CHANNELS.index("pkts_out" if outward else "pkts_in")] == 1
