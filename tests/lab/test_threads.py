import os
import subprocess
import sys

from phasewatch.lab.recording import THREADLESS


def test_a_recorder_starts_with_one_thread() -> None:
    """The kernel refuses a process with threads a user namespace, and with it a tap."""
    code = "import os, phasewatch.lab.recording; print(len(os.listdir('/proc/self/task')))"
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **THREADLESS},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.strip() == "1"
