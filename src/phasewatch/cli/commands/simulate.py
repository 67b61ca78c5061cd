"""`phasewatch simulate` and `compare`: simulated stores, compared with recorded ones."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.cli.console import AsJson, app, out, print_json, progress
from phasewatch.errors import counted


@app.command()
def simulate(
    store: Annotated[Path, typer.Option("--out", help="Store to write into, created when absent.")],
    episodes: Annotated[int, typer.Option(help="Number of episodes.", min=1, max=1_000_000)] = 300,
    seed: Annotated[
        int, typer.Option(help="Random seed; the same seed gives the same bytes.", min=0)
    ] = 0,
    faults: Annotated[
        float, typer.Option(help="Share of episodes with a planted fault.", min=0, max=1)
    ] = 0.1,
    jobs: Annotated[int, typer.Option(help="Worker processes.", min=1, max=64)] = 2,
    fit: Annotated[
        Path | None,
        typer.Option(help="Fit to the recordings of this store instead of the packaged fit."),
    ] = None,
) -> None:
    """Write simulated episodes, for tests of scale and of validation, never for results.

    Their statistics are fitted to the recorded corpus. Faults of every kind that the validator
    knows are planted and listed in truth.parquet; `phasewatch validate` compares its verdicts
    with that list. Training on simulated episodes is refused.
    """
    from phasewatch import schema
    from phasewatch.io import atomic
    from phasewatch.sim import stream
    from phasewatch.sim.fit import PACKAGED_FIT

    atomic.refuse_url(store)
    with tempfile.TemporaryDirectory() as folder:
        chosen = PACKAGED_FIT if fit is None else fit_store(fit, Path(folder) / "fit.npz")
        recipe = stream.Recipe(chosen, schema.vm46(), seed, faults)
        with progress("simulating", episodes) as tick:
            stream.simulate(recipe, store, episodes, jobs, tick)
    out.print(f"{counted(episodes, 'simulated episode')} in {store}")


def fit_store(recorded: Path, path: Path) -> Path:
    """Fit to the usable episodes of a store, and return `path`, to which the fit is written."""
    from phasewatch import schema
    from phasewatch.errors import Refused
    from phasewatch.sim.draw import Simulator
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
        statistics = fit(usable, known)
        Simulator(statistics, known, seed=0)
    except Refused as refused:
        raise refused.at(f"--fit {recorded}") from refused
    statistics.save(path)
    return path


@app.command()
def compare(
    left: Annotated[Path, typer.Argument(help="An episode store, such as a recorded one.")],
    right: Annotated[Path, typer.Argument(help="Another episode store, such as a simulated one.")],
    figure: Annotated[Path, typer.Option("--out", help="File for the figure (PNG).")] = Path(
        "reports/compare.png"
    ),
    as_json: AsJson = False,
) -> None:
    """Compare the statistics of two stores: a figure, and how well they correlate."""
    from dataclasses import asdict

    from phasewatch.sim.compare import compare
    from phasewatch.store.local import Store, refuse_inside

    refuse_inside(figure)
    agreement = compare(Store.open(left), Store.open(right), figure)
    if as_json:
        print_json(asdict(agreement))
        return
    out.print(
        f"correlation of quantiles: {agreement.quantiles:.3f} ({agreement.cells} cells) · "
        f"of autocorrelations: {agreement.memory:.3f} · "
        f"of correlations between channels: {agreement.channels:.3f}"
    )
    out.print(f"figure: {figure}")
