"""Offline against live, over every episode: `python bench/replayed.py --run RUN --store STORE`.

Offline is what training and evaluation do: all windows cut, pooled and predicted in large batches.
Live gives each episode's samples to a machine a stride at a time. Exits with 1 when one window, its
level or a label differs, or a logit by more than `WITHIN`.
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


class Found(NamedTuple):
    """How many windows and labels there were, how many agreed, the largest logit difference."""

    windows: int
    same_windows: int
    labels: int
    same_labels: int
    largest: float


def offline(store: Store, ensemble: Ensemble) -> Windows:
    """Every window of the store, each with its machine's level by then."""
    whole = {
        id: cut_windows(store.read(id), store.schema, ensemble.opening_s) for id in store.ids()
    }
    usable = {id for id in whole if validate_episode(store, id).usable}
    parts = []
    for id, own in whole.items():
        # An episode that is not usable adds nothing to its machine's level, but can be watched.
        near = [one for other, one in whole.items() if other in usable or other == id]
        same_host = pool_openings(concatenate(one for one in near if one.host[:1] == own.host[:1]))
        parts.append(same_host.take(same_host.episode == id))
    return concatenate(parts)


def live(store: Store, ensemble: Ensemble) -> list[WindowPrediction]:
    """Every window of the store, in the same order."""
    manifests = [store.manifest(id) for id in store.ids()]
    predicted: list[WindowPrediction] = []
    for number, id in enumerate(store.ids(), 1):
        episode = store.read(id)
        past = history(store, manifests, episode, ensemble.opening_s)
        predicted += replay(episode, ensemble, past).predictions.values()
        sys.stderr.write(f"\r{number} of {len(manifests)} episodes")
    sys.stderr.write("\n")
    return predicted


def compare(ensemble: Ensemble, whole: Windows, predicted: list[WindowPrediction]) -> Found:
    """Compare both, window by window; raises ValueError when they end at different times."""
    same = 0
    for x, level, t_ns, one in zip(whole.x, whole.opening, whole.t_ns, predicted, strict=True):
        if one.end_ns != t_ns:
            raise ValueError(f"live has a window at {one.end_ns}, offline at {t_ns}")
        same += (one.x.tobytes(), one.level.tobytes()) == (x.tobytes(), level.tobytes())
    agreed, largest = 0, 0.0
    for member in ensemble.members:
        own = member.checkpoint.logits(
            *(one[:, member.rows] for one in (whole.x, whole.opening, whole.past))
        )
        other = np.stack([one.logits[member.key] for one in predicted])
        agreed += int((own.argmax(axis=1) == other.argmax(axis=1)).sum())
        largest = max(largest, float(np.abs(own - other).max()))
    return Found(len(whole), same, len(whole) * len(ensemble.members), agreed, largest)


def main() -> None:
    """One line, and the exit code."""
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
    whole = found.same_windows == found.windows and found.same_labels == found.labels
    sys.exit(0 if whole and found.largest <= WITHIN else 1)


if __name__ == "__main__":
    main()
