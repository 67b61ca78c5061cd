"""A run on a small store, stopped and killed at random moments. A script: test_pipeline's.

`python -m tests.killed_run 6` stops it so often, in turn by Ctrl-C and by SIGKILL, at moments drawn
over the processor time that an unbroken run takes. The same call then goes on, and ends with the
bytes of the unbroken run. It prints in which of its parts each stop fell.
"""

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests import toy

from phasewatch.experiment import pipeline
from phasewatch.models import _network
from phasewatch.models._trainer import Schedule
from phasewatch.store.local import Store

RECIPE = replace(toy.RECIPE, models=("mlp", "logistic", "majority"), modes=("realistic",))


def run(store: Store, out: Path) -> None:
    """Run, or go on with a run."""
    pipeline.run(RECIPE, store, out, lambda line: None)


def digests(out: Path) -> dict[str, str]:
    """The digest of every file of a run, by name; logs without the seconds that epochs took.

    The cache of grids is left out: a pass that goes on packs what was left to it.
    """
    found = {}
    for path in sorted(out.rglob("*")):
        if path.is_file() and not {"tensorboard", "grids"} & set(path.parts):
            data = path.read_bytes()
            if path.suffix == ".jsonl":
                lines = [json.loads(line) | {"seconds": 0} for line in data.splitlines()]
                data = json.dumps(lines).encode()
            found[str(path.relative_to(out))] = hashlib.sha256(data).hexdigest()
    return found


def stopped(store: Store, out: Path, after_s: float, by: signal.Signals) -> str:
    """Run in a child that is stopped after so much processor time; return how it ended."""
    child = os.fork()
    if not child:
        os.setpgrp()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), by))
        signal.setitimer(signal.ITIMER_PROF, after_s)
        try:
            run(store, out)
        except KeyboardInterrupt:
            os._exit(130)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed"
    return {0: "finished", 130: "stopped"}[os.waitstatus_to_exitcode(status)]


def unbroken(store: Store, out: Path) -> float:
    """Run in a child that nothing stops; return the processor seconds that it takes."""
    before = os.times()
    assert stopped(store, out, 1e6, signal.SIGKILL) == "finished"
    after = os.times()
    return after.children_user + after.children_system - before[2] - before[3]


def main() -> None:
    """Stop so many runs, let each go on, and compare."""
    vars(_network)["Schedule"] = partial(Schedule, epochs=4)
    generator = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    ends = []
    with tempfile.TemporaryDirectory() as folder:
        store = toy.store(Path(folder, "store"), seeds=2)
        took = unbroken(store, Path(folder, "whole"))
        whole = digests(Path(folder, "whole"))
        for number in range(int(sys.argv[1])):
            out = Path(folder, str(number))
            by = (signal.SIGINT, signal.SIGKILL)[number % 2]
            ends.append(stopped(store, out, took * generator.uniform(0.05, 0.75), by))
            there = len(digests(out)) if out.exists() else 0
            sys.stdout.write(f"{ends[-1]} with {there} of {len(whole)} files\n")
            assert stopped(store, out, 1e6, by) == "finished"
            assert digests(out) == whole, sorted(set(digests(out).items()) ^ set(whole.items()))
    sys.stdout.write(f"{sum(one != 'finished' for one in ends)} stops: every run the same\n")


if __name__ == "__main__":
    main()
