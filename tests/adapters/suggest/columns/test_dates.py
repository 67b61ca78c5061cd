"""Formats of dates, and those that a month and a day leave open."""

import pytest

from phasewatch.adapters import dates as parsing
from phasewatch.adapters.suggest.columns import dates
from phasewatch.adapters.suggest.columns.dates import Form


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2023-07-05 10:00:00", "2023-07-05T10:00:01Z"], Form("", zoned=False)),
        (["2023-07-05T12:00:01.642040+0200"], Form("", zoned=True)),
        (["05.07.2023 10:00:00"], Form("%d.%m.%Y %H:%M:%S")),
        (["5/7/2023 10:00", "15/7/2023 10:00"], Form("%d/%m/%Y %H:%M")),
        (["07/05/2023 10:00:00.000", "07/15/2023 10:00:00.000"], Form("%m/%d/%Y %H:%M:%S.%f")),
        (["5/7/2023 1:00:01 AM"], Form("%d/%m/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p")),
        (["05/Jul/2023:10:00:00 +0200"], Form("%d/%b/%Y:%H:%M:%S %z", zoned=True)),
        (["Jul 5, 2023 10:00:00 AM"], Form("%b %d, %Y %I:%M:%S %p")),
        (["Wed Jul  5 10:00:00 2023 UTC"[:-4]], Form("%a %b %d %H:%M:%S %Y")),
    ],
)
def test_forms(cells: list[str], form: Form) -> None:
    assert dates.form(cells) == form
    for format in filter(None, (form.format, form.other)):
        assert parsing.pattern(format)


@pytest.mark.parametrize(
    "cells", [["20230705"], ["12.5"], ["2023-07-05"], ["5/7/2023 10:00", "2023-07-05 10:00"], []]
)
def test_no_date_with_a_time_of_day(cells: list[str]) -> None:
    assert dates.form(cells) is None


def test_days_alone() -> None:
    assert dates.day_form(["2023-07-05", "2023-07-06"]) == Form("")
    assert dates.day_form(["05.07.2023"]) == Form("%d.%m.%Y %H:%M")
    assert dates.day_form(["05.07.2023 10:00"]) is None
