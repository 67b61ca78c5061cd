"""`make bench-models`, data of others: ours and plain peers on the same windows and splits.

`python bench/other_data.py --data FOLDER --peers PYTHON [SET …]` writes
docs/explanation/results/other-data.md. FOLDER has `uea/` and `uzh-rpi3-malware/`; a set that is not
there is skipped, and the page says so. Every fit leaves a file under runs/other-data, so that an
interrupted call resumes.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold
from xgboost import XGBClassifier

from phasewatch import schema
from phasewatch.adapters import importer, mapping
from phasewatch.errors import Refused
from phasewatch.features.normalizer import Normalizer
from phasewatch.io import atomic
from phasewatch.models.base import names
from phasewatch.store.local import Store
from phasewatch.training.sklearn import Estimator, _windows
from phasewatch.windowing import cut_windows

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "runs" / "other-data"
PAGE = ROOT / "docs" / "explanation" / "results" / "other-data.md"
SETS = ("NATOPS", "BasicMotions", "Epilepsy", "SPARS", "Raspberry Pi 3")
PEERS = {
    "MiniRocket": "MiniRocket, ridge (aeon)",
    "MultiRocket-Hydra": "MultiRocket-Hydra, ridge (aeon)",
    "QUANT": "QUANT, extra trees (aeon)",
}
PLAIN: dict[str, Callable[[], Any]] = {
    "random forest": lambda: RandomForestClassifier(
        500, class_weight="balanced", n_jobs=1, random_state=0
    ),
    "XGBoost": lambda: XGBClassifier(n_estimators=200, n_jobs=1, random_state=0),
}
FOLDS = 3
EVERY = 4
"""One in so many windows of the Raspberry Pi is used: windows of a recording are much alike."""

out = Console(highlight=False, width=150)


@dataclass(frozen=True)
class Data:
    """Windows `X[N,C,T]`, classes `y[N]`, `groups[N]` that no split divides, and its folds."""

    name: str
    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Fit:
    """One model fitted on one fold: test predictions, seconds, and its score in choosing."""

    predicted: list[int]
    seconds: float
    choosing: float | None = None
    choosing_s: float = 0.0


def read(folder: Path, python: Path, place: Path) -> Iterator[Data]:
    """Yield every set that is there."""
    script = Path(__file__).with_name("other_sets.py")
    subprocess.run([python, "-W", "ignore", script, folder, place], check=True)
    for name in SETS[:-1]:
        if (place / f"{name}.npz").exists():
            yield of_arrays(name, np.load(place / f"{name}.npz"))
    if (folder / "uzh-rpi3-malware").is_dir():
        yield of_arrays(SETS[-1], raspberry(folder / "uzh-rpi3-malware", place))


def of_arrays(name: str, arrays: Any) -> Data:
    """Return a set with the archive's own split, or with folds that keep groups together."""
    x, y, groups, test = (arrays[key] for key in ("X", "y", "groups", "test"))
    if test.any():
        folds = [(np.flatnonzero(~test), np.flatnonzero(test))]
    else:
        folds = list(grouped(FOLDS).split(x, y, groups))
    return Data(name, x, y, groups, folds)


def grouped(many: int) -> StratifiedGroupKFold:
    """Return folds that no group is divided by."""
    return StratifiedGroupKFold(many, shuffle=True, random_state=0)


def raspberry(folder: Path, place: Path) -> dict[str, np.ndarray]:
    """Import the recordings as the guide does; the groups are recordings."""
    layout = schema.read(ROOT / "docs/examples/rpi3-schema.toml")
    mapped = mapping.read(ROOT / "docs/examples/rpi3-mapping.toml", layout)
    store = Store.create(place / "rpi3", layout)
    for _ in importer.import_files(folder, mapped, store):
        pass
    parts = []
    for id in store.ids():
        try:
            parts.append(cut_windows(store.read(id), layout, 0.0))
        except Refused as refused:
            out.print(f"left out: {refused}")
    x, y = (np.concatenate([getattr(one, key)[::EVERY] for one in parts]) for key in ("x", "y"))
    groups = np.repeat(np.arange(len(parts)), [len(one.y[::EVERY]) for one in parts])
    return {"X": x, "y": y, "groups": groups, "test": np.zeros(len(y), dtype=bool)}


def ours(data: Data, fold: int, name: str) -> Fit:
    """Fit one of our models, and score it on a part of the training windows to choose by."""
    train, test = data.folds[fold]
    least = min(len(set(data.groups[train][data.y[train] == one])) for one in set(data.y[train]))
    inner = grouped(max(min(FOLDS, least), 2))
    fit, choose = next(iter(inner.split(data.x[train], data.y[train], data.groups[train])))
    began = time.monotonic()
    trial = Estimator(name).fit(data.x[train[fit]], data.y[train[fit]], data.groups[train[fit]])
    guess = trial.predict(data.x[train[choose]])
    choosing_s = time.monotonic() - began
    began = time.monotonic()
    model = Estimator(name).fit(data.x[train], data.y[train], data.groups[train])
    seconds = time.monotonic() - began
    score = float(f1_score(data.y[train[choose]], guess, average="macro"))
    return Fit(model.predict(data.x[test]).tolist(), seconds, score, choosing_s)


def plain(data: Data, fold: int, name: str) -> Fit:
    """Fit a plain peer on the statistics that our trees see of the same windows."""
    train, test = data.folds[fold]
    normalizer = Normalizer.fit("summary", _windows(data.x[train]))
    known, asked = (
        np.nan_to_num(normalizer.apply(w.x, w.opening, w.past))
        for w in (_windows(data.x[train]), _windows(data.x[test]))
    )
    model, began = PLAIN[name](), time.monotonic()
    model.fit(known, data.y[train])
    return Fit(model.predict(asked).tolist(), time.monotonic() - began)


def peer(data: Data, fold: int, name: str, python: Path) -> Fit:
    """Fit a peer of aeon on the steps of the same windows, standardized by channel."""
    train, test = data.folds[fold]
    known = data.x[train]
    mean = np.nanmean(known, axis=(0, 2), keepdims=True)
    std = np.nanstd(known, axis=(0, 2), keepdims=True)
    std = np.where(std > 1e-9, std, 1.0)
    z, asked = (np.nan_to_num((one - mean) / std) for one in (known, data.x[test]))
    with tempfile.TemporaryDirectory() as place:
        given, said = Path(place) / "given.npz", Path(place) / "said.npz"
        np.savez(given, z=z, y=data.y[train], asked=asked)
        script = Path(__file__).with_name("peers.py")
        subprocess.run([python, script, given, said, PEERS[name]], check=True)
        answers = np.load(said)
        seconds = float(answers[f"{PEERS[name]} seconds"][0])
        return Fit(answers[PEERS[name]].tolist(), seconds)


def fitted(data: Data, name: str, python: Path) -> list[Fit]:
    """Return the fit of a model on every fold, from its file where there is one."""
    found = []
    for fold in range(len(data.folds)):
        path = CACHE / f"{data.name}-{fold}-{name}.json".replace(" ", "-")
        if not path.exists():
            if name in PEERS:
                fit = peer(data, fold, name, python)
            else:
                fit = (plain if name in PLAIN else ours)(data, fold, name)
            atomic.write(path, json.dumps(asdict(fit)).encode())
            out.print(f"{data.name} fold {fold} {name}: {fit.seconds:.1f} s")
        found.append(Fit(**json.loads(path.read_text())))
    return found


@dataclass(frozen=True)
class Row:
    """A line of the page: macro F1 of all folds together, accuracy, seconds of training."""

    name: str
    score: float
    worst: float
    accuracy: float
    seconds: float


def row(data: Data, name: str, fits: list[Fit]) -> Row:
    """Return the scores of a model over all folds; `worst` is that of its worst fold."""
    truths = [data.y[test] for _, test in data.folds]
    said = [np.array(fit.predicted) for fit in fits]
    truth, predicted = np.concatenate(truths), np.concatenate(said)
    each = [f1_score(*pair, average="macro") for pair in zip(truths, said, strict=True)]
    return Row(
        name,
        float(f1_score(truth, predicted, average="macro")),
        float(min(each)),
        float((truth == predicted).mean()),
        sum(fit.seconds for fit in fits),
    )


def table(data: Data, python: Path) -> list[str]:
    """Return the lines of the page on one set, fitting what is not fitted yet."""
    own = {name: fitted(data, name, python) for name in names() if name != "majority"}
    folds = range(len(data.folds))
    picks = [max(own, key=lambda name: own[name][fold].choosing or 0.0) for fold in folds]
    chosen = row(data, "chosen", [own[name][fold] for fold, name in enumerate(picks)])
    others = [row(data, name, fitted(data, name, python)) for name in (*PLAIN, *PEERS)]
    best = max(others, key=lambda one: one.score)
    rows = sorted([*(row(data, *pair) for pair in own.items()), *others], key=lambda r: -r.score)
    size = f"{len(data.y):,} windows, {data.x.shape[1]} channels, {data.x.shape[2]} steps"
    choosing = sum(fit.choosing_s for fits in own.values() for fit in fits)
    verdict = "within" if chosen.score >= best.score - 0.01 else "**not within**"
    return [
        f"## {data.name}: {size}",
        "",
        f"Validation chooses {', '.join(dict.fromkeys(picks))}: macro F1 **{chosen.score:.3f}**. "
        f"The best peer, {best.name}, has {best.score:.3f}: {chosen.score - best.score:+.3f}, "
        f"{verdict} .01. Training takes {chosen.seconds / best.seconds:.2g} times as long as its "
        f"({chosen.seconds:.1f} s and {best.seconds:.1f} s), and choosing among "
        f"{len(own)} models {choosing:.0f} s more.",
        "",
        "| model | | macro F1 | worst fold | accuracy | trained, s |",
        "|---|---|---|---|---|---|",
        *(
            f"| {one.name} | {'ours' if one.name in own else 'peer'} | {one.score:.3f} | "
            f"{one.worst:.3f} | {one.accuracy:.3f} | {one.seconds:.1f} |"
            for one in rows
        ),
        "",
    ]


HEAD = """# Ours beside plain peers, on data of others

`make bench-models` with `PHASEWATCH_DATA` prints this page. Nothing here was seen before:

- the archive's own test part (NATOPS, BasicMotions, Epilepsy: other participants),
- unseen subjects (SPARS: shoulder exercises of ten subjects, windows of 4 s),
- unseen recordings (one Raspberry Pi 3, windows of 60 s, one in four).

Our models are `pw.Estimator`, which holds back one group in five to stop by; the model is chosen on
a third of the training groups, then fitted on all of them. Peers are fitted on all of them. Random
forest and XGBoost get the statistics that our trees see, the others the steps.

InceptionTime is not among the peers: aeon's needs TensorFlow, which is not installed; its published
accuracy is .961 on NATOPS, 1 on BasicMotions and .986 on Epilepsy. TabPFN downloads its weights
when it runs, and is left out.
"""


def main() -> None:
    """Fit everything, and write the page of all sets for which every fit is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    usual = os.environ.get("PHASEWATCH_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=usual, help="Folder of the data sets.")
    parser.add_argument("--peers", type=Path, required=True, help="Python that has aeon.")
    parser.add_argument("sets", nargs="*", help=f"Some of {', '.join(SETS)}.")
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as place:
        for data in read(Path(options.data), options.peers, Path(place)):
            if not options.sets or data.name in options.sets:
                lines += table(data, options.peers)
    if not lines:
        out.print(f"skipped: no data set under {options.data}; PHASEWATCH_DATA names the folder")
        return
    text = "\n".join([HEAD, *lines])
    out.print(text, markup=False, soft_wrap=True)
    if not options.sets:
        atomic.write(PAGE, text.encode())


if __name__ == "__main__":
    main()
