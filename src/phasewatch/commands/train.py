"""`phasewatch train`, `run` and `score`: from a store to scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phasewatch.console import AsJson, Opening, StorePath, app, err, out, print_json

if TYPE_CHECKING:
    from phasewatch.answers import Answers
    from phasewatch.evaluate import Report
    from phasewatch.model import Epoch
    from phasewatch.pipeline import Done
    from phasewatch.recipes import Recipe
    from phasewatch.scores import Score
    from phasewatch.training import Follow


RecipeName = Annotated[str, typer.Option("--recipe", help="all, quick or baselines.")]
SplitName = Annotated[
    str, typer.Option("--split", help="held_out_host, held_out_sample or held_out_time.")
]
Tested = Annotated[str, typer.Option("--test", help="Host, or number of the sample, to judge.")]
Chosen = Annotated[str, typer.Option("--validation", help="Host, or number, that may choose.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same weights.", min=0)]
Jobs = Annotated[int, typer.Option("--jobs", help="Trainings side by side.", min=1, max=64)]
Cluster = Annotated[
    str, typer.Option("--cluster", help="Train on the workers of this Dask cluster, tcp://…")
]
RunFolder = Annotated[Path, typer.Option("--out", help="Folder for all that the run makes.")]


def _recipe(
    name: str, split: str, test: str, validation: str, opening_s: float, seed: int
) -> "Recipe":
    from dataclasses import replace

    from phasewatch import recipes

    found = replace(recipes.find(name), opening_s=opening_s, seed=seed)
    return replace(found, split=split, test=test, validation=validation)


@app.command()
def train(
    store: StorePath,
    folder: RunFolder,
    recipe: RecipeName = "all",
    split: SplitName = "held_out_host",
    test: Tested = "",
    validation: Chosen = "",
    opening_s: Opening = 15.0,
    seed: Seed = 0,
    jobs: Jobs = 2,
    cluster: Cluster = "",
    as_json: AsJson = False,
) -> None:
    """Train every model of a recipe in both modes: a checkpoint each, and one table.

    Killed at any moment, the same command goes on where it stopped and ends with the same weights.
    """
    chosen = _recipe(recipe, split, test, validation, opening_s, seed)
    done = _judged(chosen, store, folder, (jobs, cluster), as_json)
    _show_scores(done, folder, as_json)


@app.command()
def run(
    store: StorePath,
    folder: RunFolder,
    recipe: RecipeName = "quick",
    split: SplitName = "held_out_host",
    test: Tested = "",
    validation: Chosen = "",
    opening_s: Opening = 15.0,
    seed: Seed = 0,
    jobs: Jobs = 2,
    cluster: Cluster = "",
    as_json: AsJson = False,
) -> None:
    """All that `train` does, and a report page."""
    chosen = _recipe(recipe, split, test, validation, opening_s, seed)
    done = _judged(chosen, store, folder, (jobs, cluster), as_json)
    _write_page(store, done, folder / "report.html")
    _show_scores(done, folder, as_json)
    if not as_json:
        out.print(f"report: {(folder / 'report.html').resolve()}", soft_wrap=True)


@app.command()
def score(
    answers: Annotated[Path, typer.Argument(help="A run's posteriors.parquet.")],
    as_json: AsJson = False,
) -> None:
    """Compute every number of a report again, from the answers on file alone."""
    from dataclasses import asdict

    from phasewatch.answers import load
    from phasewatch.evaluate import evaluate

    report = evaluate(load(answers))
    if as_json:
        print_json(asdict(report))
    else:
        _show_report(report, {})


def _judged(
    chosen: "Recipe", path: Path, folder: Path, crew: tuple[int, str], as_json: bool
) -> "Done":
    """Train and judge, with a bar a model."""
    from phasewatch import pipeline
    from phasewatch.store import Store
    from phasewatch.training import Crew

    opened = Store.open(path)
    say = err.print if as_json else out.print
    parts = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*parts, TimeRemainingColumn(), console=err, transient=True) as progress:
        return pipeline.run(
            chosen,
            opened,
            folder,
            lambda line: say(line, soft_wrap=True, markup=False),
            Crew(*crew, _follower(progress)),
        )


def _follower(progress: Progress) -> "Follow":
    """A bar a training: its epoch of at most so many, loss, and score on validation."""
    bars: dict[str, Any] = {}

    def follow(name: str, epoch: "Epoch") -> None:
        told = f"epoch {epoch.number}/{epoch.of} loss {epoch.loss:.3f} score {epoch.score:+.3f}"
        if name not in bars:
            bars[name] = progress.add_task(name, total=epoch.of, told=told)
        progress.update(bars[name], completed=epoch.number, told=told)

    return follow


def _write_page(store: Path, done: "Done", page: Path) -> None:
    from phasewatch import report
    from phasewatch.store import Store

    opened = Store.open(store)
    pictures = {}
    model = done.report.rows[0].model
    first = [answers for answers in done.answered.answers if answers.model == model]
    for profile, id in pick(first).items():
        said = [a for a in first if a.part in ("seen", "unseen") and id in a.windows.episode]
        part = "never seen" if said[0].part == "unseen" else "seen in training"
        pictures[f"{profile} · episode {id} · {part}"] = report.picture(
            opened.read(id), opened.schema, said
        )
    report.write(done.report, done.trained.judgements, pictures, page)


def pick(answers: "list[Answers]") -> dict[str, str]:
    """One judged episode a profile, of the unseen host where it ran the profile: the middle id."""
    import numpy as np

    chosen: dict[str, str] = {}
    for said in sorted(answers, key=lambda one: one.part != "unseen"):
        for profile in np.unique(said.windows.profile):
            ids = np.unique(said.windows.episode[said.windows.profile == profile])
            chosen.setdefault(str(profile), str(ids[len(ids) // 2]))
    return dict(sorted(chosen.items()))


def _show_scores(done: "Done", folder: Path, as_json: bool) -> None:
    """A table of all checkpoints, or the report as JSON."""
    from dataclasses import asdict

    from phasewatch import training

    if as_json:
        print_json(asdict(done.report))
        return
    learned: dict[tuple[str, str], tuple[str, str]] = {
        (loaded.model_name, loaded.mode): (
            f"{loaded.model.parameters:,}",
            f"{training.seconds(folder, loaded.name):.0f}",
        )
        for loaded in done.trained.checkpoints
    }
    _show_report(done.report, learned)


def _show_report(report: "Report", learned: Mapping[tuple[str, str], tuple[str, str]]) -> None:
    """Scores, with a part missing, in the order of time, and every pair compared."""
    table = Table(title=f"macro F1, 95 % interval over episodes · never seen: {report.held_out}")
    told = ("learned", "seconds") if learned else ()
    for name in ("model", "mode", *told, "validation", "seen", "never seen"):
        table.add_column(name, no_wrap=name in ("model", "mode"), overflow="fold")
    for row in report.rows:
        own = learned.get((row.model, row.mode), ())
        scores = (f"{row.validation.value:.3f}", _told(row.seen), _told(row.unseen))
        table.add_row(row.model, row.mode, *own, *scores)
    out.print(table)
    table = Table(title=f"macro F1 on {report.held_out} with a part missing, and decoded")
    for name in ("model", "mode", *(f"no {part}" for part in report.lost), "decoded"):
        table.add_column(name, no_wrap=name in ("model", "mode"), overflow="fold")
    for row in report.rows:
        cells = [row.without.get(part) for part in report.lost]
        values = [f"{one.value:.3f}" if one else "" for one in (*cells, row.decoded)]
        table.add_row(row.model, row.mode, *values)
    out.print(table)
    out.print("never seen, pair by pair, p adjusted for all pairs:")
    for one in report.comparisons:
        line = f"{one.mode}: {one.ours} {one.verdict} than {one.other}"
        if not one.verdict.startswith("undecided"):
            out.print(f"  {line} ({one.gap.value:+.3f}, p {one.p:.3f})")
    undecided = sum(one.verdict.startswith("undecided") for one in report.comparisons)
    out.print(f"  undecided: {undecided} of {len(report.comparisons)} pairs")
    missing = report.untested_profiles + report.untested_phases
    out.print(f"untested on {report.held_out}: {', '.join(missing) or 'nothing the store holds'}")
    if report.unit == "host":
        out.print("One unseen host: nothing can be said about hosts in general.")


def _told(score: "Score") -> str:
    if score.low is None or score.high is None:
        return f"{score.value:.3f} ({score.episodes} episodes: no interval)"
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
