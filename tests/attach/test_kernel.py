import math
from pathlib import Path

import pytest

from phasewatch.attach import kernel


def written(folder: Path, text: str) -> Path:
    path = folder / "file"
    path.write_text(text)
    return path


def test_pairs_are_read_with_and_without_colons_and_units(tmp_path: Path) -> None:
    path = written(tmp_path, "anon 12\nfile_dirty 0\nMemFree:  345 kB\nodd\nname word\n")
    assert kernel.pairs(path) == {"anon": 12, "file_dirty": 0, "MemFree": 345}


def test_pressure_is_the_total_of_each_line(tmp_path: Path) -> None:
    text = "some avg10=1.50 avg60=0.00 total=123\nfull avg10=0.00 total=4\n"
    assert kernel.pressure(written(tmp_path, text)) == {"some": 123, "full": 4}


def test_snmp_tables_pair_names_with_values(tmp_path: Path) -> None:
    text = "Tcp: RtoMin ActiveOpens\nTcp: 200 7\nUdp: OutDatagrams\nUdp: 9\n"
    found = kernel.tables(written(tmp_path, text))
    assert found == {"Tcp.RtoMin": 200, "Tcp.ActiveOpens": 7, "Udp.OutDatagrams": 9}


def test_sockets_are_counted_by_protocol(tmp_path: Path) -> None:
    found = kernel.sockets(written(tmp_path, "sockets: used 5\nTCP: inuse 2 orphan 0\n"))
    assert found == {"sockets.used": 5, "TCP.inuse": 2, "TCP.orphan": 0}


def test_interfaces_have_both_directions() -> None:
    assert set(kernel.interfaces("/proc/net/dev")["lo"]) == {
        "rx_bytes",
        "rx_pkts",
        "tx_bytes",
        "tx_pkts",
    }


def test_interface_counters_stand_at_their_places(tmp_path: Path) -> None:
    eth = "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"
    text = f"Inter-|\n face |\n {eth}\nveth:11 12 0 0 0 0 0 0 19 20\n"
    found = kernel.interfaces(written(tmp_path, text))
    assert found["eth0"] == {"rx_bytes": 1, "rx_pkts": 2, "tx_bytes": 9, "tx_pkts": 10}
    assert found["veth"]["tx_bytes"] == 19


def test_what_a_file_lacks_is_not_a_number() -> None:
    picked = kernel.pick({"a": 3}, ("a", "b"))
    assert picked[0] == 3.0 and math.isnan(picked[1])
    assert kernel.total([{"a": 3}, {"a": 4, "b": 1}], ("a", "b")) == {"a": 7, "b": 1}


def test_a_missing_file_raises() -> None:
    with pytest.raises(FileNotFoundError):
        kernel.text("/proc/none")


def test_capabilities_are_those_in_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    def status(path: object) -> str:
        assert path == "/proc/self/status"
        return "Name:\tpython\nCapInh:\tffffffffffffffff\nCapEff:\t0000000000002000\n"

    monkeypatch.setattr(kernel, "text", status)
    assert kernel.capable(kernel.NET_RAW) and not kernel.capable(kernel.PTRACE)
