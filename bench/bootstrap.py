"""`make bench`, bootstrap: resampling complete episodes for twelve checkpoints, as in a report.

The peer calls scikit-learn's f1_score on the windows of each draw; it is timed on a few draws, on
which both must agree.
"""

import time

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import f1_score

from phasewatch import metrics, resampling
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_store
from phasewatch.windowing import extract

CHECKPOINTS, DRAWS, TIMED = 12, resampling.PAIRED_REPLICATES, 40

Labels = NDArray[np.int64]


def run(opened: Store, out: Console) -> None:
    """Measure on the episodes of the corpus, with simulated predictions that are 70 % correct."""
    generator = np.random.default_rng(0)
    schema = opened.schema.for_mode("realistic")
    ids = [result.id for result in validate_store(opened) if result.usable]
    windows = extract(opened, ids, schema, 15.0)
    wrong = generator.integers(0, len(schema.classes), (CHECKPOINTS, len(windows)))
    predictions = np.where(generator.random(wrong.shape) < 0.7, windows.y, wrong)
    parts = [
        metrics.confusions(windows.episode, windows.y, one, len(schema.classes))[1]
        for one in predictions
    ]

    began = time.perf_counter()
    draws = resampling.over_episodes(len(parts[0]), 0, DRAWS)
    our_values = metrics.macro_f1(metrics.resampled_confusions(np.stack(parts, axis=1), draws)).T
    our_seconds = time.perf_counter() - began

    _, place = np.unique(windows.episode, return_inverse=True)
    weights = next(draws.blocks()).weights
    began = time.perf_counter()
    peer_values = np.array(
        [plain(windows.y, predictions, drawn[place]) for drawn in weights[:TIMED]]
    ).T
    peer = (time.perf_counter() - began) * DRAWS / TIMED

    table = Table("work", "ours", "peer", "peer/ours", "largest difference")
    table.add_row(
        f"{DRAWS:,} paired draws of {len(ids)} episodes, {CHECKPOINTS} checkpoints",
        f"{our_seconds:.2f} s",
        f"scikit-learn's f1_score a draw: {peer:.0f} s (from {TIMED} draws)",
        f"{peer / our_seconds:.0f} x",
        f"{np.abs(our_values[:, :TIMED] - peer_values).max():.1e}",
    )
    out.print(table)


def plain(y: Labels, predictions: Labels, often: Labels) -> list[float]:
    """Return macro F1 of every checkpoint on windows weighted by `drawn`."""
    rows = np.repeat(np.arange(len(y)), often)
    return [float(f1_score(y[rows], one[rows], average="macro")) for one in predictions]
