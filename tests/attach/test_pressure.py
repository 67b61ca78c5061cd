import math
from pathlib import Path

from phasewatch.attach.pressure import Pressure


def test_each_channel_is_the_total_of_its_stall(tmp_path: Path) -> None:
    for place, name in enumerate(("cpu", "io", "memory")):
        (tmp_path / name).write_text(f"some avg10=0 total={place}1\nfull avg10=0 total={place}2\n")
    probe = Pressure({name: str(tmp_path / name) for name in ("cpu", "io", "memory")})
    assert probe.read() == [1.0, 11.0, 12.0, 21.0] and probe.unmeasured == {}


def test_a_kernel_without_pressure_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cpu").write_text("some avg10=0 total=5\n")
    probe = Pressure({name: str(tmp_path / name) for name in ("cpu", "io", "memory")})
    values = probe.read()
    assert values[0] == 5.0 and all(map(math.isnan, values[1:]))
    assert set(probe.unmeasured) == {"io_some", "io_full", "mem_some"}
    assert "psi=1" in probe.unmeasured["io_some"]
