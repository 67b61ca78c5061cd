"""`make bench`, intervals: their coverage on simulated predictions whose true score is known.

Windows of an episode share its difficulty, and episodes of a host share that of the host. Each of
the two intervals must cover its true macro F1 in 95 % of repetitions, and two equal models must be
declared different in 5 %; a bootstrap over windows is shown beside them.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from phasewatch import metrics, resampling
from phasewatch.metrics import Confusions, Score

CLASSES, WINDOWS, SEGMENT = 4, 24, 4
TIMES = 1000
SKILL, HOST_SPREAD, EPISODE_SPREAD = 0.9, 0.6, 0.7
"""Log odds of a correct prediction, and their standard deviations."""

Floats = NDArray[np.float64]


def episodes(skill: Floats, generator: np.random.Generator) -> Confusions:
    """Return confusion matrices `[E,K,K]` of episodes with log odds `skill[E]`.

    Episodes consist of segments of one phase each; classes differ in difficulty, and neighbouring
    windows are correlated.
    """
    count, segments = len(skill), WINDOWS // SEGMENT
    truth = generator.integers(0, CLASSES, (count, segments)).repeat(SEGMENT, axis=1)
    ease = np.linspace(-0.6, 0.6, CLASSES)[truth]
    luck = generator.logistic(size=(count, WINDOWS + 1))
    shared = np.where(generator.random((count, WINDOWS)) < 0.5, luck[:, 1:], luck[:, :-1])
    right = skill[:, None] + ease + shared > 0
    wrong = (truth + generator.integers(1, CLASSES, truth.shape)) % CLASSES
    predicted = np.where(right, truth, wrong)
    flat = (np.arange(count)[:, None] * CLASSES + truth) * CLASSES + predicted
    counted = np.bincount(flat.ravel(), minlength=count * CLASSES**2)
    return counted.reshape(count, CLASSES, CLASSES)


def simulate(
    hosts: Floats, each: int, generator: np.random.Generator
) -> tuple[Confusions, NDArray[np.str_]]:
    """Return `each` episodes on every host of log odds `hosts[H]`, and the host of each episode."""
    skill = hosts.repeat(each) + EPISODE_SPREAD * generator.standard_normal(len(hosts) * each)
    return episodes(skill, generator), np.arange(len(hosts)).astype(np.str_).repeat(each)


def windows(parts: Confusions, generator: np.random.Generator) -> tuple[float, float]:
    """Return the naive interval, which resamples windows as if they were independent."""
    total = parts.sum(axis=0)
    drawn = generator.multinomial(
        total.sum(), (total / total.sum()).ravel(), size=resampling.REPLICATES
    )
    values = metrics.macro_f1(drawn.reshape(-1, CLASSES, CLASSES))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def within(score: Score | None, truth: float) -> bool:
    """Return whether an interval covers the true score."""
    if score is None or score.low is None or score.high is None:
        return False
    return score.low <= truth <= score.high


def same_host(generator: np.random.Generator, hits: Counter[str]) -> None:
    """Count coverage for other episodes of one host, from 30 episodes of it."""
    host = SKILL + HOST_SPREAD * generator.standard_normal(1)
    parts, _ = simulate(host, 30, generator)
    other, _ = simulate(host, 30, generator)
    truth = float(metrics.macro_f1(simulate(host, 4000, generator)[0].sum(axis=0)))
    hits["these"] += within(metrics.macro_f1_score(parts, 0), truth)
    low, high = windows(parts, generator)
    hits["these, windows"] += low <= truth <= high
    hits["these, equal told apart"] += metrics.difference(parts, other, 0)[1] < 0.05


def other_hosts(
    truth: float, count: int, generator: np.random.Generator, hits: Counter[str]
) -> None:
    """Count coverage for other hosts, from `count` hosts of 20 episodes each."""
    spread = HOST_SPREAD * generator.standard_normal((2, count))
    parts, host = simulate(SKILL + spread[0], 20, generator)
    other, _ = simulate(SKILL + 0.5 * spread[0] + np.sqrt(0.75) * spread[1], 20, generator)
    hits["like"] += within(metrics.across_hosts(parts, host, 0), truth)
    hits["like, episodes"] += within(metrics.macro_f1_score(parts, 0), truth)
    low, high = windows(parts, generator)
    hits["like, windows"] += low <= truth <= high
    hits["like, equal told apart"] += (
        metrics.difference_across_hosts(parts, other, host, 0)[1] < 0.05
    )


def run(out: Console) -> None:
    """Repeat both `TIMES` times and print the shares."""
    generator = np.random.default_rng(0)
    table = Table(
        title=f"shares of {TIMES} repetitions; nominal: covered 95 %, declared different 5 %"
    )
    for name in (
        "interval for",
        "from",
        "ours",
        "over episodes",
        "over windows",
        "equals declared different",
    ):
        table.add_column(name)

    def share(hits: Counter[str], name: str) -> str:
        return f"{100 * hits[name] / TIMES:.1f} %"

    hits: Counter[str] = Counter()
    for _ in range(TIMES):
        same_host(generator, hits)
    names = ("these", "these, windows", "these, equal told apart")
    ours, naive, apart = (share(hits, name) for name in names)
    table.add_row("other episodes, same host", "1 host, 30 episodes", ours, ours, naive, apart)
    all_hosts = SKILL + HOST_SPREAD * generator.standard_normal(20_000)
    truth = float(metrics.macro_f1(simulate(all_hosts, 20, generator)[0].sum(axis=0)))
    for count in (5, 10):
        hits = Counter()
        for _ in range(TIMES):
            other_hosts(truth, count, generator, hits)
        kinds = ("like", "like, episodes", "like, windows", "like, equal told apart")
        table.add_row(
            "other hosts", f"{count} hosts, 20 episodes each", *(share(hits, n) for n in kinds)
        )
    out.print(table)


if __name__ == "__main__":
    run(Console(highlight=False, width=120))
