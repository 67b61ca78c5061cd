"""Load model files that were changed at random: `python bench/mutations.py`.

10,000 of each format (`--each`), two ways: digests left as they were, or all made to fit by
somebody who leaves the golden windows. `tests/mutated.py` says how they are changed and loads
them in a child process; `tests/test_mutations.py` does some hundred.
"""

import argparse
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

TESTS = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS.parent), str(TESTS / "frozen")]

from tests import mutated  # noqa: E402
from tests.frozen import make  # noqa: E402

COLUMNS = ("equal", "elsewhere", "different", "traceback", "crash", "hang")


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=10_000)
    parser.add_argument("--formats", nargs="*", default=mutated.FORMATS)
    options = parser.parse_args()
    out = Console(highlight=False, width=160)
    table = Table("format", "way", "refused", *COLUMNS, "refused by")
    with tempfile.TemporaryDirectory() as folder:
        make.write(Path(folder))
        child = mutated.Child(Path(folder))
        for kind in options.formats:
            for way in mutated.WAYS:
                table.add_row(kind, way, *row(mutated.count(child, kind, way, options.each)))
                table.add_section()
        child.close()
    out.print(table)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    out.print(f"the child held {most:,.0f} MiB at most")


def row(found: Counter[str]) -> list[str]:
    """Return the number refused, the number of each other outcome, and the codes of refusals."""
    codes = {name.removeprefix("refused "): many for name, many in found.most_common()}
    refused = {code: many for code, many in codes.items() if f"refused {code}" in found}
    fates = [sum(many for name, many in found.items() if name.startswith(one)) for one in COLUMNS]
    listed = ", ".join(f"{code} {many:,}" for code, many in refused.items())
    return [f"{sum(refused.values()):,}", *(f"{many:,}" for many in fates), listed]


if __name__ == "__main__":
    main()
