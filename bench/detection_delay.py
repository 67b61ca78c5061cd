"""Detection delays of an episode that `phasewatch live` has recorded and still serves.

Run `python bench/detection_delay.py http://127.0.0.1:8600 EPISODE`.
"""

import json
import sys
from collections import Counter
from typing import Any
from urllib.request import urlopen


def get(address: str) -> Any:
    """Return the JSON at an address."""
    with urlopen(address) as response:
        return json.load(response)


def majority_label(window: dict[str, Any], mode: str) -> str:
    """Return the label that most models of a mode predict."""
    labels = [one["label"] for key, one in window["models"].items() if key.endswith(mode)]
    (most,) = Counter(labels).most_common(1)
    return str(most[0])


def main(server: str, id: str) -> None:
    """Print for each phase and mode the seconds from onset to the first correct prediction."""
    episode = get(f"{server}/api/episodes/{id}")
    windows = get(f"{server}/api/episodes/{id}/windows")
    lag = sorted(one["lag_s"] for one in windows)
    sys.stdout.write(f"lag of a window: median {lag[len(lag) // 2]:.2f} s, most {lag[-1]:.2f} s\n")
    for phase in episode["phases"]:
        if phase["start_s"] < episode["opening_s"]:
            continue
        lasts = phase["end_s"] - phase["start_s"]
        if not any(phase["start_s"] < one["end_s"] <= phase["end_s"] for one in windows):
            sys.stdout.write(f"{phase['label']} ({lasts:.0f} s): no window ends in it\n")
            continue
        for mode in ("realistic", "oracle"):
            right = [
                one["end_s"] + one["lag_s"] - phase["start_s"]
                for one in windows
                if phase["start_s"] < one["end_s"] <= phase["end_s"]
                and majority_label(one, mode) == phase["label"]
            ]
            delay = f"{min(right):.1f} s" if right else "never"
            sys.stdout.write(f"{phase['label']} ({lasts:.0f} s), {mode}: {delay}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
