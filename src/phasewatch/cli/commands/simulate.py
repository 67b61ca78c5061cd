"""`phasewatch simulate` and `compare`: stores of any size, beside recorded ones."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.cli.console import AsJson, app, out, print_json, progress


@app.command()
def simulate(
    store: Annotated[Path, typer.Option("--out", help="Store to write into; made when absent.")],
    episodes: Annotated[int, typer.Option(help="How many.", min=1, max=1_000_000)] = 300,
    seed: Annotated[int, typer.Option(help="The same seed, the same bytes.", min=0)] = 0,
    faults: Annotated[float, typer.Option(help="Share with a planted fault.", min=0, max=1)] = 0.1,
    jobs: Annotated[int, typer.Option(help="Worker processes.", min=1, max=64)] = 2,
    fit: Annotated[
        Path | None, typer.Option(help="Fit to this store's recordings, not the packaged fit.")
    ] = None,
) -> None:
    """Write simulated episodes, for scale and tests: never for results.

    Their statistics are fitted to the recorded corpus; faults of every kind that the validator
    knows are planted, and told in truth.parquet. `phasewatch validate` scores itself against it.
    """
    from phasewatch import schema
    from phasewatch.io import atomic
    from phasewatch.sim import stream
    from phasewatch.sim.fit import FITTED

    atomic.refuse_url(store)
    with tempfile.TemporaryDirectory() as folder:
        chosen = FITTED if fit is None else fitted(fit, Path(folder) / "fit.npz")
        recipe = stream.Recipe(chosen, schema.vm46(), seed, faults)
        with progress("simulating", episodes) as tick:
            stream.simulate(recipe, store, episodes, jobs, tick)
    out.print(f"{episodes} simulated episodes in {store}", highlight=False)


def fitted(recorded: Path, path: Path) -> Path:
    """A fit of a store's usable episodes, written to `path`."""
    from phasewatch import schema
    from phasewatch.errors import Refused
    from phasewatch.sim.draw import Stage
    from phasewatch.sim.fit import fit
    from phasewatch.store.local import Store
    from phasewatch.validation.sweep import validate_store

    opened, known = Store.open(recorded), schema.vm46()
    gaps = known.incompatibilities(opened.schema)
    if gaps:
        expected, remedy = f"recordings under {known.name}", "Give another store, or none."
        raise Refused(f"--fit {recorded}", f"{gaps[0]} ({len(gaps)} in all)", expected, remedy)
    usable = (opened.read(result.id) for result in validate_store(opened) if result.usable)
    try:
        made = fit(usable, known)
        Stage(made, known, seed=0)
    except Refused as refused:
        raise refused.at(f"--fit {recorded}") from refused
    made.save(path)
    return path


@app.command()
def compare(
    left: Annotated[Path, typer.Argument(help="An episode store, such as a recorded one.")],
    right: Annotated[Path, typer.Argument(help="Another, such as a simulated one.")],
    figure: Annotated[Path, typer.Option("--out", help="Where the figure goes.")] = Path(
        "reports/compare.png"
    ),
    as_json: AsJson = False,
) -> None:
    """Two stores side by side: one figure, and how near they are."""
    from dataclasses import asdict

    from phasewatch.sim.compare import compare
    from phasewatch.store.local import Store, refuse_inside

    refuse_inside(figure)
    near = compare(Store.open(left), Store.open(right), figure)
    if as_json:
        print_json(asdict(near))
        return
    out.print(
        f"correlation: quantiles {near.quantiles:.3f} ({near.cells} cells) · step to step "
        f"{near.memory:.3f} · between channels {near.channels:.3f}"
    )
    out.print(f"figure: {figure}")
