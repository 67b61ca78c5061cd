"""`make bench`, intervals: does 95 % mean 95 %, on made-up answers whose truth is known?

Windows of an episode share how easy it was, episodes of a host how easy the host was. Each of the
two intervals must cover its own true macro F1, and two equal models must rarely be told apart; the
bootstrap over windows stands beside them.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from phasewatch import metrics
from phasewatch.metrics import Confusions, Score

CLASSES, WINDOWS, SEGMENT = 4, 24, 4
TIMES = 1000
SKILL, HOST_SPREAD, EPISODE_SPREAD = 0.9, 0.6, 0.7
"""Log odds of a right call, and their standard deviations."""

Floats = NDArray[np.float64]


def episodes(skill: Floats, generator: np.random.Generator) -> Confusions:
    """Confusion `[E,K,K]` of episodes of log odds `skill[E]`, in segments of one phase each.

    Every class has its own ease, and neighbouring windows share half of their luck.
    """
    count, segments = len(skill), WINDOWS // SEGMENT
    truth = generator.integers(0, CLASSES, (count, segments)).repeat(SEGMENT, axis=1)
    ease = np.linspace(-0.6, 0.6, CLASSES)[truth]
    luck = generator.logistic(size=(count, WINDOWS + 1))
    shared = np.where(generator.random((count, WINDOWS)) < 0.5, luck[:, 1:], luck[:, :-1])
    right = skill[:, None] + ease + shared > 0
    wrong = (truth + generator.integers(1, CLASSES, truth.shape)) % CLASSES
    guess = np.where(right, truth, wrong)
    flat = (np.arange(count)[:, None] * CLASSES + truth) * CLASSES + guess
    counted = np.bincount(flat.ravel(), minlength=count * CLASSES**2)
    return counted.reshape(count, CLASSES, CLASSES)


def world(
    hosts: Floats, each: int, generator: np.random.Generator
) -> tuple[Confusions, NDArray[np.str_]]:
    """`each` episodes on hosts of log odds `hosts[H]`, and the host of each."""
    skill = hosts.repeat(each) + EPISODE_SPREAD * generator.standard_normal(len(hosts) * each)
    return episodes(skill, generator), np.arange(len(hosts)).astype(np.str_).repeat(each)


def windows(parts: Confusions, generator: np.random.Generator) -> tuple[float, float]:
    """The naive interval: windows drawn as if they knew nothing of each other."""
    total = parts.sum(axis=0)
    drawn = generator.multinomial(
        total.sum(), (total / total.sum()).ravel(), size=metrics.REPLICATES
    )
    values = metrics.macro_f1(drawn.reshape(-1, CLASSES, CLASSES))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def within(score: Score | None, truth: float) -> bool:
    """Whether an interval holds the truth."""
    if score is None or score.low is None or score.high is None:
        return False
    return score.low <= truth <= score.high


def these(generator: np.random.Generator, hits: Counter[str]) -> None:
    """One host, 30 episodes of it; the truth is that host's over ever more episodes."""
    host = SKILL + HOST_SPREAD * generator.standard_normal(1)
    parts, _ = world(host, 30, generator)
    other, _ = world(host, 30, generator)
    truth = float(metrics.macro_f1(world(host, 4000, generator)[0].sum(axis=0)))
    hits["these"] += within(metrics.macro_f1_score(parts, 0), truth)
    low, high = windows(parts, generator)
    hits["these, windows"] += low <= truth <= high
    hits["these, equal told apart"] += metrics.difference(parts, other, 0)[1] < 0.05


def like(truth: float, count: int, generator: np.random.Generator, hits: Counter[str]) -> None:
    """`count` hosts of 20 episodes; the truth is that of all hosts."""
    spread = HOST_SPREAD * generator.standard_normal((2, count))
    parts, host = world(SKILL + spread[0], 20, generator)
    other, _ = world(SKILL + 0.5 * spread[0] + np.sqrt(0.75) * spread[1], 20, generator)
    hits["like"] += within(metrics.across_hosts(parts, host, 0), truth)
    hits["like, episodes"] += within(metrics.macro_f1_score(parts, 0), truth)
    low, high = windows(parts, generator)
    hits["like, windows"] += low <= truth <= high
    hits["like, equal told apart"] += (
        metrics.difference_across_hosts(parts, other, host, 0)[1] < 0.05
    )


def run(out: Console) -> None:
    """All of it, `TIMES` times."""
    generator = np.random.default_rng(0)
    table = Table(title=f"shares of {TIMES} repetitions; nominal: covered 95 %, told apart 5 %")
    for name in ("asked", "test", "ours", "over episodes", "over windows", "equals told apart"):
        table.add_column(name)

    def share(hits: Counter[str], name: str) -> str:
        return f"{100 * hits[name] / TIMES:.1f} %"

    hits: Counter[str] = Counter()
    for _ in range(TIMES):
        these(generator, hits)
    told = ("these", "these, windows", "these, equal told apart")
    ours, naive, apart = (share(hits, name) for name in told)
    table.add_row("these hosts, other episodes", "1 host, 30 episodes", ours, ours, naive, apart)
    all_hosts = SKILL + HOST_SPREAD * generator.standard_normal(20_000)
    truth = float(metrics.macro_f1(world(all_hosts, 20, generator)[0].sum(axis=0)))
    for count in (5, 10):
        hits = Counter()
        for _ in range(TIMES):
            like(truth, count, generator, hits)
        kinds = ("like", "like, episodes", "like, windows", "like, equal told apart")
        table.add_row(
            "hosts like these", f"{count} hosts, 20 episodes each", *(share(hits, n) for n in kinds)
        )
    out.print(table)


if __name__ == "__main__":
    run(Console(highlight=False, width=120))
