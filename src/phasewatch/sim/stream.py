"""Writes simulated episodes into a store in constant memory, and scores a sweep of it.

Worker processes draw the episodes in blocks. A block depends on fit, seed and episode numbers
alone, so the bytes of the store do not depend on the number of workers or on interruptions. The
truth about planted faults is written to `truth.parquet` beside the episodes.
"""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.io.executors import process_pool
from phasewatch.schema import Schema
from phasewatch.sim.draw import Simulator
from phasewatch.sim.fit import Fit
from phasewatch.sim.plant import Truth, codes, plant
from phasewatch.store.local import Store
from phasewatch.validation.verdict import VERDICTS, ValidationResult, Verdict

TRUTH = "truth.parquet"
BLOCK_EPISODES = 128

_COLUMNS = pa.schema([("id", pa.string()), ("code", pa.string()), ("verdict", pa.string())])


@dataclass(frozen=True)
class Recipe:
    """What determines a simulated store.

    `faults` is the share of episodes with a fault; `long` ones last minutes instead of seconds.
    """

    fit: Path
    schema: Schema
    seed: int
    faults: float
    long: bool = False

    def header(self) -> dict[str, object]:
        """Return the recipe as the header of the store has it."""
        digest = hashlib.sha256(self.fit.read_bytes()).hexdigest()
        length = {"long": True} if self.long else {}
        return {"seed": self.seed, "faults": self.faults, "fit": digest[:16], **length}


class BlockWriter:
    """Draws and publishes blocks of the episodes of a recipe, in any process.

    Drafts of episodes are in `drafts`, on the disk of the store at `root`.
    """

    def __init__(self, recipe: Recipe, root: Path, drafts: Path) -> None:
        fit = Fit.load(recipe.fit, recipe.schema)
        self._simulator = Simulator(fit, recipe.schema, recipe.seed, recipe.long)
        self._store = Store(root, recipe.schema)
        self._recipe = recipe
        self._drafts = drafts

    def block(self, numbers: range) -> list[Truth]:
        """Draw and publish the episodes with these numbers, and return the truth about each.

        Episodes that are in the store already are left alone.
        """
        return [self._publish(number) for number in numbers]

    def _publish(self, number: int) -> Truth:
        # A separate generator, so that faults do not change the episodes without one.
        generator = np.random.default_rng([self._recipe.seed, number, 1])
        every = codes()
        drawn, place = generator.random(), int(generator.integers(len(every)))
        code = every[place] if drawn < self._recipe.faults else ""
        files, truth = plant(self._simulator.episode(number), code, generator)
        if not self._store.folder(truth.id).exists():
            self._store.put(truth.id, files, self._drafts)
        return truth


def simulate(
    recipe: Recipe, root: Path, episodes: int, jobs: int, tick: Callable[[int], None]
) -> None:
    """Write `episodes` episodes and the truth about them under `root`. Raises Refused.

    An interrupted run continues: episodes that are in the store are not drawn again. `tick` is
    called with the number of episodes of each block.
    """
    Simulator(Fit.load(recipe.fit, recipe.schema), recipe.schema, recipe.seed, recipe.long)
    store = Store.create(root, recipe.schema, simulated=recipe.header())
    atomic.prepare_folder(root)
    blocks = [
        range(first, min(first + BLOCK_EPISODES, episodes))
        for first in range(0, episodes, BLOCK_EPISODES)
    ]
    with _writer(store.root / TRUTH) as writer, store.folder_of_drafts() as drafts:
        work = process_pool(jobs)(partial(_block, recipe, root, drafts), blocks)
        # The pool ends before its drafts are removed, also where the loop is interrupted.
        with contextlib.closing(work):
            for truths in work:
                rows = [asdict(truth) for truth in truths]
                writer.write_table(pa.Table.from_pylist(rows, _COLUMNS))
                tick(len(truths))


def _block(recipe: Recipe, root: Path, drafts: Path, numbers: range) -> list[Truth]:
    return _block_writer(recipe, root, drafts).block(numbers)


@lru_cache(maxsize=1)
def _block_writer(recipe: Recipe, root: Path, drafts: Path) -> BlockWriter:
    """Return the writer of this process, which is created once."""
    return BlockWriter(recipe, root, drafts)


@contextlib.contextmanager
def _writer(path: Path) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file that appears at `path` when the block ends without an exception."""
    draft = path.with_name(f"{atomic.DRAFT_PREFIX}{path.name}")
    try:
        with pq.ParquetWriter(draft, _COLUMNS, compression="zstd") as writer:
            yield writer
        atomic.sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    atomic.sync(path.parent)


def read_truth(root: Path) -> dict[str, Truth]:
    """Return what is planted in a simulated store, by episode id.

    Raises Refused when truth.parquet is missing or damaged.
    """
    try:
        table = pq.read_table(root / TRUTH, schema=_COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise Refused(
            root / TRUTH, str(error).splitlines()[0], "a simulated store's truth", "Simulate again."
        ) from error
    columns = (table[name].to_pylist() for name in ("id", "code", "verdict"))
    return {row[0]: Truth(*row) for row in zip(*columns, strict=True)}


@dataclass(frozen=True)
class ValidationScore:
    """A sweep scored against the truth: faults planted, reported, and with the right verdict.

    `reported` faults have a finding with their code, and `correct_verdicts` the verdict that they
    must get. `clean` episodes have no fault, and `false_alarms` of them are not accepted. `missed`
    counts faults that were not reported, by code. `matrix` counts episodes by the verdict that they
    must get, and then by the one that they got.
    """

    planted: int
    reported: int
    correct_verdicts: int
    clean: int
    false_alarms: int
    missed: dict[str, int]
    matrix: Mapping[Verdict, Mapping[Verdict, int]]

    def __str__(self) -> str:
        """Return the score as one line."""
        missed = ", ".join(f"{count} {code}" for code, count in self.missed.items()) or "none"
        return (
            f"planted: {self.planted} faults, {self.reported} reported under their code, "
            f"{self.correct_verdicts} with the verdict they must get (missed: {missed}); "
            f"{self.clean} episodes without a fault, {self.false_alarms} of them not accepted"
        )


def score_validation(
    results: Iterable[ValidationResult], known: Mapping[str, Truth]
) -> ValidationScore:
    """Return the score of the results of a sweep against the truth by episode id."""
    planted = reported = correct_verdicts = clean = false_alarms = 0
    missed: Counter[str] = Counter()
    matrix: dict[Verdict, dict[Verdict, int]] = {
        verdict: dict.fromkeys(VERDICTS, 0) for verdict in VERDICTS
    }
    for result in results:
        truth = known.get(result.id)
        if truth is None:
            continue
        matrix[truth.verdict][result.verdict] += 1
        found = truth.code in {finding.code for finding in result.findings}
        planted += bool(truth.code)
        clean += not truth.code
        false_alarms += not truth.code and result.verdict != "accepted"
        reported += bool(truth.code) and found
        correct_verdicts += bool(truth.code) and result.verdict == truth.verdict
        if truth.code and not found:
            missed[truth.code] += 1
    return ValidationScore(
        planted,
        reported,
        correct_verdicts,
        clean,
        false_alarms,
        dict(sorted(missed.items())),
        matrix,
    )
