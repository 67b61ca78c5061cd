"""The `phasewatch` command: one function a command, thin over the library.

Heavy libraries are imported by the command that needs them, so `--help` answers at once. What a
user got wrong is one line on standard error and an exit code that is not 0, never a traceback.
"""

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phasewatch import __version__
from phasewatch.refusal import Refused

if TYPE_CHECKING:
    from phasewatch.answers import Answers
    from phasewatch.evaluate import Report
    from phasewatch.lab.recording import Take
    from phasewatch.model import Epoch
    from phasewatch.pipeline import Done
    from phasewatch.recipes import Recipe
    from phasewatch.scores import Score
    from phasewatch.sim.stream import Hits
    from phasewatch.store import Store
    from phasewatch.training import Follow
    from phasewatch.validate import Judgement
    from phasewatch.windows import Windows

app = typer.Typer(
    help="Which behavioural phase is a virtual machine in? Telemetry in, honest scores out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

REFUSED, SOME_ERRORED, SOME_REJECTED, CANCELLED = 2, 3, 4, 130

StorePath = Annotated[Path, typer.Option("--store", help="Folder of the episode store.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def main() -> None:
    """Entry point: a refusal is one line, Ctrl-C is quiet."""
    try:
        app()
    except Refused as refused:
        err.print(f"phasewatch: {refused}", markup=False, soft_wrap=True)
        sys.exit(REFUSED)
    except OSError as error:
        what = f"{error.filename or 'input or output'}: {error.strerror or error}"
        remedy = "Check the path, its permissions and the free space."
        err.print(f"phasewatch: {what}; expected to read or write it. {remedy}", soft_wrap=True)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        err.print("phasewatch: cancelled; nothing half-written was kept")
        sys.exit(CANCELLED)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"phasewatch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@contextmanager
def _progress(label: str, total: int) -> Iterator[Any]:
    """A bar on standard error; yields the function that moves it."""
    parts = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=err, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda count=1: progress.advance(task, count)


@app.command()
def validate(
    store: Annotated[Path, typer.Argument(help="Folder of the episode store.")],
    index: Annotated[Path, typer.Option(help="Where the acceptance index goes.")] = Path(
        "data/processed/validation_v1.parquet"
    ),
    summary: Annotated[
        bool, typer.Option("--summary", help="Counts instead of a line an objection.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge every episode: accepted, degraded, rejected or errored, and why.

    Exit codes: 0 all accepted or degraded, 3 some errored, 4 some rejected (and none errored).
    """
    from dataclasses import asdict

    from phasewatch.store import Store
    from phasewatch.validate import counts, sweep, write_index

    opened = Store.open(store)
    with _progress("validating", len(opened.ids())) as tick:
        judgements = sweep(opened, tick)
    write_index(judgements, index)
    found = counts(judgements)
    hits = _hits(opened, judgements)
    if as_json:
        _print_json(
            {
                "counts": found,
                "index": str(index),
                **({"planted": asdict(hits)} if hits else {}),
                "episodes": [_verdict(judgement) for judgement in judgements],
            }
        )
    else:
        _show_verdicts(judgements, summary)
        if hits:
            out.print(str(hits))
        out.print(f"index: {index}")
    if found["errored"]:
        raise typer.Exit(SOME_ERRORED)
    if found["rejected"]:
        raise typer.Exit(SOME_REJECTED)


def _hits(store: "Store", judgements: "list[Judgement]") -> "Hits | None":
    """How the verdicts fare against the truth, where a simulated store tells it."""
    from phasewatch.sim import stream

    if not store.simulated or not (store.root / stream.TRUTH).exists():
        return None
    return stream.score(judgements, stream.truths(store.root))


def _verdict(judgement: "Judgement") -> dict[str, Any]:
    return {
        "id": judgement.id,
        "verdict": judgement.verdict,
        "reasons": [[finding.code, finding.reason] for finding in judgement.findings],
    }


def _show_verdicts(judgements: "list[Judgement]", summary: bool) -> None:
    from phasewatch.validate import counts

    found = counts(judgements)
    told = " · ".join(f"{count} {verdict}" for verdict, count in found.items())
    out.print(f"{len(judgements)} episodes: {told}")
    if summary:
        _show_summary(judgements)
        return
    for judgement in judgements:
        for finding in judgement.findings:
            line = f"  {judgement.verdict} {judgement.id}: [{finding.code}] {finding.reason}"
            out.print(line, markup=False, soft_wrap=True)


def _show_summary(judgements: "list[Judgement]") -> None:
    """Counts by host, profile and verdict, and how many episodes each rule objected to."""
    profiles = sorted({judgement.profile for judgement in judgements})
    table = Table(title="accepted, then d degraded, r rejected, e errored")
    table.add_column("host", no_wrap=True)
    for name in profiles:
        table.add_column(name or "unreadable", overflow="fold")
    for host in sorted({judgement.host for judgement in judgements}):
        own = [judgement for judgement in judgements if judgement.host == host]
        cells = (_cell([one for one in own if one.profile == name]) for name in profiles)
        table.add_row(host or "unreadable", *cells)
    out.print(table)
    codes = Counter(
        code for judgement in judgements for code in {one.code for one in judgement.findings}
    )
    for code, count in codes.most_common():
        out.print(f"  {code}: {count} episodes")


def _cell(judgements: "list[Judgement]") -> str:
    """Counts a verdict, each but the accepted with its letter; `none` where there is no episode."""
    from phasewatch.validate import counts

    found = counts(judgements)
    accepted = found.pop("accepted")
    rest = [f"{count}{verdict[0]}" for verdict, count in found.items() if count]
    return " ".join([str(accepted), *rest]) if judgements else "none"


RecipeName = Annotated[str, typer.Option("--recipe", help="all, quick or baselines.")]
SplitName = Annotated[
    str, typer.Option("--split", help="held_out_host, held_out_sample or held_out_time.")
]
Tested = Annotated[str, typer.Option("--test", help="Host, or number of the sample, to judge.")]
Chosen = Annotated[str, typer.Option("--validation", help="Host, or number, that may choose.")]
Opening = Annotated[
    float, typer.Option("--opening", help="Seconds known to be benign at each start.", min=0)
]
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
        _print_json(asdict(report))
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
        _print_json(asdict(done.report))
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


@app.command()
def record(
    store: Annotated[Path, typer.Option("--out", help="Store to publish into; made when absent.")],
    plan: Annotated[Path | None, typer.Option(help="Record all that this plan lists.")] = None,
    profile: Annotated[str, typer.Option(help="Load profile; see `phasewatch lab`.")] = "",
    host: Annotated[str, typer.Option(help="Virtual host; see `phasewatch lab`.")] = "",
    sample: Annotated[str, typer.Option(help="Its id, or its number in the profile.")] = "1",
    seed: Annotated[int, typer.Option(help="Draws order, spans and companions.", min=0)] = 1,
    seconds: Annotated[float, typer.Option(help="Length.", min=40, max=600)] = 90.0,
    fault: Annotated[str, typer.Option(help="What goes wrong; see `phasewatch lab`.")] = "",
    jobs: Annotated[int, typer.Option(help="Machines side by side.", min=1, max=16)] = 3,
    cache: Annotated[Path | None, typer.Option(help="Where guest images are kept.")] = None,
) -> None:
    """Boot real QEMU guests, run harmless load in them, and publish labelled episodes.

    Needs Debian's qemu and a network for the first guest image; names what is missing.
    """
    if (plan is None) == (not profile or not host):
        raise Refused(
            "record",
            "what to record is not clear",
            "either --plan FILE, or --profile NAME and --host NAME",
            "`phasewatch lab` lists profiles, samples and hosts.",
        )
    from dataclasses import replace

    from phasewatch import schema
    from phasewatch.lab import fault as faults
    from phasewatch.store import Store

    opened = Store.create(store, schema.vm46())
    images = cache or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "phasewatch"
    if plan is None:
        take = _take(profile, host, sample)
        if fault:
            faults.find(fault)
        take = replace(take, seed=seed, seconds=seconds, fault=fault)
        out.print(f"recorded {_record_one(take, opened, images)}")
        return
    from phasewatch.lab import plan as plans

    done = plans.run(plans.read(plan), opened, jobs, images)
    told = f"{len(done.recorded)} recorded · {len(done.skipped)} were there"
    out.print(f"{told} · {len(done.failed)} failed")
    if done.failed:
        raise typer.Exit(SOME_ERRORED)


def _take(name: str, host: str, number: str) -> "Take":
    from phasewatch.lab import hosts, profile, recording

    chosen = profile.profile(name)
    numbers = {str(place): own.id for place, own in enumerate(chosen.samples, 1)}
    sample = chosen.sample(numbers.get(number, number))
    return recording.Take(hosts.host(host), chosen, sample, 0, 0.0)


def _record_one(take: "Take", store: "Store", images: Path) -> str:
    from phasewatch.lab import recording

    with err.status(f"recording {take.id}: {take.seconds:g} s and a boot"):
        return recording.record(take, store, images, lambda line: err.print(line, soft_wrap=True))


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
    from phasewatch.sim import stream
    from phasewatch.sim.fit import FITTED

    with tempfile.TemporaryDirectory() as folder:
        chosen = FITTED if fit is None else fitted(fit, Path(folder) / "fit.npz")
        recipe = stream.Recipe(chosen, schema.vm46(), seed, faults)
        with _progress("simulating", episodes) as tick:
            stream.simulate(recipe, store, episodes, jobs, tick)
    out.print(f"{episodes} simulated episodes in {store}", highlight=False)


def fitted(recorded: Path, path: Path) -> Path:
    """A fit of a store's usable episodes, written to `path`."""
    from phasewatch import schema
    from phasewatch.sim.fit import fit
    from phasewatch.store import Store
    from phasewatch.validate import sweep

    opened = Store.open(recorded)
    usable = (opened.read(judgement.id) for judgement in sweep(opened) if judgement.usable)
    fit(usable, schema.vm46()).save(path)
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
    from phasewatch.store import Store

    near = compare(Store.open(left), Store.open(right), figure)
    if as_json:
        _print_json(asdict(near))
        return
    out.print(
        f"correlation: quantiles {near.quantiles:.3f} ({near.cells} cells) · step to step "
        f"{near.memory:.3f} · between channels {near.channels:.3f}"
    )
    out.print(f"figure: {figure}")


@app.command()
def survey(
    store: Annotated[Path, typer.Argument(help="Folder of a recorded episode store.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the findings.")] = Path(
        "reports/survey"
    ),
    opening_s: Opening = 15.0,
    as_json: AsJson = False,
) -> None:
    """What a corpus holds, what gives it away, and how much random windows flatter.

    Writes survey.md, survey.json and counts.csv. Trains boosted trees on every held-out host,
    sample and campaign: some minutes for some hundred episodes.
    """
    from dataclasses import asdict

    from phasewatch import durable
    from phasewatch import survey as surveys
    from phasewatch.store import Store

    say = err.print if as_json else out.print
    opened = Store.open(store)
    found = surveys.survey(opened, lambda line: say(line, markup=False, soft_wrap=True), opening_s)
    text = json.dumps(asdict(found), indent=1).encode()
    durable.write(folder / "survey.json", text)
    durable.write(folder / "survey.md", surveys.markdown(found).encode())
    durable.write(folder / "counts.csv", surveys.table(found))
    if as_json:
        sys.stdout.write(text.decode() + "\n")
    else:
        out.print(f"findings: {folder}/survey.md, survey.json, counts.csv")


@app.command()
def lab(as_json: AsJson = False) -> None:
    """The virtual hosts, load profiles and faults that `record` knows."""
    from dataclasses import asdict

    from phasewatch.lab import fault, hosts, profile

    known, loads = hosts.hosts(), profile.profiles()
    if as_json:
        _print_json(
            {
                "hosts": [asdict(host) for host in known.values()],
                "profiles": [asdict(load) for load in loads.values()],
                "faults": sorted(fault.FAULTS),
            }
        )
        return
    table = Table(title="hosts")
    for column in ("name", "machine", "memory", "vCPUs", "background", "never runs"):
        table.add_column(column)
    for host in known.values():
        told = (f"{host.arch} {host.machine}", f"{host.memory_mb} MiB", str(host.vcpus))
        table.add_row(host.name, *told, host.background, ", ".join(host.never))
    out.print(table)
    table = Table(title="load profiles (all harmless, inside the guest only)")
    for column in ("name", "meaning", "samples"):
        table.add_column(column)
    for load in loads.values():
        table.add_row(load.name, load.meaning, "\n".join(own.id for own in load.samples))
    out.print(table)
    out.print(f"faults: {', '.join(sorted(fault.FAULTS))}")


@app.command()
def predict(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's .ckpt.json.")],
    store: StorePath,
    episode: Annotated[str, typer.Option(help="Episode id; all of the store when not given.")] = "",
    as_json: AsJson = False,
) -> None:
    """Call the phase of every window of an episode, beside the truth."""
    import numpy as np

    from phasewatch import checkpoint as checkpoints
    from phasewatch.pipeline import extract
    from phasewatch.store import Store
    from phasewatch.validate import sweep
    from phasewatch.windows import pool

    loaded = checkpoints.load(checkpoint)
    opened = Store.open(store)
    loaded.bind(opened.schema, store)
    judgements = {one.id: one for one in sweep(opened)}
    asked = [episode] if episode else [id for id, one in judgements.items() if one.usable]
    _refuse_unusable(opened, judgements, asked)
    # All of a host's openings say what its level is, not only those of the episodes asked about.
    hosts = {judgements[id].host for id in asked}
    ids = [id for id, one in judgements.items() if one.usable and one.host in hosts]
    windows = pool(extract(opened, ids, loaded.schema, loaded.opening_s))
    rows = _calls(loaded, opened, windows.take(np.isin(windows.episode, asked)))
    if as_json:
        _print_json(rows)
        return
    table = Table(title=f"{loaded.name} (truth is the phase at the window's end)")
    for name in ("episode", "ends at s", "truth", "call", "probability"):
        table.add_column(name)
    for row in rows:
        style = None if row["call"] == row["truth"] else "red"
        told = (f"{row['end_s']:.1f}", row["truth"], row["call"], f"{row['probability']:.2f}")
        table.add_row(row["episode"], *told, style=style)
    out.print(table)
    right = sum(row["call"] == row["truth"] for row in rows)
    out.print(f"{right} of {len(rows)} windows right")


def _refuse_unusable(
    store: "Store", judgements: "Mapping[str, Judgement]", asked: list[str]
) -> None:
    """Raise Refused when an episode is not there or not usable, or when there is none at all."""
    for id in asked:
        if id not in judgements:
            remedy = "`phasewatch validate` lists them."
            raise Refused(store.root, f"has no episode {id!r}", "an episode of it", remedy)
        if not judgements[id].usable:
            raise Refused(
                store.folder(id),
                f"is {judgements[id].verdict} ({judgements[id].findings[0].reason})",
                "an accepted or degraded episode",
                "See `phasewatch validate`.",
            )
    if not asked:
        remedy = "See `phasewatch validate`."
        raise Refused(store.root, "has no usable episode", "accepted or degraded ones", remedy)


def _calls(loaded: Any, store: "Store", windows: "Windows") -> list[dict[str, Any]]:
    from scipy.special import softmax

    from phasewatch.schema import NS

    chance = softmax(loaded.logits(windows.x, windows.opening), axis=1)
    classes = loaded.schema.classes
    start_ns = {str(id): store.read(str(id)).start_ns for id in set(windows.episode)}
    return [
        {
            "episode": str(windows.episode[row]),
            "end_s": (int(windows.t_ns[row]) - start_ns[str(windows.episode[row])]) / NS,
            "truth": classes[windows.y[row]],
            "call": classes[chance[row].argmax()],
            "probability": float(chance[row].max()),
        }
        for row in range(len(windows))
    ]


@app.command()
def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's .ckpt.json.")],
    as_json: AsJson = False,
) -> None:
    """What a checkpoint says of itself; its digest is checked, its weights are not read."""
    from phasewatch.checkpoint import load_header

    header = load_header(checkpoint)
    value = header.model_dump(exclude={"probe", "lens"})
    if as_json:
        _print_json(value)
        return
    channels = [row[0] for row in header.data["channels"]]
    split = header.split
    told = {
        "model": f"{header.model}, {header.mode}, view {header.view}",
        "config": ", ".join(f"{key} {kept}" for key, kept in header.config.items()) or "none",
        "channels": f"{len(channels)}: {', '.join(channels)}",
        "classes": ", ".join(header.data["classes"]),
        "grid": ", ".join(f"{key} {kept:g}" for key, kept in header.data["grid"].items()),
        "recipe": f"{header.recipe['name']}, {split['recipe']}, seed {header.recipe['seed']}",
        "opening": f"{header.opening_s:g} s, known to be benign",
        "held out": f"{split['held_out']}; trained on {len(split['train'])} episodes",
        "scores": ", ".join(f"{key} {kept:.3f}" for key, kept in header.scores.items()),
        "versions": ", ".join(f"{key} {kept}" for key, kept in header.versions.items()),
        "weights": f"{header.weights_bytes} bytes, sha256 {header.weights_sha256}",
    }
    table = Table(title=header.name, show_header=False)
    for key, line in told.items():
        table.add_row(key, line)
    out.print(table)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
