"""`phasewatch survey`: the content of a corpus, and scores of baselines and random splits on it."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.cli.console import AsJson, Opening, app, err, out
from phasewatch.training.recipes import RECIPES


@app.command()
def survey(
    store: Annotated[Path, typer.Argument(help="Folder of a recorded episode store.")],
    folder: Annotated[
        Path, typer.Option("--out", help="Folder to write the findings into.")
    ] = Path("reports/survey"),
    opening_s: Opening = 15.0,
    recipe: Annotated[
        str,
        typer.Option(
            help=f"Evaluate its models: one of {', '.join(RECIPES)}. Without one, gbt alone."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Count what a corpus holds, and measure what baselines and a random window split reach on it.

    Writes survey.md, survey.json and counts.csv. Trains a model for every held-out host, sample
    and campaign, and each again on a random window split of the same windows. A few hundred
    episodes take boosted trees some minutes.
    """
    from dataclasses import asdict

    from phasewatch.experiment import survey as surveys
    from phasewatch.io import atomic
    from phasewatch.store.local import Store, refuse_inside
    from phasewatch.training import recipes

    printer = err.print if as_json else out.print
    opened = Store.open(store)
    refuse_inside(folder)
    atomic.prepare_folder(folder)
    models = recipes.find(recipe).models if recipe else (surveys.MODEL,)

    def log(line: str) -> None:
        printer(line, soft_wrap=True)

    found = surveys.survey(opened, log, opening_s, models)
    text = json.dumps(asdict(found), indent=1).encode()
    atomic.write(folder / "survey.json", text)
    atomic.write(folder / "survey.md", surveys.markdown(found).encode())
    atomic.write(folder / "counts.csv", surveys.table(found))
    if as_json:
        sys.stdout.write(text.decode() + "\n")
    else:
        out.print(f"findings: {folder}/survey.md, survey.json, counts.csv")
