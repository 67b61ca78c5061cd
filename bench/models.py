"""`make bench-models`: ours and strong peers on the same windows of the same splits.

Ours are those of `make results`, read back from runs/ or trained there. Writes
docs/explanation/results/peers.md; it takes half an hour and more.
"""

import argparse
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import results
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from phasewatch import metrics
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.experiment.inference import TrainedFold
from phasewatch.features.normalizer import Normalizer
from phasewatch.io import atomic
from phasewatch.metrics import Confusions, Score
from phasewatch.models import _trainer
from phasewatch.models._network import Network
from phasewatch.models.base import UNMONITORED, Data, find, names
from phasewatch.store.local import Store
from phasewatch.training import jobs
from phasewatch.windowing import Windows, concatenate

ROOT = Path(__file__).parent.parent
SPLITS = {"new host": "host", "new sample": "sample", "new time": "time"}
out = Console(highlight=False, width=150)


@dataclass(frozen=True)
class Line:
    """A model in a mode on a split; `parameters` is 0 where they are not counted."""

    split: str
    mode: str
    model: str
    cube: Confusions
    seconds: float
    parameters: int
    rate: float

    @property
    def score(self) -> Score:
        """Return macro F1 with its interval over episodes."""
        return metrics.macro_f1_score(self.cube, 0)


def ours(split: str, fold: TrainedFold) -> list[Line]:
    """Return the results of our checkpoints on the unseen windows."""
    lines = []
    for loaded in fold.checkpoints:
        if jobs.repeat_of(loaded.name):
            continue
        windows = fold.windows[loaded.mode]["unseen"].read()
        began = time.monotonic()
        predicted = loaded.logits(windows.x, windows.opening, windows.past).argmax(axis=1)
        rate = len(windows) / (time.monotonic() - began)
        spent = fold.run.training_seconds(loaded.name)
        fields = (cube(windows, predicted, loaded), spent, loaded.model.parameters, rate)
        lines.append(Line(split, loaded.mode, loaded.model_name, *fields))
    return lines


def cube(asked: Windows, predicted: np.ndarray, loaded: Checkpoint) -> Confusions:
    """Return a confusion matrix for each episode."""
    return metrics.confusions(asked.episode, asked.y, predicted, len(loaded.schema.classes))[1]


def peers(split: str, fold: TrainedFold, python: Path) -> list[Line]:
    """Return the results of the peers, through the normalizer that our networks use."""
    lines = []
    for mode, parts in fold.windows.items():
        loaded = next(one for one in fold.checkpoints if one.mode == mode)
        normalizer = Normalizer.fit("tensor", parts["train"])
        known = concatenate([parts["train"], parts["validation"]]).read()
        asked = parts["unseen"].read()
        with tempfile.TemporaryDirectory() as place:
            given, said = Path(place) / "given.npz", Path(place) / "said.npz"
            z, wanted = (
                np.nan_to_num(normalizer.apply(w.x, w.opening, w.past)) for w in (known, asked)
            )
            np.savez(given, z=z, y=known.y, asked=wanted)
            script = Path(__file__).with_name("peers.py")
            subprocess.run([python, script, given, said], check=True)
            answers = np.load(said)
            for name in (key for key in answers.files if not key.endswith(" seconds")):
                learned, called = answers[f"{name} seconds"]
                fields = (cube(asked, answers[name], loaded), float(learned), 0)
                lines.append(Line(split, mode, name, *fields, len(asked) / float(called)))
    return lines


def page_text(lines: list[Line]) -> str:
    """Return a table for each split, best model first, each compared with the best."""
    text = [
        "# Ours beside strong peers, on the same windows of the same splits\n\n`make bench-models` "
        "prints this page. A single comparison beside the best of its mode: many are made.\n"
    ]
    for split in SPLITS:
        of_split = [line for line in lines if line.split == split]
        first = of_split[0]
        text.append(
            f"## {split}: {len(first.cube)} episodes, {first.cube.sum()} windows\n\n"
            "| mode | model | macro F1 | beside the best of its mode | trained, s | learned "
            "| windows/s |\n|---|---|---|---|---|---|---|"
        )
        for mode in dict.fromkeys(line.mode for line in of_split):
            ranked = sorted(
                (line for line in of_split if line.mode == mode), key=lambda line: -line.score.value
            )
            for line in ranked:
                gap, _ = metrics.difference(line.cube, ranked[0].cube, 0)
                beside = "best" if line is ranked[0] else f"{gap.value:+.3f} {words(gap)}"
                learned = f"{line.parameters:,}" if line.parameters else ""
                text.append(
                    f"| {mode} | {line.model} | {ranged(line.score)} | {beside} "
                    f"| {line.seconds:.1f} | {learned} | {line.rate:,.0f} |"
                )
        text.append("")
    return "\n".join(text) + "\n"


def ranged(score: Score) -> str:
    """Return a score and its interval as text."""
    if score.low is None or score.high is None:
        return f"{score.value:.3f}"
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def words(gap: Score) -> str:
    """Return one uncorrected comparison as text; of many comparisons some are wrong."""
    if gap.low is None or gap.high is None:
        return "undecided"
    return "worse" if gap.high < 0 else "better" if gap.low > 0 else "undecided"


def loops() -> None:
    """Print the speed of our training loop and of a plain one for the same module."""
    table = Table("network", "ours, windows/s", "plain loop, windows/s", "ours/plain")
    generator = np.random.default_rng(0)
    schedule = replace(_trainer.Schedule(), epochs=3, patience=99)
    for name in names():
        kind = find(name)
        if not issubclass(kind, Network):
            continue
        shape = (46 * 7,) if kind.view == "summary" else (46, 20)
        data = Data(generator.normal(size=(4096, *shape)), generator.integers(0, 6, 4096), 6)
        few = Data(data.z[:256], data.y[:256], 6)
        rates: dict[str, list[float]] = {"ours": [], "plain": []}
        for _ in range(2):
            for label in rates:
                model = kind(6, 0)
                model._make(shape)
                began = time.monotonic()
                if label == "ours":
                    _trainer.train(model._module, (data, few), schedule, 0, UNMONITORED)
                else:
                    plain(model._module, data, few, schedule)
                rates[label].append(3 * 4096 / (time.monotonic() - began))
        best = {label: max(found) for label, found in rates.items()}
        ratio = best["ours"] / best["plain"]
        table.add_row(name, f"{best['ours']:,.0f}", f"{best['plain']:,.0f}", f"{ratio:.2f}")
    out.print(table)


def plain(module: nn.Module, data: Data, few: Data, schedule: _trainer.Schedule) -> None:
    """Train by a plain loop: DataLoader, AdamW, cross-entropy, validation after each epoch."""
    torch.set_num_threads(1)
    z, y = torch.from_numpy(data.z.astype(np.float32)), torch.from_numpy(data.y)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(z, y), batch_size=schedule.batch, shuffle=True
    )
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    for _ in range(schedule.epochs):
        module.train()
        for batch, truth in loader:
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(module(batch), truth))
            optimizer.step()
        module.eval()
        with torch.no_grad():
            module(torch.from_numpy(few.z.astype(np.float32))).argmax(dim=1)


def main() -> None:
    """Measure the loops, then every split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="Python that has aeon; without it, no peers.")
    options = parser.parse_args()
    loops()
    store = Store.open(ROOT / "corpus")
    lines: list[Line] = []
    for split, run in SPLITS.items():
        [fold] = results.learn(run, store).trained.folds
        lines += ours(split, fold)
        if options.peers:
            lines += peers(split, fold, options.peers)
    text = page_text(lines)
    atomic.write(ROOT / "docs" / "explanation" / "results" / "peers.md", text.encode())
    out.print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
