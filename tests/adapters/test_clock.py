"""Times in every notation become Unix time; what cannot be decided is refused."""

import numpy as np
import pyarrow as pa
import pytest
from pydantic_core import PydanticCustomError

from phasewatch.adapters import clock
from phasewatch.adapters.clock import Clock, Times
from phasewatch.errors import Refused
from phasewatch.schema import NS

T = 1_688_551_200  # 2023-07-05 10:00:00 UTC


def read(known: Clock, *columns: list[str], hosts: list[int] | None = None) -> list[int | None]:
    reader = Times(known, "a.csv")
    count = len(columns[0])
    lines = np.arange(2, 2 + count)
    numbers = np.array(hosts or [0] * count)
    t_ns, bad = reader.read([pa.array(one) for one in columns], lines, numbers)
    reader.close()
    return [None if wrong else int(one) for one, wrong in zip(t_ns, bad, strict=True)]


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1688551200.642040123", "s", 642_040_123),
        ("1.6885512e9", "s", 0),
        (" 1688551200 ", "s", 0),
        ("1688551200642.0401239", "ms", 642_040_123),
        ("1688551200642040", "us", 642_040_000),
        ("1688551200642040123", "ns", 642_040_123),
    ],
)
def test_numbers_are_exact(text: str, unit: str, expected: int) -> None:
    assert read(Clock(("t",), unit), [text]) == [T * NS + expected]


def test_a_cell_that_is_no_time_spoils_no_other() -> None:
    cells = ["1688551200", "soon", "1688551201.5", "", "nan"]
    assert read(Clock(("t",), "s"), cells) == [T * NS, None, T * NS + NS * 3 // 2, None, None]


@pytest.mark.parametrize("cell", ["1688551200000", "-5"])
def test_a_time_of_another_century_is_refused(cell: str) -> None:
    with pytest.raises(Refused, match=r"line 2: t: .* is not between the years 2000 and 2100 in s"):
        read(Clock(("t",), "s"), [cell])


def test_two_columns_make_one_time() -> None:
    known = Clock(("date", "time"), format="%d.%m.%Y %H:%M:%S", zone="+02:00")
    assert read(known, ["05.07.2023"], [" 12:00:00"]) == [T * NS]


def test_times_count_from_a_start() -> None:
    assert read(Clock(("t",), "s", start="2023-07-05T10:00:00Z"), ["0.5"]) == [T * NS + NS // 2]
    zoned = Clock(("t",), "ms", start="2023-07-05T12:00:00", zone="Europe/Berlin")
    assert read(zoned, ["1"]) == [T * NS + NS // 1000]


def test_times_of_day_pass_midnight_for_each_host() -> None:
    known = Clock(("t",), "clock", start="2023-07-05")
    cells = ["23:59:50", "23:59:55", "00:00:00", "00:00:00.5", "00:00:05"]
    day = 1_688_515_200
    assert read(known, cells, hosts=[1, 2, 1, 2, 1]) == [
        (day + 86_390) * NS, (day + 86_395) * NS, (day + 86_400) * NS,
        (day + 86_400) * NS + NS // 2, (day + 86_405) * NS,
    ]  # fmt: skip


def test_times_of_day_that_fall_by_less_are_refused() -> None:
    known = Clock(("t",), "clock", start="2023-07-05")
    with pytest.raises(Refused, match="line 3: t: falls by 3,600 s, and names no day"):
        read(known, ["10:00:00", "09:00:00"])


def test_times_are_rounded() -> None:
    assert read(Clock(("t",), "s", round_ns=10 * NS), ["1688551204", "1688551205"]) == [
        T * NS, (T + 10) * NS,
    ]  # fmt: skip


BERLIN = Clock(("t",), "iso", zone="Europe/Berlin")


def wall(*minutes: int) -> list[str]:
    return [f"2023-10-29 {2 + m // 60:02}:{m % 60:02}:00" for m in minutes]


def test_the_hour_that_comes_twice_is_told_by_the_order() -> None:
    found = read(BERLIN, wall(0, 30, 59, 0, 30, 59, 60))
    first = 1_698_537_600  # 02:00 in summer time
    assert found == [(first + 60 * m) * NS for m in (0, 30, 59, 60, 90, 119, 120)]


def test_every_host_passes_that_hour_by_itself() -> None:
    found = read(BERLIN, wall(0, 0, 59, 59, 0, 0), hosts=[1, 2, 1, 2, 1, 2])
    assert found[0] == found[1] and found[4] == found[5]
    assert found[4] is not None and found[0] is not None and found[4] - found[0] == 3600 * NS


@pytest.mark.parametrize("minutes", [(0, 30, 59, 60), (0, 59, 0, 59, 0)])
def test_an_hour_of_which_the_order_does_not_tell_is_refused(minutes: tuple[int, ...]) -> None:
    with pytest.raises(Refused, match="is in the hour that comes twice in Europe/Berlin"):
        read(BERLIN, wall(*minutes))


def test_an_hour_that_never_comes_is_no_time() -> None:
    cells = ["2023-03-26 01:59:00", "2023-03-26 02:30:00", "2023-03-26 03:00:00"]
    found = read(BERLIN, cells)
    assert found[1] is None
    assert found[0] is not None and found[2] == found[0] + 60 * NS


def test_a_zone_in_the_text_goes_before_that_of_the_mapping() -> None:
    assert read(BERLIN, ["2023-07-05T10:00:00Z", "2023-07-05 12:00"]) == [T * NS, T * NS]


@pytest.mark.parametrize("name", ["Europe/Nowhere", "../etc/passwd", "summer"])
def test_an_unknown_zone_is_wrong(name: str) -> None:
    with pytest.raises(PydanticCustomError):
        clock.parse_zone(name)
