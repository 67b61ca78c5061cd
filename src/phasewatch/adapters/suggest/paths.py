"""What the paths of files say: which machine, which phase, which quantity."""

import re
from collections.abc import Sequence
from itertools import combinations

from phasewatch.episode import Floats

FOLDER, FIRST = r"^([^/]+)/", r"([^/_.-]+)[^/]*$"
"""Parts of a path that may hold a text: the first folder, and the first word of the file name."""

FILE = r"([^/.]+)[^/]*$"
"""The name of a file up to its first dot."""

QUANTITY = r"^[^/]+/(.+?)(?:-\d{4}-\d{2}-\d{2})?(?:[.]\w+)*$"
"""The path below the folder of a machine, without a date and an ending, as collectd writes it."""


def folder(name: str) -> str:
    """Return the first folder of a path, empty for none."""
    found = re.search(FOLDER, name)
    return found[1] if found else ""


def several_folders(names: Sequence[str]) -> bool:
    """Return whether all files are in folders, of which there are several."""
    found = {folder(name) for name in names}
    return len(found) > 1 and "" not in found


def overlapping(seconds: Sequence[Floats]) -> bool:
    """Return whether any two files hold rows of one time.

    `seconds` are the times of each file. Files that only touch do not overlap.
    """
    spans = [(one.min(), one.max()) for one in seconds if len(one) > 1]
    return any(a[0] < b[1] and b[0] < a[1] for a, b in combinations(spans, 2))
