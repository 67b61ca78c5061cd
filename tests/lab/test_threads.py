import os
import subprocess
import sys

from phasewatch.lab.recording import THREADLESS


def test_a_recorder_starts_with_one_thread() -> None:
    """Else the kernel refuses it a user namespace, and nobody without root gets a tap."""
    code = "import os, phasewatch.lab.recording; print(len(os.listdir('/proc/self/task')))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **THREADLESS},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "1"
