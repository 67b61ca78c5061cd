"""What the paths of files say: which machine, which phase, which quantity."""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

from phasewatch.episode import Floats

FOLDER, FIRST = r"^([^/]+)/", r"([^/_.-]+)[^/]*$"
"""Parts of a path that may hold a text: the first folder, and the first word of the file name."""

FILE = r"([^/.]+?)(?:[-_]?\d{4}-?\d{2}-?\d{2}[^/]*)?(?:[.][^/]*)?$"
"""The name of a file up to its first dot, without a date at its end."""

QUANTITY = r"(.+?)(?:-\d{4}-\d{2}-\d{2})?(?:[.]\w+)*$"
"""The path below the folder of a machine, without a date and an ending, as collectd writes it."""

NO_MACHINE = re.compile(r"\d{4}([-_.]?\d{2}){0,2}|train(ing)?|test(ing)?|val(id(ation)?)?|dev")
"""The name of a folder for a year, a month, a day, or a part of a data set."""

DEEPEST = 4
"""Folders within each other that are looked at."""


def levels(names: Sequence[str]) -> Iterator[str]:
    """Yield an expression for each level of folders whose names tell files apart, from the top.

    All files are in a folder there, which are several, and not dates or parts of a data set.
    """
    for depth in range(DEEPEST):
        pattern = rf"^(?:[^/]+/){{{depth}}}([^/]+)/" if depth else FOLDER
        found = {one[1] if (one := re.search(pattern, name)) else "" for name in names}
        if "" in found:
            return
        if len(found) > 1 and not all(map(NO_MACHINE.fullmatch, found)):
            yield pattern


def folder(name: str, names: Sequence[str]) -> str:
    """Return the folder of a path at the first level that tells `names` apart, "" for none."""
    found = re.search(next(levels(names), FOLDER), name)
    return found[1] if found else ""


def quantity(level: str) -> str:
    """Return the expression for the path below the folder that the expression of a level finds."""
    return level.replace("([^/]+)/", "[^/]+/") + QUANTITY


def overlapping(seconds: Sequence[Floats]) -> bool:
    """Return whether any two files hold rows of one time.

    `seconds` are the times of each file. Files that only touch do not overlap.
    """
    spans = [(one.min(), one.max()) for one in seconds if len(one) > 1]
    return any(a[0] < b[1] and b[0] < a[1] for a, b in combinations(spans, 2))
