"""Words of names as monitoring tools write them."""

import pytest

from phasewatch.adapters.suggest.columns import words


def test_separators_and_capitals_split_a_name() -> None:
    assert words.words("rx_bytes_total") == words.words("RxBytesTotal") == ["rx", "bytes", "total"]
    assert words.words("%user") == ["%", "user"]


@pytest.mark.parametrize(
    "name",
    ["kbmemused", "%memused", "disk_used_gb", "Available MBytes", "rxkB/s", "Bytes Received/sec",
     "node_memory_MemFree_bytes", "temperature", "load1"],
)  # fmt: skip
def test_levels(name: str) -> None:
    assert words.level(name)
    assert not words.total(name)


@pytest.mark.parametrize(
    "name", ["rx_bytes_total", "bytes_recv", "node_cpu_seconds_total", "user", "ctxt", "mem_total"]
)
def test_totals(name: str) -> None:
    assert words.total(name)
    assert not words.level(name)


@pytest.mark.parametrize(
    "name",
    ["orig_bytes", "Flow Duration", "TotPkts", "flow.bytes_toclient", "SYN Flag Count", "ibyt"],
)
def test_amounts_of_events_add_up(name: str) -> None:
    assert words.extensive(name)


@pytest.mark.parametrize(
    "name",
    ["Flow Bytes/s", "Packet Length Mean", "id.resp_p", "src_port", "alert.severity", "sTos",
     "fd.num", "stats.uptime", "Average Packet Size", "Init Win bytes"],
)  # fmt: skip
def test_what_does_not_add_up(name: str) -> None:
    assert not words.extensive(name)


def test_ports_and_processes_are_identifiers() -> None:
    assert all(map(words.identifier, ("id.orig_p", "Source Port", "processId", "flow_id")))
    assert not words.identifier("cpu_percent".replace("cpu_", ""))


def test_both_ends_of_a_flow() -> None:
    assert all(map(words.of_endpoint, ("SrcAddr", "id.resp_h", "Destination IP", "sa")))
    assert not words.of_endpoint("cpu")
