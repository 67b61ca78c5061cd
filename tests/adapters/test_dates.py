"""Dates of a column become the nanoseconds that datetime gives for each, or are told as none."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewatch.adapters import dates

FORMATS = ["%Y-%m-%d %H:%M:%S.%f", "%d/%m/%y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p",
           "%a %b %d %H:%M:%S %Y", "%d. %B %Y %H:%M", "%Y-%j %H:%M:%S", "%d-%b-%Y"]  # fmt: skip


def ns(text: str, expression: str) -> int | None:
    found, _, bad = dates.parse(pa.array([text]), expression)
    return None if bad[0] else int(found[0])


@given(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), st.sampled_from(FORMATS))
def test_every_format_reads_what_strftime_writes(when: datetime, format: str) -> None:
    text = when.strftime(format)
    again = datetime.strptime(text, format).replace(tzinfo=UTC)
    exact = (again - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert ns(text, dates.pattern(format)) == exact


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("31/02/2023", "%d/%m/%Y"),
        ("29/02/2023", "%d/%m/%Y"),
        ("01/13/2023", "%d/%m/%Y"),
        ("00/01/2023", "%d/%m/%Y"),
        ("05/07/2023 24:00", "%d/%m/%Y %H:%M"),
        ("05/07/2023 00:00 PM", "%d/%m/%Y %I:%M %p"),
        ("05/Xyz/2023", "%d/%b/%Y"),
        ("05/07/2023 10:00", "%d/%m/%Y"),
    ],
)
def test_what_no_calendar_has_is_no_date(text: str, format: str) -> None:
    assert ns(text, dates.pattern(format)) is None


@pytest.mark.parametrize("text", ["2023115", "2023-07-05T10000", "2023", "10:00:00", "1688551200"])
def test_digits_that_can_be_read_in_two_ways_are_no_date(text: str) -> None:
    assert ns(text, dates.ISO) is None


def test_a_leap_day_is_a_date() -> None:
    assert ns("29/02/2024", dates.pattern("%d/%m/%Y")) == 1_709_164_800 * 10**9


@pytest.mark.parametrize(
    ("text", "zoned"),
    [
        ("2023-07-05T12:00:01.642040+0200", True),
        ("2023-07-05 12:00:01.64204+02:00", True),
        ("2023-07-05T10:00:01.642040000Z", True),
        ("2023/07/05 10:00:01,642040 UTC", True),
        ("20230705T100001.64204", False),
    ],
)
def test_iso_and_its_kin_are_one_time(text: str, zoned: bool) -> None:
    found, named, bad = dates.parse(pa.array([text]), dates.ISO)
    assert (int(found[0]), bool(named[0]), bool(bad[0])) == (
        1_688_551_201_642_040_000,
        zoned,
        False,
    )


@pytest.mark.parametrize(
    ("format", "why"),
    [("%Q", "%Q is none of"), ("%H:%M", "no year, month and day"), ("%d %d %m %Y", "stands twice")],
)
def test_a_format_that_says_no_date_is_wrong(format: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        dates.pattern(format)


def test_a_year_beyond_nanoseconds_is_kept_far_away() -> None:
    found, _, bad = dates.parse(pa.array(["9999-12-31", "0001-01-01"]), dates.ISO)
    assert not bad.any() and found[0] == dates.LIMIT_S * 10**9 == -found[1]
