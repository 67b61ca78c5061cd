"""Which format the dates of a column are written in, from the text of its cells.

07/05/2023 is in May or in July: a format is ambiguous unless a day above 12 decides. Years before
months, names of months, and dots (day first) decide by themselves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from phasewatch.adapters.dates import ISO

DATE = re.compile(
    r"""(?P<name>[A-Za-z]{3,9},?[ ]+)?
    (?:(?P<first>\d{1,2})(?P<sep>[-/.])(?P<second>\d{1,2})(?P=sep)(?P<year>\d{4}|\d{2})
      |(?P<day>\d{1,2})(?P<dash>[-/ ])(?P<mon>[A-Za-z]{3,9})(?P=dash)(?P<after>\d{4})
      |(?P<month>[A-Za-z]{3,9})[ ]+(?P<on>\d{1,2})(?P<comma>,?)[ ]+(?P<of>\d{4})
      |(?P<y>\d{4})(?P<line>[-/.])\d{1,2}(?P=line)\d{1,2})
    (?P<gap>T|:|,?[ ]+)
    \d{1,2}:\d\d(?P<s>:\d\d(?P<frac>[.,]\d+)?)?
    (?P<half>[ ]?[AaPp][Mm])?(?P<zone>[ ]?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?""",
    re.VERBOSE,
)
CTIME = re.compile(r"[A-Za-z]{3} [A-Za-z]{3} [ \d]\d \d\d:\d\d:\d\d ((UTC|GMT|[+-]\d{4}) )?\d{4}")
ISO_DATE = re.compile(ISO)
DAY = re.compile(r"(\d{4})[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{4}")
"""A date without a time of day."""

TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp][Mm])?")


@dataclass(frozen=True)
class Form:
    """How dates are written: a format as strptime has it, empty for ISO dates.

    `other` is a second format that is as likely. `zoned` tells whether dates have their offset from
    UTC.
    """

    format: str
    other: str = ""
    zoned: bool = False


def form(cells: Sequence[str]) -> Form | None:
    """Return how the dates of a column are written, or None where a cell is no date and time."""
    if not cells:
        return None
    if all(CTIME.fullmatch(cell) for cell in cells):
        zoned = CTIME.fullmatch(cells[0])[1] is not None  # type: ignore[index]
        return Form(f"%a %b %d %H:%M:%S {_zone_of(cells[0])}%Y", zoned=zoned)
    iso = [ISO_DATE.match(cell) for cell in cells]
    if all(one and one["H"] and re.match(r"\d{4}[-/]", one[0].strip()) for one in iso):
        return Form("", zoned=bool(iso[0] and iso[0]["z"]))
    found = [one for cell in cells if (one := DATE.fullmatch(cell))]
    return _dated(found) if len(found) == len(cells) else None


def _zone_of(cell: str) -> str:
    """Return the format of the zone in a date of ctime."""
    zone = CTIME.fullmatch(cell)[2]  # type: ignore[index]
    return "" if zone is None else "%Z " if zone.isalpha() else "%z "


def _dated(found: Sequence[re.Match[str]]) -> Form | None:
    """Return the form of dates that fit DATE, or None where they are written in several."""
    formats = {_format(one, day_first=True) for one in found}
    if len(formats) > 1:
        return None
    (text,) = formats
    zoned = found[0]["zone"] is not None
    if found[0]["first"] is None or found[0]["sep"] == ".":
        return Form(text, zoned=zoned)
    month_first = _format(found[0], day_first=False)
    if any(int(one["first"]) > 12 for one in found):
        return Form(text, zoned=zoned)
    if any(int(one["second"]) > 12 for one in found):
        return Form(month_first, zoned=zoned)
    return Form(text, month_first, zoned)


def day_form(cells: Sequence[str]) -> Form | None:
    """Return how dates without a time of day are written, or None where a cell is none."""
    found = [f"{cell} 00:00" for cell in cells if DAY.fullmatch(cell)]
    if len(found) < len(cells):
        return None
    return form(found)


def _format(one: re.Match[str], *, day_first: bool) -> str:
    """Return the format of a date that fits DATE."""
    before = "%a" + one["name"].lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") if (
        one["name"]
    ) else ""  # fmt: skip
    if one["first"]:
        sep, year = one["sep"], "%Y" if len(one["year"]) == 4 else "%y"
        date = f"%d{sep}%m{sep}{year}" if day_first else f"%m{sep}%d{sep}{year}"
    elif one["day"]:
        date = one["dash"].join(("%d", "%b", "%Y"))
    elif one["month"]:
        date = f"%b %d{one['comma']} %Y"
    else:
        date = one["line"].join(("%Y", "%m", "%d"))
    return before + date + re.sub(r" +", " ", one["gap"]) + _time(one)


def _time(one: re.Match[str]) -> str:
    """Return the format of the time of day and the zone of a date that fits DATE."""
    half, zone = one["half"] or "", (one["zone"] or "")
    named = zone.strip() in ("Z", "UTC", "GMT")
    return "".join(
        (
            "%I:%M" if half else "%H:%M",
            ":%S" if one["s"] else "",
            f"{one['frac'][0]}%f" if one["frac"] else "",
            " %p" if half.startswith(" ") else "%p" if half else "",
            " " if zone.startswith(" ") else "",
            "%Z" if named else "%z" if zone else "",
        )
    )
