"""Compare live with offline predictions of every episode of a store.

`python bench/live_against_offline.py --run RUN --store STORE`. Offline is what training and
evaluation do: all windows are cut, pooled and predicted in large batches. Live gives each episode's
samples to a machine a stride at a time. Exits with 1 when a window, its level or a label differs,
or a logit by more than `WITHIN`.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phasewatch.experiment.run import Run
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import WindowPrediction
from phasewatch.live.playback import history, replay
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_episode
from phasewatch.windowing import Windows, concatenate, cut_windows, pool_openings

WITHIN = 1e-6


class Agreement(NamedTuple):
    """Numbers of windows and labels, how many are equal, and the largest difference of logits."""

    windows: int
    same_windows: int
    labels: int
    same_labels: int
    largest: float


def offline(store: Store, ensemble: Ensemble) -> Windows:
    """Return every window of the store, each with its machine's level at that time."""
    windows = {
        id: cut_windows(store.read(id), store.schema, ensemble.opening_s) for id in store.ids()
    }
    usable = {id for id in windows if validate_episode(store, id).usable}
    parts = []
    for id, cut in windows.items():
        # An episode that is not usable adds nothing to its machine's level, but can be watched.
        near = [one for other, one in windows.items() if other in usable or other == id]
        same_host = pool_openings(concatenate(one for one in near if one.host[:1] == cut.host[:1]))
        parts.append(same_host.take(same_host.episode == id))
    return concatenate(parts)


def live(store: Store, ensemble: Ensemble) -> list[WindowPrediction]:
    """Return the live predictions of every window of the store, in the same order."""
    manifests = [store.manifest(id) for id in store.ids()]
    predicted: list[WindowPrediction] = []
    for number, id in enumerate(store.ids(), 1):
        episode = store.read(id)
        past = history(store, manifests, episode, ensemble.opening_s)
        predicted += replay(episode, ensemble, past).predictions.values()
        sys.stderr.write(f"\r{number} of {len(manifests)} episodes")
    sys.stderr.write("\n")
    return predicted


def compare(ensemble: Ensemble, windows: Windows, predicted: list[WindowPrediction]) -> Agreement:
    """Compare both, window by window; raises ValueError when they end at different times."""
    same = 0
    for x, level, t_ns, one in zip(
        windows.x, windows.opening, windows.t_ns, predicted, strict=True
    ):
        if one.end_ns != t_ns:
            raise ValueError(f"live has a window at {one.end_ns}, offline at {t_ns}")
        same += (one.x.tobytes(), one.level.tobytes()) == (x.tobytes(), level.tobytes())
    agreed, largest = 0, 0.0
    for member in ensemble.members:
        logits = member.checkpoint.logits(
            *(one[:, member.rows] for one in (windows.x, windows.opening, windows.past))
        )
        other = np.stack([one.logits[member.key] for one in predicted])
        agreed += int((logits.argmax(axis=1) == other.argmax(axis=1)).sum())
        largest = max(largest, float(np.abs(logits - other).max()))
    return Agreement(len(windows), same, len(windows) * len(ensemble.members), agreed, largest)


def main() -> None:
    """Parse the command line, print one line, and exit with the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    options = parser.parse_args()
    store = Store.open(options.store)
    ensemble = Ensemble.load(Run.open(options.run), store.schema)
    found = compare(ensemble, offline(store, ensemble), live(store, ensemble))
    sys.stdout.write(
        f"{len(store.ids())} episodes, {len(ensemble.members)} models: "
        f"windows bit-equal {found.same_windows}/{found.windows}, "
        f"labels equal {found.same_labels}/{found.labels}, "
        f"largest logit difference {found.largest:.2g}\n"
    )
    agrees = found.same_windows == found.windows and found.same_labels == found.labels
    sys.exit(0 if agrees and found.largest <= WITHIN else 1)


if __name__ == "__main__":
    main()
