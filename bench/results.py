"""`make results`: every model on every split of the corpus, into docs/explanation/results.md.

Goes on where it was stopped: trainings that are under runs/ are read back, not made again. Hours
the first time, minutes after that.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from phasewatch import windowing
from phasewatch.evaluation.evaluate import ModelReport, ModelScores
from phasewatch.experiment import pipeline
from phasewatch.experiment.pipeline import TrainingResult
from phasewatch.experiment.survey import MODEL, Bench
from phasewatch.io import atomic
from phasewatch.metrics import Score
from phasewatch.reports import page, summary
from phasewatch.store.local import Store
from phasewatch.training import recipes
from phasewatch.training.jobs import Workers
from phasewatch.training.recipes import Recipe
from phasewatch.windowing import pool_openings

ROOT = Path(__file__).parent.parent
EVERYONE = recipes.find("results")
RUNS: dict[str, Recipe] = {
    "hosts": replace(EVERYONE, split="leave_one_host_out"),
    "host": replace(EVERYONE, test="arm-store", validation="pc-tick", seeds=3),
    "sample": replace(EVERYONE, split="held_out_sample"),
    "time": replace(EVERYONE, split="held_out_time"),
}
"""The folders under runs/, and what is in each."""

out = Console(highlight=False, width=150)


@dataclass(frozen=True)
class Result:
    """An evaluated run; `random` is macro F1 by mode of trees on a random split of windows."""

    done: pipeline.RunResult
    random: dict[str, float]


def learn(name: str, store: Store) -> pipeline.RunResult:
    """Train a run of `RUNS`, or read it back, and evaluate it."""
    return pipeline.run(
        RUNS[name],
        store,
        ROOT / "runs" / name,
        lambda line: out.print(line, soft_wrap=True, markup=False),
        Workers(jobs=2),
    )


def result(name: str, store: Store) -> Result:
    """Return a run after writing its report; report.md is copied to docs/explanation/results."""
    done = learn(name, store)
    page.write_report(done.report, done.predictions, done.run, store)
    place = ROOT / "docs" / "explanation" / "results" / f"{name}.md"
    place.parent.mkdir(exist_ok=True)
    shutil.copy(done.run.markdown_path, place)
    return Result(done, random(done.trained, store))


def random(trained: TrainingResult, store: Store) -> dict[str, float]:
    """Return macro F1 by mode of boosted trees on random parts of the same sizes."""
    ids = [one.id for one in trained.usable]
    whole = pool_openings(windowing.extract(store, ids, store.schema, trained.recipe.opening_s))
    splits = [fold.split for fold in trained.folds]
    modes = trained.recipe.modes
    return {mode: Bench(store.schema, mode, whole).random(splits, MODEL).value for mode in modes}


def page_text(results: dict[str, Result]) -> str:
    """Return docs/explanation/results.md as text."""
    parts = [
        "# Results on the recorded corpus",
        "`make results` writes this page and all under `results/`. Macro F1 over six "
        "phases; in brackets the 95 % interval for other episodes of the held-out part. How it is "
        "computed: [evaluation.md](evaluation.md). What the corpus can and cannot show: "
        "[corpus.md](corpus.md).",
    ]
    for name, found in results.items():
        report = found.done.report
        parts += [
            f"## {report.recipe.replace('_', ' ').capitalize()}: {report.held_out}",
            " ".join(summary.sentences(report)),
            table(found),
            f"The whole report: [results/{name}.md](results/{name}.md).",
        ]
    return "\n\n".join(parts) + "\n"


def table(found: Result) -> str:
    """Return a Markdown table of every model and baseline, and of a random split of windows."""
    report = found.done.report
    many = report.rows[0].across_hosts is not None
    again = len(report.rows[0].by_seed) > 1
    extra = ["interval for other hosts", "worst host"] * many + ["all seeds"] * again
    head = ["mode", "model", f"{report.unit}s in training", f"held-out {report.unit}s", *extra]
    lines = [head, ["---"] * len(head)]
    for mode in dict.fromkeys(row.mode for row in report.rows):
        for row in (row for row in [*report.rows, *report.baselines] if row.mode == mode):
            cells = [mode, row.model, scored(row.seen), scored(row.unseen)]
            if many:
                worst = row.by_host[row.worst_host]
                cells += [
                    summary.interval_text(row.across_hosts),
                    f"{worst.value:.3f} {row.worst_host}",
                ]
            lines.append([*cells, *[seeds(row)] * again])
        random = f"{found.random[mode]:.3f}"
        lines.append([mode, f"*{MODEL}, random split of windows*", "", random, *[""] * len(extra)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def scored(score: Score) -> str:
    """Return a score and its interval as text."""
    return f"{score.value:.3f} [{summary.interval_text(score)}]"


def seeds(row: ModelScores) -> str:
    """Return the range over seeds as text; empty for a baseline."""
    if not isinstance(row, ModelReport):
        return ""
    return f"{min(row.by_seed):.3f} to {max(row.by_seed):.3f}"


def main() -> None:
    """Evaluate all runs, then write the page."""
    store = Store.open(ROOT / "corpus")
    found = {}
    for name in RUNS:
        out.print(f"\n[bold]{name}[/]")
        found[name] = result(name, store)
    atomic.write(ROOT / "docs" / "explanation" / "results.md", page_text(found).encode())
    out.print(f"written: {ROOT / 'docs' / 'explanation' / 'results.md'}")


if __name__ == "__main__":
    main()
