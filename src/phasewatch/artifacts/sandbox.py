"""Loads a model that is not trusted in a child process first, with limits on time and memory.

No check of a file shows that its ONNX graph never ends or takes all memory; that appears only when
onnxruntime runs it. So a child process loads the model and reports how that ended, and the caller
is not affected.
"""

import importlib
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

from phasewatch.artifacts import bundle
from phasewatch.errors import Refused
from phasewatch.io.trust import ANY, Trust, refusal
from phasewatch.models import base

LIMIT_S, MEMORY = 10, 2 << 30
"""Limits of the child: seconds, and bytes of memory beyond those of the libraries."""

REFUSED = 2


def load_in_sandbox(path: Path, trust: Trust = ANY, limit_s: int = LIMIT_S) -> None:
    """Load a checkpoint or a bundle in a child process.

    Raises Refused as loading does, with the code `child` where the child was ended.
    """
    arguments = [str(path), trust.key and str(trust.key), trust.strict, trust.serial, limit_s]
    command = [sys.executable, "-m", "phasewatch.artifacts.sandbox", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == REFUSED:
        raise Refused(*json.loads(done.stdout.splitlines()[-1]))
    if done.returncode:
        code = done.returncode
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        expected = f"a model that loads in {limit_s} s and {MEMORY >> 30} GiB"
        raise refusal(path, f"ended the process that tried it ({how})", expected, "child")


def _limited(seconds: int) -> None:
    """Limit this process from now on. An unhandled alarm also ends code outside of Python."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime) + seconds
    for what, most in (("AS", memory), ("CPU", cpu), ("CORE", 0)):
        resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (most, most))
    signal.alarm(seconds)


def _main() -> None:
    name, key, strict, serial, limit_s = json.loads(sys.argv[1])
    path, trust = Path(name), Trust(key and Path(key), strict, serial)
    try:
        if path.is_dir():
            importlib.import_module("onnxruntime")
            _limited(limit_s)
            bundle.load(path, trust)
        else:
            from phasewatch.artifacts import checkpoint

            base.find(checkpoint.load_header(path, trust).model)
            _limited(limit_s)
            checkpoint.load(path, trust)
    except Refused as refused:
        sys.stdout.write("\n" + json.dumps(refused.__reduce__()[1]))
        sys.exit(REFUSED)


if __name__ == "__main__":
    _main()
