"""`phasewatch validate`: verdicts, and the acceptance index."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from phasewatch.cli.console import (
    SOME_ERRORED,
    SOME_REJECTED,
    AsJson,
    app,
    out,
    plain,
    print_json,
    progress,
)
from phasewatch.errors import Refused

if TYPE_CHECKING:
    from phasewatch.io.executors import Executor
    from phasewatch.sim.stream import ValidationScore
    from phasewatch.store.local import Store
    from phasewatch.store.remote import RemoteStore
    from phasewatch.validation.sweep import EpisodeSource
    from phasewatch.validation.verdict import ValidationResult

LETTERS = "abcdefghijklmnopqrstuvwxyz"


StoreName = Annotated[str, typer.Argument(help="Folder or URL (s3://…) of the episode store.")]
IndexFile = Annotated[
    Path, typer.Option("--index", help="File to write the acceptance index into (Parquet).")
]
Summary = Annotated[
    bool, typer.Option("--summary", help="Print counts instead of a line for each finding.")
]
Explained = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="EPISODE",
        help="Explain the verdict of one episode; validate no other.",
    ),
]
HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", help="With --explain: file for the explanation as a page, with a plot."),
]
Full = Annotated[
    bool, typer.Option("--full", help="Read and hash every episode again, also if unchanged.")
]
Jobs = Annotated[
    int, typer.Option("--jobs", help="Worker processes; 0 for one for each core.", min=0)
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="tcp://…",
        help="Address of a Dask cluster whose workers see the same store.",
    ),
]


@app.command()
def validate(
    store: StoreName,
    index: IndexFile = Path("data/processed/validation_v1.parquet"),
    summary: Summary = False,
    explain: Explained = None,
    html: HtmlFile = None,
    full: Full = False,
    jobs: Jobs = 0,
    cluster: Cluster = None,
    as_json: AsJson = False,
) -> None:
    """Validate every episode: accepted, degraded, rejected or errored, and why.

    An episode whose files have not changed since the last time (size, inode and times are the
    same) is not read again. A validation that was killed resumes where it stopped.

    Exit codes: 0 all accepted or degraded, 3 some errored, 4 some rejected and none errored,
    2 refused, 130 cancelled.
    """
    from phasewatch.store.local import refuse_empty
    from phasewatch.validation import index as indices
    from phasewatch.validation.cache import VerdictCache
    from phasewatch.validation.sweep import validate_store

    opened = _open(store)
    if explain is not None:
        _explain(opened, explain, html, as_json)
        return
    if html:
        raise Refused(
            f"--html {html}",
            "goes with the explanation of one episode",
            "--explain EPISODE beside it",
            "--summary describes the store as a whole.",
        )
    ids = opened.ids()
    refuse_empty(ids, store)
    indices.prepare_index(index)
    cache = VerdictCache(index.with_suffix(".cache"), opened.schema)
    with progress("validating", len(ids)) as tick:
        results = validate_store(opened, tick, _executor(jobs, cluster), cache, full)
    indices.write(results, index)
    hits = _score_of(opened, results)
    if as_json:
        _print_json(results, index, hits)
    else:
        _show(results, summary)
        if hits:
            _show_hits(hits)
        out.print(f"index: {index}", soft_wrap=True)
    _exit(results)


def _exit(results: "Sequence[ValidationResult]") -> None:
    """End with exit code 3 if an episode errored, else with 4 if one was rejected."""
    verdicts = {result.verdict for result in results}
    if "errored" in verdicts:
        raise typer.Exit(SOME_ERRORED)
    if "rejected" in verdicts:
        raise typer.Exit(SOME_REJECTED)


def _explain(episodes: "EpisodeSource", id: str, html: Path | None, as_json: bool) -> None:
    from phasewatch.io import atomic
    from phasewatch.store.local import Store
    from phasewatch.validation import explain as explanation

    if html:
        _refuse_page(html)
    explained = explanation.explain(episodes, id)
    if html:
        atomic.write(html, explanation.page(explained).encode())
    if as_json:
        print_json(_verdict(explained.result))
    else:
        for line in explanation.text(explained):
            out.print(plain(line), soft_wrap=True)
        if not isinstance(episodes, Store):
            out.print("  not checked: whether another episode of this store has the same samples")
        if html:
            out.print(f"page: {html}", soft_wrap=True)
    _exit([explained.result])


def _refuse_page(path: Path) -> None:
    """Raise Refused if no page can be written to this path."""
    from phasewatch.store.local import refuse_inside

    refuse_inside(path)
    if path.is_dir():
        raise Refused(f"--html {path}", "is a folder", "a file", f"Try {path / 'x.html'}.")


def _open(place: str) -> "Store | RemoteStore":
    from phasewatch.store.local import Store
    from phasewatch.store.remote import RemoteStore

    scheme, apart, rest = place.partition("://")
    if not apart or scheme in ("file", "local"):
        return Store.open(Path(rest or place))
    return RemoteStore.open(place)


def _executor(jobs: int, cluster: str | None) -> "Executor":
    from phasewatch.io import executors

    return (
        executors.process_pool(jobs or executors.cores())
        if cluster is None
        else executors.dask_workers(cluster)
    )


def _score_of(
    store: "Store | RemoteStore", results: "Sequence[ValidationResult]"
) -> "ValidationScore | None":
    """Return the verdicts compared with the planted faults, None unless the store is simulated."""
    from phasewatch.sim import stream
    from phasewatch.store.local import Store

    if not isinstance(store, Store) or not store.simulated:
        return None
    if not (store.root / stream.TRUTH).exists():
        return None
    return stream.score_validation(results, stream.read_truth(store.root))


def _print_json(
    results: "Sequence[ValidationResult]", index: Path, hits: "ValidationScore | None"
) -> None:
    from dataclasses import asdict

    from phasewatch.validation.verdict import count_verdicts

    print_json(
        {
            "counts": count_verdicts(results),
            "index": str(index),
            **({"planted": asdict(hits)} if hits else {}),
            "episodes": [_verdict(result) for result in results],
        }
    )


def _verdict(result: "ValidationResult") -> dict[str, Any]:
    return {
        "id": result.id,
        "verdict": result.verdict,
        "reasons": [[finding.code, finding.reason] for finding in result.findings],
        "rows": dict(result.rows),
        "offsets_s": dict(result.offsets),
        "digest": result.digest,
    }


def _show(results: "Sequence[ValidationResult]", summary: bool) -> None:
    from phasewatch.validation.verdict import count_verdicts

    counts = " · ".join(f"{count} {verdict}" for verdict, count in count_verdicts(results).items())
    out.print(f"{_episodes(len(results))}: {counts}")
    if summary:
        _show_cells(results)
        _show_codes(results)
        return
    for result in results:
        for finding in result.findings:
            line = f"  {result.verdict} {result.id}: [{finding.code}] {finding.reason}"
            out.print(plain(line), soft_wrap=True)


def _show_cells(results: "Sequence[ValidationResult]") -> None:
    """Print counts by host, profile and verdict; letters stand for profiles, to fit 80 columns."""
    profiles = sorted({result.profile for result in results})
    letters = [LETTERS[at % 26] * (1 + at // 26) for at in range(len(profiles))]
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("host", overflow="fold")
    for letter in letters:
        table.add_column(letter, no_wrap=True)
    for host in sorted({result.host for result in results}):
        of_host = [result for result in results if result.host == host]
        cells = (_cell([one for one in of_host if one.profile == name]) for name in profiles)
        table.add_row(Text(plain(host) or "unreadable"), *cells)
    out.print(table)
    out.print("accepted, then d degraded, r rejected, e errored; . no episode")
    named = zip(letters, profiles, strict=True)
    legend = "; ".join(f"{letter}={plain(name) or 'unreadable'}" for letter, name in named)
    out.print(legend)


def _cell(results: "Sequence[ValidationResult]") -> str:
    from phasewatch.validation.verdict import count_verdicts

    found = count_verdicts(results)
    accepted = found.pop("accepted")
    rest = [f"{count}{verdict[0]}" for verdict, count in found.items() if count]
    return " ".join([str(accepted), *rest]) if results else "."


def _show_codes(results: "Iterable[ValidationResult]") -> None:
    """Print how many episodes each rule objected to, and what the rule means."""
    from phasewatch.validation.rules import sentences

    codes = Counter(code for result in results for code in result.codes)
    if not codes:
        return
    explained = sentences()
    table = Table("reason", box=None, padding=(0, 1), pad_edge=False)
    table.add_column("episodes", justify="right", no_wrap=True)
    table.add_column("what it means")
    for code, count in codes.most_common():
        table.add_row(code, f"{count:,}", explained[code])
    out.print(table)


def _show_hits(hits: "ValidationScore") -> None:
    """Print the verdicts that planted faults must get, against those that they got."""
    table = Table("planted", *hits.matrix, box=None, padding=(0, 1), pad_edge=False)
    for verdict, row in hits.matrix.items():
        table.add_row(verdict, *(f"{count:,}" for count in row.values()))
    out.print(table)
    out.print(str(hits))


def _episodes(count: int) -> str:
    return f"{count:,} episode{'' if count == 1 else 's'}"
