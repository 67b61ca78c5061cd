"""How late `phasewatch attach` says what it reads or predicts: median and 99th percentile.

`python bench/lag.py host`, `… qemu NAME --bundle B`: everything after the options of this program
is the command line of `attach`. A line's lag is the time from its reading until it is out; that of
a prediction counts from the end of its window, and so contains the wait for the next reading of
every source, half a second.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

ENTRY = "from phasewatch.cli.entry import main; main()"


def lags_s(words: list[str], seconds: float) -> list[float]:
    """Return the lag of everything that `attach` prints in some seconds."""
    command = [sys.executable, "-c", ENTRY, "attach", *words, "--seconds", str(seconds)]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            now_ns, value = time.time_ns(), json.loads(line)
            found.append((now_ns - value.get("end_ns", value.get("t_wall_ns"))) / 1e9)
    return found


def main() -> None:
    """Print the lags of one watch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="seconds", type=float, default=60.0, help="length in seconds")
    options, words = parser.parse_known_args()
    found = lags_s(words, options.seconds)
    what = "predictions" if "--bundle" in words else "lines"
    if not found:
        raise SystemExit(f"no {what} in {options.seconds:g} s")
    middle, most, longest = np.percentile(found, [50, 99, 100])
    sys.stdout.write(
        f"{' '.join(words)}: {len(found)} {what}, lag p50 {middle:.3f} s, p99 {most:.3f} s, "
        f"longest {longest:.3f} s\n"
    )


if __name__ == "__main__":
    main()
