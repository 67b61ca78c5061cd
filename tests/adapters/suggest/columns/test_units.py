"""Units that names say, and none where they do not."""

import pytest

from phasewatch.adapters.suggest.columns import units


@pytest.mark.parametrize(
    ("name", "unit"),
    [("cpu_percent", "%"), ("%user", "%"), ("bytes_recv", "B"), ("Available MBytes", "MB"),
     ("kbmemfree", "KiB"), ("Bytes Received/sec", "B/s"), ("node_cpu_seconds_total", "s"),
     ("TotPkts", "packets"), ("cpu", "1"), ("Flow Duration", "1"), ("cswch/s", "1/s")],
)  # fmt: skip
def test_units(name: str, unit: str) -> None:
    assert units.of_name(name) == unit
