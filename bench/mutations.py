"""Model files changed at random, in a child process: `python bench/mutations.py --each 10000`.

Every format, two ways: with the digests left as they were, and with all of them made to fit by
somebody who leaves the golden windows. `tests/mutations.py` says how; `tests/test_mutations.py`
does some hundred of each.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import mutations_child  # noqa: E402
