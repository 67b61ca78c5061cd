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


@app.command()
def validate(
    store: Annotated[str, typer.Argument(help="Folder or URL (s3://…) of the episode store.")],
    index: Annotated[Path, typer.Option(help="Where the acceptance index goes.")] = Path(
        "data/processed/validation_v1.parquet"
    ),
    summary: Annotated[
        bool, typer.Option("--summary", help="Counts of findings instead of a line for each.")
    ] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="EPISODE", help="Explain one episode's verdict; no sweep.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="With --explain: the explanation as a page, with a plot.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read and hash again what has not changed, too.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Processes; 0 for one a core.", min=0)] = 0,
    cluster: Annotated[
        str | None, typer.Option(metavar="tcp://…", help="Dask workers that see the same store.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Validate every episode: accepted, degraded, rejected or errored, and why.

    What has not changed since the last sweep is not read again (size, inode and times of its
    files are the same); a sweep that was killed goes on where it was.

    Exit codes: 0 all accepted or degraded, 3 some could not be decided, 4 some rejected (and none
    undecided), 2 refused, 130 interrupted.
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
            "The whole store is told by --summary.",
        )
    ids = opened.ids()
    refuse_empty(ids, store)
    indices.prepare_index(index)
    kept = VerdictCache(index.with_suffix(".cache"), opened.schema)
    with progress("validating", len(ids)) as tick:
        results = validate_store(opened, tick, _spread(jobs, cluster), kept, full)
    indices.write(results, index)
    hits = _hits(opened, results)
    if as_json:
        _print_json(results, index, hits)
    else:
        _show(results, summary)
        if hits:
            _show_hits(hits)
        out.print(f"index: {index}", markup=False, soft_wrap=True)
    _exit(results)


def _exit(results: "Sequence[ValidationResult]") -> None:
    """End with a code of its own where some could not be validated, or were rejected."""
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
    told = explanation.explain(episodes, id)
    if html:
        atomic.write(html, explanation.page(told).encode())
    if as_json:
        print_json(_verdict(told.result))
    else:
        for line in explanation.text(told):
            out.print(plain(line), markup=False, soft_wrap=True)
        if not isinstance(episodes, Store):
            out.print("  whether another episode has the same samples, only a sweep tells here")
        if html:
            out.print(f"page: {html}", markup=False, soft_wrap=True)
    _exit([told.result])


def _refuse_page(path: Path) -> None:
    """Raise Refused where no page can go."""
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


def _spread(jobs: int, cluster: str | None) -> "Executor":
    from phasewatch.io import executors

    return (
        executors.process_pool(jobs or executors.cores())
        if cluster is None
        else executors.dask_workers(cluster)
    )


def _hits(
    store: "Store | RemoteStore", results: "Sequence[ValidationResult]"
) -> "ValidationScore | None":
    """How the verdicts fare against the truth, where a simulated store tells it."""
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

    told = " · ".join(f"{count} {verdict}" for verdict, count in count_verdicts(results).items())
    out.print(f"{_many(len(results))}: {told}")
    if summary:
        _show_cells(results)
        _show_codes(results)
        return
    for result in results:
        for finding in result.findings:
            line = f"  {result.verdict} {result.id}: [{finding.code}] {finding.reason}"
            out.print(plain(line), markup=False, soft_wrap=True)


def _show_cells(results: "Sequence[ValidationResult]") -> None:
    """Counts by host, profile and verdict; a letter a profile, so that 80 columns hold them."""
    profiles = sorted({result.profile for result in results})
    letters = [LETTERS[at % 26] * (1 + at // 26) for at in range(len(profiles))]
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("host", overflow="fold")
    for letter in letters:
        table.add_column(letter, no_wrap=True)
    for host in sorted({result.host for result in results}):
        own = [result for result in results if result.host == host]
        cells = (_cell([one for one in own if one.profile == name]) for name in profiles)
        table.add_row(Text(plain(host) or "unreadable"), *cells)
    out.print(table)
    out.print("accepted, then d degraded, r rejected, e errored; . no episode", markup=False)
    named = zip(letters, profiles, strict=True)
    told = "; ".join(f"{letter}={plain(name) or 'unreadable'}" for letter, name in named)
    out.print(told, markup=False)


def _cell(results: "Sequence[ValidationResult]") -> str:
    from phasewatch.validation.verdict import count_verdicts

    found = count_verdicts(results)
    accepted = found.pop("accepted")
    rest = [f"{count}{verdict[0]}" for verdict, count in found.items() if count]
    return " ".join([str(accepted), *rest]) if results else "."


def _show_codes(results: "Iterable[ValidationResult]") -> None:
    """How many episodes each rule objected to, and what it says."""
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
    """What was planted, and the verdicts it must get against those it got."""
    table = Table("planted", *hits.matrix, box=None, padding=(0, 1), pad_edge=False)
    for verdict, row in hits.matrix.items():
        table.add_row(verdict, *(f"{count:,}" for count in row.values()))
    out.print(table)
    out.print(str(hits))


def _many(count: int) -> str:
    return f"{count:,} episode{'' if count == 1 else 's'}"
