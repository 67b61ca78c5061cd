"""Where the project's files are, for tests in any folder."""

import os
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
DATA = Path(os.environ.get("PHASEWATCH_DATA", ROOT.parent / "shared" / "data"))
"""Public data sets for a few tests, which are skipped without them: `uea/`, `uzh-rpi3-malware/`."""
