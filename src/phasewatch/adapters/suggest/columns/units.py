"""The unit of a column, where its name says it."""

import re

NAMED = (
    (r"(per_?cent|pct|%)", "%"),
    (r"\bm(ega)?bytes\b|\bmb\b", "MB"),
    (r"\bk(ilo)?bytes\b|^kb|\bkb\b|kib", "KiB"),
    (r"bytes|octets", "B"),
    (r"packets|packet|pkts", "packets"),
    (r"\bms\b|millis", "ms"),
    (r"seconds|secs\b", "s"),
)
"""Expressions that are searched in the words of a name, and the unit that each says."""

PER_SECOND = re.compile(r"(/|\bper ?)s(ec(ond)?)?\b")


def of_name(name: str) -> str:
    """Return the unit that a name says, "1" for none."""
    plain = re.sub(r"[^a-z0-9%/]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    per = "/s" if PER_SECOND.search(plain) else ""
    unit = next((unit for pattern, unit in NAMED if re.search(pattern, plain)), "")
    return unit + per if unit else "1" + per if per else "1"
