"""The survey of a corpus: its content, its baselines, and the bias of a random window split.

Every episode is counted. Baselines that need no detector are evaluated beside boosted trees on
hosts held out one after the other. Models are evaluated on new hosts, samples and times, each
beside the same model on a random split of the same windows.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from phasewatch import metrics, progress
from phasewatch.baseline import Selection, of_episodes
from phasewatch.episode import Episode, Identity
from phasewatch.errors import Refused, counted
from phasewatch.evaluation import baselines
from phasewatch.experiment import totals
from phasewatch.experiment.totals import Total
from phasewatch.metrics import Score
from phasewatch.schema import NS, Mode, Schema
from phasewatch.splits import SURVEYED, Split
from phasewatch.store.local import Store
from phasewatch.training.fitting import fit_model
from phasewatch.training.recipes import RECIPES
from phasewatch.validation.sweep import validate_and_read
from phasewatch.validation.verdict import ValidationResult
from phasewatch.windowing import Windows, concatenate, cut_windows, pool_openings

MODEL = "gbt"
SIMULATED = "**Every episode is simulated: no score here says anything about a real machine.**"
SEED = 0
OPENING_S = RECIPES["all"].opening_s


@dataclass(frozen=True)
class SurveyRow:
    """One model on one kind of split: all held-out windows together, and the worst held-out part.

    `random` is the score of the same model on a random split of the same windows.
    """

    split: str
    model: str
    mode: Mode
    score: Score
    worst_part: str
    worst_score: float
    random: Score | None = None


@dataclass(frozen=True)
class Count:
    """Episodes of one campaign, host, profile and verdict, and their seconds in each phase."""

    campaign: str
    host: str
    profile: str
    verdict: str
    episodes: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class Survey:
    """All findings, as plain values."""

    classes: tuple[str, ...]
    counts: list[Count]
    baselines: list[SurveyRow]
    models: list[SurveyRow]
    totals: list[Total] = field(default_factory=list)
    simulated: bool = False


Log = Callable[[str], None]


def survey(
    store: Store,
    log: Log,
    opening_s: float = OPENING_S,
    models: Sequence[str] = (MODEL,),
    simulated: bool = False,
) -> Survey:
    """Count, and train `models` on every split: minutes for some hundred episodes, for trees.

    A store of simulated episodes is taken where `simulated` asks for one. Raises Refused.
    """
    store.refuse_simulated("survey", simulated)
    results, episodes = validate_and_read(store)
    counts = tally(results, episodes)
    baseline, judged = of_episodes(episodes, store.schema, Selection(noted=True))
    usable = [result.identity for result in results if result.id in set(judged)]
    allowed, missing = _splits(usable)
    for reason in missing:
        log(reason)
    if not allowed:
        raise Refused(store.root, "allows none of the splits", "three hosts", "Record more.")
    windows = pool_openings(
        concatenate(cut_windows(episodes[id], store.schema, opening_s) for id in judged),
        baseline.known,
    ).clear
    baseline_rows: list[SurveyRow] = []
    model_rows: list[SurveyRow] = []
    for mode in store.schema.modes:
        bench = Bench(store.schema, mode, windows)
        for name in baselines.BASELINES:
            if "held_out_host" in allowed:
                baseline_rows.append(
                    bench.evaluate("held_out_host", allowed["held_out_host"], name)
                )
                log(_describe(baseline_rows[-1]))
        trainings = list(product(allowed.items(), models))
        for (kind, splits), model in progress.each(f"surveying, {mode}", trainings):
            line = bench.evaluate(kind, splits, model)
            model_rows.append(replace(line, random=bench.random(splits, model)))
            log(_describe(model_rows[-1]))
    return Survey(
        store.schema.classes,
        counts,
        baseline_rows,
        model_rows,
        totals.totals(results, store),
        simulated,
    )


def _describe(line: SurveyRow) -> str:
    beside = f", random windows {_scored(line.random)}" if line.random is not None else ""
    return (
        f"{line.split} · {line.mode} · {line.model}: {_scored(line.score)}, "
        f"worst {line.worst_part} {line.worst_score:.3f}{beside}"
    )


def _splits(episodes: Sequence[Identity]) -> tuple[dict[str, list[Split]], list[str]]:
    """Return every split that the episodes allow, and why they do not allow the others."""
    allowed, missing = {}, []
    for kind, folds in SURVEYED.items():
        try:
            allowed[kind] = folds(episodes)
        except Refused as refused:
            missing.append(f"untested: {refused}")
    return allowed, missing


class Bench:
    """The windows of a corpus in one mode, on which models and baselines are evaluated."""

    def __init__(self, schema: Schema, mode: Mode, all_windows: Windows) -> None:
        visible = schema.for_mode(mode)
        self.mode: Mode = mode
        self.classes = len(schema.classes)
        self.windows = all_windows.channels(schema, visible)
        self._schema = visible

    def evaluate(self, kind: str, splits: Sequence[Split], model: str) -> SurveyRow:
        """Return the score of a model or baseline on the held-out parts of all splits together."""
        rows, predictions, worst = [], [], ("", 2.0)
        for split in splits:
            parts = [self._rows(ids) for ids in (split.train, split.validation, split.test)]
            predicted = self._predict(model, *parts)
            score = float(metrics.macro_f1(self._cube(parts[2], predicted).sum(axis=0)))
            worst = min(worst, (split.held_out, score), key=lambda pair: pair[1])
            rows.append(parts[2])
            predictions.append(predicted)
        cube = self._cube(np.concatenate(rows), np.concatenate(predictions))
        return SurveyRow(kind, model, self.mode, metrics.macro_f1_score(cube, SEED), *worst)

    def random(self, splits: Sequence[Split], model: str) -> Score:
        """Return the score of a model on a random window split, with the sizes of the first split.

        Windows of one episode are then on both sides, so the score is biased upwards.
        """
        sides = [splits[0].train, splits[0].validation, splits[0].test]
        sizes = [len(self._rows(ids)) for ids in sides]
        order = np.random.default_rng(SEED).permutation(len(self.windows))[: sum(sizes)]
        parts = np.split(order, np.cumsum(sizes)[:-1])
        return metrics.macro_f1_score(self._cube(parts[2], self._predict(model, *parts)), SEED)

    def _rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        return np.flatnonzero(np.isin(self.windows.episode, ids))

    def _cube(self, rows: NDArray[np.int64], predicted: NDArray[np.int64]) -> metrics.Confusions:
        identity = self.windows.episode[rows], self.windows.y[rows]
        return metrics.confusions(*identity, predicted, self.classes)[1]

    def _predict(
        self,
        name: str,
        train: NDArray[np.int64],
        validation: NDArray[np.int64],
        test: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        if name in baselines.BASELINES:
            take = self.windows.take
            return baselines.BASELINES[name](
                take(train), take(validation), take(test), self.classes
            )
        parts = (self.windows.take(train), self.windows.take(validation))
        fitted = fit_model(name, self._schema, SEED, parts)
        return fitted.predict(self.windows.take(test))


# ---------------------------------------------------------------- counts


def tally(results: Sequence[ValidationResult], episodes: Mapping[str, Episode]) -> list[Count]:
    """Count every episode once, and the seconds of the usable ones, which are `episodes` by id.

    One that cannot be read is counted under empty names.
    """
    counted: Counter[tuple[str, str, str, str]] = Counter()
    seconds: dict[tuple[str, str, str, str], Counter[str]] = {}
    for result in results:
        cell = (result.campaign, result.host, result.profile, result.verdict)
        counted[cell] += 1
        spent = seconds.setdefault(cell, Counter())
        if result.usable:
            spent.update(dict(_spent(episodes[result.id])))
    return [
        Count(*cell, count, {phase: round(s, 1) for phase, s in sorted(seconds[cell].items())})
        for cell, count in sorted(counted.items())
    ]


def _spent(episode: Episode) -> Iterator[tuple[str, float]]:
    spent: Counter[str] = Counter()
    ends = [label.t_wall_ns for label in episode.labels[1:]] + [episode.end_ns]
    for label, end in zip(episode.labels, ends, strict=True):
        spent[label.phase] += round((end - label.t_wall_ns) / NS, 3)  # type: ignore[assignment]
    yield from spent.items()


def table(found: Survey) -> bytes:
    """Return the counts as CSV, a row for each campaign, host, profile and verdict."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"seconds_{phase}" for phase in found.classes]
    writer.writerow(["campaign", "host", "profile", "verdict", "episodes", *names])
    for count in found.counts:
        seconds = [count.seconds.get(phase, 0.0) for phase in found.classes]
        cells = [count.campaign, count.host, count.profile, count.verdict, count.episodes]
        writer.writerow([*cells, *seconds])
    return text.getvalue().encode()


def markdown(found: Survey) -> str:
    """Return the findings as Markdown tables, for a dataset card."""
    parts = (
        SIMULATED if found.simulated else "",
        _totals(found),
        _by_host(found),
        _by_campaign(found),
        _baselines(found),
        _random_splits(found),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _totals(found: Survey) -> str:
    """Return a table of episodes, samples, hosts and host-hours by campaign and verdict."""
    title = "Episodes, samples, hosts, and host-hours by label:\n\n"
    return title + totals.markdown(found.totals)


def _by_host(found: Survey) -> str:
    """Return a table of usable episodes by host and profile."""
    profiles = sorted({count.profile for count in found.counts if count.profile})
    rows: list[list[object]] = []
    for host in sorted({count.host for count in found.counts}):
        cells: list[object] = [host or "unreadable"]
        for profile in profiles:
            of_cell = [c for c in found.counts if (c.host, c.profile) == (host, profile)]
            usable = sum(c.episodes for c in of_cell if c.verdict in ("accepted", "degraded"))
            every = sum(c.episodes for c in of_cell)
            cells.append(f"{usable} of {every}" if usable < every else every or "none")
        rows.append(cells)
    return "Usable episodes by host and profile:\n\n" + _rows(["host", *profiles], rows)


def _by_campaign(found: Survey) -> str:
    """Return a table of verdicts and minutes in each phase, by campaign."""
    verdicts = ("accepted", "degraded", "rejected", "errored")
    rows: list[list[object]] = []
    for campaign in sorted({count.campaign for count in found.counts}):
        of_campaign = [count for count in found.counts if count.campaign == campaign]
        cells: list[object] = [campaign or "unreadable"]
        cells += [
            sum(c.episodes for c in of_campaign if c.verdict == verdict) for verdict in verdicts
        ]
        for phase in found.classes:
            cells.append(f"{sum(c.seconds.get(phase, 0) for c in of_campaign) / 60:.1f}")
        rows.append(cells)
    total: list[object] = ["all"]
    total += [sum(int(str(row[place])) for row in rows) for place in range(1, 5)]
    total += [
        f"{sum(float(str(row[place])) for row in rows):.1f}" for place in range(5, len(rows[0]))
    ]
    head = ["campaign", *verdicts, *(f"{phase}, min" for phase in found.classes)]
    title = "Verdicts, and usable minutes in each phase, by campaign:\n\n"
    return title + _rows(head, [*rows, total])


def _baselines(found: Survey) -> str:
    if not found.baselines:
        return ""
    lines = [*found.baselines, *(line for line in found.models if line.split == "held_out_host")]
    rows = [
        [line.mode, line.model, _scored(line.score), f"{line.worst_score:.3f} ({line.worst_part})"]
        for line in lines
    ]
    head = ["mode", "sees", "macro F1", "worst host"]
    return "Every host held out once, all held-out windows together:\n\n" + _rows(head, rows)


def _random_splits(found: Survey) -> str:
    rows = []
    for line in found.models:
        assert line.random is not None
        gap = f"{line.random.value - line.score.value:+.3f}"
        name = line.split.replace("held_out_", "new ")
        cells = [_scored(line.score), _scored(line.random), gap]
        rows.append([name, line.mode, line.model, *cells])
    head = ["held out", "mode", "model", "macro F1", "same sizes, random windows", "flattered by"]
    return "What a random split of windows flatters:\n\n" + _rows(head, rows)


def _scored(score: Score) -> str:
    if score.low is None or score.high is None:
        return f"{score.value:.3f} (no interval: {counted(score.episodes, 'episode')})"
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
