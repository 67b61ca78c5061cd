"""How many files of monitoring tools are taken in rightly by `schema suggest` and `import`.

`python bench/import_cases.py` tries every case of a folder of files with known answers (the option
`--cases`, or `telemetry-cases` in PHASEWATCH_DATA), and compares what the store holds with
bench/import_answers.py. With `--made` the files are those of bench/made_cases.py, which are written
to a temporary folder. Each case has one of four outcomes: right without a change of the drafts,
right after at most three changed lines, refused with a line that says what to do, or silently
wrong. Nothing is measured where the folder is absent.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from import_answers import ANSWERS, Answer, Channel
from rich.console import Console
from typer.testing import CliRunner

from phasewatch.cli import main as _commands  # noqa: F401  (loads the commands)
from phasewatch.cli.console import app
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.store.local import Store

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("PHASEWATCH_DATA", ROOT.parent / "shared" / "data"))
OUTCOMES = ("right", "corrected", "refused", "WRONG")
MOST_CORRECTIONS = 3


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case, and the line or the difference that explains it."""

    word: str
    reason: str = ""
    corrected: int = 0


@dataclass(frozen=True)
class Attempt:
    """One go of both commands: refused with a line, or a store with its differences."""

    refused: str
    wrong: tuple[str, ...] = ()


def phasewatch(*arguments: object) -> tuple[int, str]:
    """Return the exit code and the last line of a command, run in this process."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=True)
    error = result.exception
    if isinstance(error, Refused):
        return 2, str(error)
    if error is not None and not isinstance(error, SystemExit):
        line = traceback.format_exception_only(error)[-1].strip()
        return -1, f"TRACEBACK {line}"
    lines = [line for line in result.output.splitlines() if line.strip()]
    return result.exit_code, lines[-1].strip() if lines else ""


def attempt(source: Path, answer: Answer, corrected: bool, folder: Path) -> tuple[Attempt, int]:
    """Run both commands on a case, and return what came out and how many lines were corrected."""
    options = [part for option in answer.options for part in option] if corrected else []
    changed = len(answer.options) if corrected else 0
    code, line = phasewatch("schema", "suggest", source, "--out", folder / "mine", *options)
    if code:
        return Attempt(line), changed
    if corrected:
        changed += correct(folder / "mine", answer)
    store = folder / "store"
    drafts = ("--schema", folder / "mine/schema.toml", "--mapping", folder / "mine/mapping.toml")
    code, line = phasewatch("import", source, *drafts, "--out", store)
    if code != answer.exit:
        return Attempt(f"exit code {code}: {line}"), changed
    return Attempt("", tuple(differences(Store.open(store), answer))), changed


def correct(drafts: Path, answer: Answer) -> int:
    """Change the lines of the drafts that a user would correct, and return how many."""
    changed = 0
    for path in (drafts / "schema.toml", drafts / "mapping.toml"):
        lines = path.read_text().splitlines()
        for pattern, new in answer.corrections:
            for place, line in enumerate(lines):
                if re.search(pattern, line):
                    lines[place] = new
                    changed += 1
                    break
        path.write_text("\n".join(lines) + "\n")
    return changed


def outcome(source: Path, answer: Answer) -> Outcome:
    """Return the outcome of a case: as drafted first, and corrected where it was refused."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        drafted, _ = attempt(source, answer, False, Path(first))
        if drafted.wrong:
            return Outcome("WRONG", "; ".join(drafted.wrong[:4]))
        if not drafted.refused:
            return Outcome("right")
        if "TRACEBACK" in drafted.refused:
            return Outcome("WRONG", drafted.refused)
        changed, lines = attempt(source, answer, True, Path(second))
        if answer.options and (slip := _without_options(source, answer)):
            return Outcome("WRONG", "; ".join(("without options", *slip[:4])))
        if changed.wrong:
            return Outcome("WRONG", "; ".join(("corrected", *changed.wrong[:4])))
        if changed.refused or not 0 < lines <= MOST_CORRECTIONS:
            return Outcome("refused", changed.refused or drafted.refused)
        return Outcome("corrected", drafted.refused, lines)


def _without_options(source: Path, answer: Answer) -> tuple[str, ...]:
    """Return what comes out wrong where a user only answers questions, and was not told more."""
    with tempfile.TemporaryDirectory() as folder:
        tried, _ = attempt(source, replace(answer, options=()), True, Path(folder))
        return tried.wrong


# ---------------------------------------------------------------- comparison with the answer


def differences(store: Store, answer: Answer) -> Iterator[str]:
    """Yield what a store holds otherwise than the answer says."""
    episodes = [store.read(name) for name in store.ids()]
    if len(episodes) != answer.episodes:
        yield f"{len(episodes)} episodes instead of {answer.episodes}"
    if not episodes:
        return
    hosts = {one.host.removesuffix(":9100") for one in episodes}
    if answer.hosts and hosts != set(answer.hosts):
        yield f"hosts {', '.join(sorted(hosts)[:5])} instead of {', '.join(answer.hosts)}"
    rows = sum(len(next(iter(one.sources.values())).t_wall_ns) for one in episodes)
    if answer.all_rows and rows != answer.all_rows:
        yield f"{rows} rows instead of {answer.all_rows}"
    first = min(episodes, key=lambda one: (one.start_ns, one.host))
    yield from _times(first, answer)
    yield from _channels(store, first, answer)
    yield from _phases(episodes, store.schema.classes, answer)


def _times(episode: Episode, answer: Answer) -> Iterator[str]:
    """Yield differences of rows, interval and start of an episode."""
    t_ns = np.unique(np.concatenate([one.t_wall_ns for one in episode.sources.values()]))
    if answer.rows and len(t_ns) != answer.rows:
        yield f"{len(t_ns)} rows instead of {answer.rows}"
    if answer.every_s:
        every = float(np.median(np.diff(t_ns))) / 1e9
        if not np.isclose(every, answer.every_s, rtol=0.01):
            yield f"rows every {every:g} s instead of {answer.every_s:g}"
    if abs(t_ns[0] / 1e9 - answer.start) > answer.within_s + 1e-3:
        yield f"begins at {t_ns[0] / 1e9:.3f} instead of {answer.start:.3f}"


def _channels(store: Store, episode: Episode, answer: Answer) -> Iterator[str]:
    """Yield channels that are missing, superfluous, of another kind, or hold other values."""
    left = {channel.name: channel for channel in store.schema.channels}
    for pattern, wanted in answer.channels.items():
        fitting = [name for name in left if re.search(pattern, name, re.IGNORECASE)]
        if not fitting:
            yield f"no channel {pattern}"
            continue
        channel = left.pop(fitting[0])
        if not re.fullmatch(wanted.kind, channel.kind):
            yield f"{channel.name} is a {channel.kind} instead of a {wanted.kind}"
        else:
            yield from _values(episode, channel.name, wanted)
    extra = [name for name in left if not re.search(answer.allowed, name, re.IGNORECASE)]
    if extra:
        yield f"channels that are none: {', '.join(extra[:4])}"


def _values(episode: Episode, name: str, wanted: Channel) -> Iterator[str]:
    """Yield differences of the figures of a channel."""
    samples = episode.sources[name.partition(".")[0]]
    values = samples.values[:, samples.names.index(name)]
    known = values[np.isfinite(values)]
    if np.isinf(values).any() or (np.abs(known) > 1e300).any():
        yield f"{name} holds an infinity"
    seconds = (samples.t_wall_ns[-1] - samples.t_wall_ns[0]) / 1e9
    figures = {
        "mean": known.mean() if len(known) else np.nan,
        "total": known.sum(),
        "rate": (known[-1] - known[0]) / seconds if len(known) else np.nan,
        "missing": len(values) - len(known),
    }
    for figure, found in figures.items():
        right = getattr(wanted, figure)
        if right is not None and not np.isclose(found, right, rtol=2e-3):
            yield f"{name}: {figure} {found:.6g} instead of {right:.6g}"


def _phases(episodes: list[Episode], classes: tuple[str, ...], answer: Answer) -> Iterator[str]:
    """Yield differences of the phases: unknown words, a wrong benign class, another share."""
    words = {label.phase for episode in episodes for label in episode.labels}
    for word in sorted(words):
        if not any(re.search(known, word, re.IGNORECASE) for known in answer.phases.values()):
            yield f"phase {word!r}"
    if answer.hostile and not re.search(answer.phases["benign"], classes[0], re.IGNORECASE):
        yield f"the benign class is {classes[0]!r}"
    share = float(np.mean([_hostile(one, classes[0]) for one in episodes]))
    if answer.hostile >= 0 and abs(share - answer.hostile) > 0.06:
        yield f"{share:.0%} of the time is hostile instead of {answer.hostile:.0%}"
    if answer.hostile < 0 and len(words) < 2:
        yield "one phase throughout"


def _hostile(episode: Episode, benign: str) -> float:
    """Return the share of an episode's time that is not benign."""
    ends = [*(label.t_wall_ns for label in episode.labels[1:]), episode.end_ns]
    spans = [end - label.t_wall_ns for label, end in zip(episode.labels, ends, strict=True)]
    hostile = sum(
        span for label, span in zip(episode.labels, spans, strict=True) if label.phase != benign
    )
    return float(hostile / sum(spans))


def _write_made(folder: Path) -> list[Answer]:
    """Write the files of the cases that are made here, and return the answers."""
    from made_cases import FILES, MADE

    for case, files in FILES.items():
        for name, data in files.items():
            path = folder / case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return list(MADE)


def _tried(answers: Sequence[Answer], cases: Path, only: str, out: Console) -> dict[str, Outcome]:
    """Try the cases of a folder, print each outcome, and return them by the name of the case."""
    found = {}
    for answer in answers:
        if re.search(only, answer.case) and (source := cases / answer.case).exists():
            one = found[answer.case] = outcome(source, answer)
            lines = f" ({one.corrected})" if one.corrected else ""
            out.print(f"{one.word + lines:<14}{answer.case}  {one.reason}")
    return found


def main() -> None:
    """Parse the command line and try every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=DATA / "telemetry-cases")
    parser.add_argument("--made", action="store_true", help="the cases that are made here")
    parser.add_argument("--only", default="", help="a regular expression on the names of cases")
    parser.add_argument("--json", type=Path, help="also write the outcomes here")
    options = parser.parse_args()
    out = Console(highlight=False, soft_wrap=True, markup=False)
    if options.made:
        with tempfile.TemporaryDirectory() as folder:
            found = _tried(_write_made(Path(folder)), Path(folder), options.only, out)
    elif not options.cases.is_dir():
        out.print(f"skipped: no folder {options.cases}")
        sys.exit(0)
    else:
        found = _tried(ANSWERS, options.cases, options.only, out)
    counts = Counter(one.word for one in found.values())
    out.print(f"{len(found)} cases: " + ", ".join(f"{counts[word]} {word}" for word in OUTCOMES))
    if options.json:
        options.json.write_text(
            json.dumps({case: [one.word, one.reason] for case, one in found.items()}, indent=1)
        )


if __name__ == "__main__":
    main()
