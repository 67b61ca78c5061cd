"""Data sets of others as arrays: the UEA archive by aeon's reader, shoulder exercises by seglearn.

Run by other_data.py in the peers' environment: `python other_sets.py FOLDER OUT`. For each set that
is there, OUT gets an .npz with `X[N,C,T]`, `y[N]`, `groups[N]`, and `test[N]`, true for the
archive's own test part, false throughout where there is none.
"""

import gzip
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from aeon.datasets import load_from_ts_file
from sklearn.preprocessing import LabelEncoder

ARCHIVE = ("NATOPS", "BasicMotions", "Epilepsy")
STEPS = 200
"""Steps of a window of the exercises: 4 s at 50 Hz; windows do not overlap."""


def part(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the cases of a part of a set of the archive, gzipped or not."""
    path = next(folder.glob(f"{name}.ts*"))
    with tempfile.TemporaryDirectory() as place:
        plain = Path(place) / f"{name}.ts"
        data = path.read_bytes()
        plain.write_bytes(gzip.decompress(data) if path.suffix == ".gz" else data)
        x, y = load_from_ts_file(str(plain))
        return np.asarray(x), np.asarray(y)


def archive(folder: Path, name: str) -> dict[str, Any]:
    """Return a set of the archive with its own test part; every case is a group."""
    train, test = (part(folder / name, f"{name}_{side}") for side in ("TRAIN", "TEST"))
    x, y = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    places = LabelEncoder().fit_transform(y)
    held_out = np.arange(len(y)) >= len(train[1])
    return {"X": x, "y": places, "groups": np.arange(len(y)), "test": held_out}


def exercises() -> dict[str, Any]:
    """Return windows of shoulder exercises; the groups are the ten subjects."""
    from seglearn.datasets import load_watch

    watched = load_watch()
    x, y, groups = [], [], []
    for samples, label, subject in zip(watched["X"], watched["y"], watched["subject"], strict=True):
        many = len(samples) // STEPS
        cut = np.asarray(samples[: many * STEPS]).reshape(many, STEPS, -1)
        x.append(cut.swapaxes(1, 2))
        y += [int(label)] * many
        groups += [int(subject)] * many
    found = np.concatenate(x)
    return {"X": found, "y": np.array(y), "groups": np.array(groups),
            "test": np.zeros(len(y), dtype=bool)}  # fmt: skip


def main(folder: Path, out: Path) -> None:
    """Write every set that is there, and say which is not."""
    for name in ARCHIVE:
        if (folder / "uea" / name).is_dir():
            np.savez(out / f"{name}.npz", **archive(folder / "uea", name))
        else:
            sys.stderr.write(f"skipped {name}: no folder {folder / 'uea' / name}\n")
    try:
        np.savez(out / "SPARS.npz", **exercises())
    except ImportError as error:
        sys.stderr.write(f"skipped SPARS: {error}; the package seglearn 1.2.5 brings it\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
