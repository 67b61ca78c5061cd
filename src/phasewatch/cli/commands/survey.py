"""`phasewatch survey`: the content of a corpus, and scores of baselines and random splits on it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli import tables
from phasewatch.cli.console import AsJson, Opening, app, err, out, print_json, progress, stages
from phasewatch.errors import Refused
from phasewatch.training.recipes import RECIPES

if TYPE_CHECKING:
    from phasewatch.store.local import Store


RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        help=f"Evaluate its models: one of {', '.join(RECIPES)}. Without one, gbt alone.",
    ),
]
Counts = Annotated[
    bool,
    typer.Option(
        "--counts",
        help="Count only, without training: episodes, samples, hosts and host-hours, by campaign "
        "and verdict. Takes simulated stores as well.",
    ),
]
Curves = Annotated[
    bool,
    typer.Option(
        "--curves",
        help="Draw learning curves instead: macro F1 against training samples, hosts and episodes.",
    ),
]
Simulated = Annotated[
    bool,
    typer.Option(
        "--simulated",
        help="Take a store of simulated episodes, for tests of scale; what is written says so.",
    ),
]
Draws = Annotated[
    int, typer.Option("--draws", help="Random training sets of each size.", min=1, max=100)
]
Jobs = Annotated[
    int, typer.Option("--jobs", help="Processes that train curves or count.", min=1, max=64)
]


@app.command()
def survey(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="Folder of a recorded episode store.")],
    folder: Annotated[
        Path, typer.Option("--out", help="Folder to write the findings into.")
    ] = Path("reports/survey"),
    opening_s: Opening = 15.0,
    recipe: RecipeName = "",
    counts: Counts = False,
    curves: Curves = False,
    draws: Draws = 3,
    jobs: Jobs = 1,
    simulated: Simulated = False,
    as_json: AsJson = False,
) -> None:
    """Count what a corpus holds, and measure what baselines and a random window split reach on it.

    Writes survey.md, survey.json, counts.csv and totals.csv. Trains a model for every held-out
    host, sample and campaign, and each again on a random window split of the same windows. A few
    hundred episodes take boosted trees some minutes. With --counts nothing is trained.

    With --curves it writes curves.json, curves.csv and curves.svg: boosted trees on growing
    training sets, always evaluated on the same held-out samples or hosts. These are some hundred
    trainings; when interrupted, the same command resumes.
    """
    from phasewatch.io import atomic
    from phasewatch.store.local import Store, refuse_empty, refuse_inside

    printer = err.print if as_json else out.print
    _refuse_unused(context, counts, curves)
    opened = Store.open(store)
    refuse_empty(opened.ids(), store)
    refuse_inside(folder)
    atomic.prepare_folder(folder)

    def log(line: str) -> None:
        printer(line, soft_wrap=True)

    if counts:
        _count(opened, folder, jobs, as_json)
    elif curves:
        _draw_curves(opened, folder, log, (opening_s, draws, jobs, simulated), as_json)
    else:
        _survey(opened, folder, log, (opening_s, recipe, simulated), as_json)


def _refuse_unused(context: typer.Context, counts: bool, curves: bool) -> None:
    """Raise Refused when an option was given that would do nothing."""
    unused = {"draws": "--draws"}
    if counts:
        unused |= {"curves": "--curves", "recipe": "--recipe", "opening_s": "--opening"}
        unused |= {"simulated": "--simulated"}
    elif curves:
        unused = {"recipe": "--recipe"}
    sources = {name: context.get_parameter_source(name) for name in unused}
    given = [unused[name] for name, one in sources.items() if one and one.name != "DEFAULT"]
    if given:
        kind = "--counts" if counts else "--curves" if curves else "a survey without --curves"
        problem, expected = f"has no effect on {kind}", "only options that have one"
        raise Refused(", ".join(given), problem, expected, "Leave it out, or survey once for each.")


def _survey(
    store: "Store",
    folder: Path,
    log: Callable[[str], None],
    how: tuple[float, str, bool],
    as_json: bool,
) -> None:
    """Survey a store with an opening in seconds and the models of a recipe, and write it.

    The last of `how` is whether a store of simulated episodes is asked for.
    """
    from dataclasses import asdict

    from phasewatch.experiment import survey as surveys
    from phasewatch.experiment import totals
    from phasewatch.io import atomic
    from phasewatch.training import recipes

    opening_s, recipe, simulated = how
    models = recipes.find(recipe).models if recipe else (surveys.MODEL,)
    with stages():
        found = surveys.survey(store, log, opening_s, models, simulated)
    text = json.dumps(asdict(found), indent=1).encode()
    atomic.write(folder / "survey.json", text)
    atomic.write(folder / "survey.md", surveys.markdown(found).encode())
    atomic.write(folder / "counts.csv", surveys.table(found))
    atomic.write(folder / "totals.csv", totals.table(found.totals))
    if as_json:
        sys.stdout.write(text.decode() + "\n")
        return
    if simulated:
        out.print("note: every episode is simulated; no score says anything about a machine.")
    tables.totals(found.totals)
    out.print(f"findings: {folder}/survey.md, survey.json, counts.csv, totals.csv")


def _count(store: "Store", folder: Path, jobs: int, as_json: bool) -> None:
    """Validate a store, print its totals, and write them as CSV."""
    from dataclasses import asdict

    from phasewatch.experiment import totals
    from phasewatch.io import atomic, executors
    from phasewatch.validation.sweep import validate_store

    with progress("validate", len(store.ids())) as tick:
        results = validate_store(store, tick, executors.process_pool(jobs))
    found = totals.totals(results, store)
    atomic.write(folder / "totals.csv", totals.table(found))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    tables.totals(found)
    out.print(f"totals: {folder}/totals.csv", soft_wrap=True)


def _draw_curves(
    store: "Store",
    folder: Path,
    log: Callable[[str], None],
    how: tuple[float, int, int, bool],
    as_json: bool,
) -> None:
    """Draw the learning curves of a store, write them, and print them."""
    from phasewatch.experiment import curves
    from phasewatch.io import atomic
    from phasewatch.reports import figures

    found = curves.learning_curves(store, folder, log, curves.CurveOptions(*how))
    atomic.write(folder / "curves.json", curves.document(found))
    atomic.write(folder / "curves.csv", curves.table(found))
    atomic.write(folder / "curves.svg", figures.learning_curves(found).encode())
    if as_json:
        sys.stdout.write(curves.document(found).decode())
        return
    tables.learning_curves(found)
    out.print(f"curves: {folder}/curves.svg, curves.csv, curves.json", soft_wrap=True)
