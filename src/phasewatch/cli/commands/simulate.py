"""`phasewatch simulate` and `compare`: simulated stores, compared with recorded ones."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli.console import AsJson, app, out, print_json, progress
from phasewatch.errors import counted

if TYPE_CHECKING:
    from phasewatch.episode import Episode
    from phasewatch.schema import Schema


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
        list[Path] | None,
        typer.Option(
            help="Fit to the recordings of this store instead of the packaged fit; once a store."
        ),
    ] = None,
    long: Annotated[
        bool,
        typer.Option(
            "--long",
            help="Runs of 2 to 10 minutes and benign days of 10 to 60, of all samples, "
            "instead of runs of 70 to 95 s of the first samples.",
        ),
    ] = False,
) -> None:
    """Write simulated episodes, for tests of scale and of validation, never for results.

    Their statistics are fitted to the recorded episodes. Faults of every kind that the validator
    knows are planted and listed in truth.parquet; `phasewatch validate` compares its verdicts
    with that list. Training on simulated episodes is refused unless --simulated asks for it.
    """
    from phasewatch import schema
    from phasewatch.io import atomic
    from phasewatch.sim import stream
    from phasewatch.sim.fit import PACKAGED_FIT

    atomic.refuse_url(store)
    with tempfile.TemporaryDirectory() as folder:
        chosen = fit_stores(fit, Path(folder) / "fit.npz") if fit else PACKAGED_FIT
        recipe = stream.Recipe(chosen, schema.vm46(), seed, faults, long)
        with progress("simulating", episodes) as tick:
            stream.simulate(recipe, store, episodes, jobs, tick)
    out.print(f"{counted(episodes, 'simulated episode')} in {store}")


def fit_stores(recorded: Sequence[Path], path: Path) -> Path:
    """Fit to the usable episodes of stores, and return `path`, to which the fit is written."""
    from phasewatch import schema
    from phasewatch.errors import Refused
    from phasewatch.sim.draw import Simulator
    from phasewatch.sim.fitting import fit

    known = schema.vm46()
    usable = [episode for root in recorded for episode in _usable(root, known)]
    try:
        statistics = fit(usable, known)
        Simulator(statistics, known, seed=0)
    except Refused as refused:
        raise refused.at(f"--fit {' --fit '.join(map(str, recorded))}") from refused
    statistics.save(path)
    return path


def _usable(root: Path, known: "Schema") -> Iterator["Episode"]:
    """Return the usable episodes of a store of recordings.

    Raises Refused when its schema is another one, or its episodes are simulated.
    """
    from phasewatch.errors import Refused
    from phasewatch.store.local import Store
    from phasewatch.validation.sweep import validate_store

    store = Store.open(root)
    if store.simulated:
        problem, remedy = "holds simulated episodes", "Give a store of recordings, or none."
        raise Refused(f"--fit {root}", problem, "recorded episodes", remedy, code="store_kind")
    gaps = known.incompatibilities(store.schema)
    if gaps:
        expected, remedy = f"recordings under {known.name}", "Give another store, or none."
        raise Refused(f"--fit {root}", f"{gaps[0]} ({len(gaps)} in all)", expected, remedy)
    return (store.read(result.id) for result in validate_store(store) if result.usable)


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
        f"correlation over {agreement.cells} cells of {agreement.episodes} episodes each: "
        f"quantiles {agreement.quantiles:.3f}"
    )
    for name, meaning in {
        "memory": "autocorrelations",
        "channels": "correlations between channels",
        "lagged": "the same with a lag",
    }.items():
        near, slope = getattr(agreement, name), agreement.slopes[name]
        out.print(f"  {meaning}: r {near:.3f}, slope {slope:.2f}", highlight=False)
    out.print(
        f"trees tell windows apart: AUC {agreement.auc:.3f} by all channels, "
        f"median {agreement.channel_auc:.3f} by one",
        highlight=False,
    )
    out.print(f"figure: {figure}")
