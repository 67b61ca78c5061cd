"""What the paths of files say: which machine, which phase, which quantity."""

import re
from collections.abc import Sequence
from itertools import combinations

from phasewatch.episode import Floats

FOLDER, FIRST = r"^([^/]+)/", r"([^/_.-]+)[^/]*$"
"""Parts of a path that may hold a text: the first folder, and the first word of the file name."""

FILE = r"([^/.]+?)(?:[-_]?\d{4}-?\d{2}-?\d{2}[^/]*)?(?:[.][^/]*)?$"
"""The name of a file up to its first dot, without a date at its end."""

QUANTITY = r"^[^/]+/(.+?)(?:-\d{4}-\d{2}-\d{2})?(?:[.]\w+)*$"
"""The path below the folder of a machine, without a date and an ending, as collectd writes it."""


def folder(name: str) -> str:
    """Return the first folder of a path, empty for none."""
    found = re.search(FOLDER, name)
    return found[1] if found else ""


DATE = re.compile(r"\d{4}([-_.]?\d{2}){0,2}")
"""The name of a folder for a year, a month or a day."""


def several_folders(names: Sequence[str]) -> bool:
    """Return whether all files are in folders, of which there are several, not named by dates."""
    found = {folder(name) for name in names}
    return len(found) > 1 and "" not in found and not all(map(DATE.fullmatch, found))


def overlapping(seconds: Sequence[Floats]) -> bool:
    """Return whether any two files hold rows of one time.

    `seconds` are the times of each file. Files that only touch do not overlap.
    """
    spans = [(one.min(), one.max()) for one in seconds if len(one) > 1]
    return any(a[0] < b[1] and b[0] < a[1] for a, b in combinations(spans, 2))
