"""Streams simulated episodes into a store: any number of them, in constant memory.

Episodes are drawn in blocks by worker processes, and every block is a function of fit, seed and
numbers alone: the store's bytes do not depend on how many workers there were or when one was
stopped. The truth about planted faults goes to `truth.parquet` beside the episodes.
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
from phasewatch.sim.draw import Stage
from phasewatch.sim.fit import Fit
from phasewatch.sim.plant import Truth, codes, plant
from phasewatch.store.local import Store
from phasewatch.validation.verdict import VERDICTS, ValidationResult, Verdict

TRUTH = "truth.parquet"
BLOCK = 128

_COLUMNS = pa.schema([("id", pa.string()), ("code", pa.string()), ("verdict", pa.string())])


@dataclass(frozen=True)
class Recipe:
    """What a simulated store is made of; `faults` is the share of episodes with one."""

    fit: Path
    schema: Schema
    seed: int
    faults: float

    def header(self) -> dict[str, object]:
        """As the store's header tells it."""
        digest = hashlib.sha256(self.fit.read_bytes()).hexdigest()
        return {"seed": self.seed, "faults": self.faults, "fit": digest[:16]}


class Worker:
    """Makes any block of a recipe's episodes, in whatever process."""

    def __init__(self, recipe: Recipe, root: Path) -> None:
        fit = Fit.load(recipe.fit, recipe.schema)
        self._stage = Stage(fit, recipe.schema, recipe.seed)
        self._store = Store(root, recipe.schema)
        self._recipe = recipe

    def block(self, numbers: range) -> list[Truth]:
        """Draw and publish some episodes; those that are there already are left alone."""
        return [self._publish(number) for number in numbers]

    def _publish(self, number: int) -> Truth:
        # A stream of its own, so that a fault changes nothing in the episodes without one.
        chance = np.random.default_rng([self._recipe.seed, number, 1])
        every = codes()
        drawn, place = chance.random(), int(chance.integers(len(every)))
        code = every[place] if drawn < self._recipe.faults else ""
        files, truth = plant(self._stage.episode(number), code, chance)
        if not self._store.folder(truth.id).exists():
            self._store.put(truth.id, files)
        return truth


def simulate(
    recipe: Recipe, root: Path, episodes: int, jobs: int, tick: Callable[[int], None]
) -> None:
    """Write `episodes` episodes and their truth under `root`; raises Refused.

    A run that was ended goes on where it was: what is there is not drawn again.
    """
    Stage(Fit.load(recipe.fit, recipe.schema), recipe.schema, recipe.seed)
    store = Store.create(root, recipe.schema, simulated=recipe.header())
    atomic.prepare_folder(root)
    blocks = [range(first, min(first + BLOCK, episodes)) for first in range(0, episodes, BLOCK)]
    with _writer(store.root / TRUTH) as writer:
        for made in process_pool(jobs)(partial(_block, recipe, root), blocks):
            writer.write_table(pa.Table.from_pylist([asdict(truth) for truth in made], _COLUMNS))
            tick(len(made))


def _block(recipe: Recipe, root: Path, numbers: range) -> list[Truth]:
    return _worker(recipe, root).block(numbers)


@lru_cache(maxsize=1)
def _worker(recipe: Recipe, root: Path) -> Worker:
    """This process's own, made once."""
    return Worker(recipe, root)


@contextlib.contextmanager
def _writer(path: Path) -> Iterator[pq.ParquetWriter]:
    """A Parquet file that appears when the block ends well."""
    draft = path.with_name(f"{atomic.DRAFT_PREFIX}{path.name}")
    try:
        with pq.ParquetWriter(draft, _COLUMNS, compression="zstd") as writer:
            yield writer
        atomic.sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    atomic.sync(path.parent)


def truths(root: Path) -> dict[str, Truth]:
    """What is planted in a simulated store, by episode id; raises Refused when it is not told."""
    try:
        table = pq.read_table(root / TRUTH, schema=_COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise Refused(
            root / TRUTH, str(error).splitlines()[0], "a simulated store's truth", "Simulate again."
        ) from error
    columns = (table[name].to_pylist() for name in ("id", "code", "verdict"))
    return {row[0]: Truth(*row) for row in zip(*columns, strict=True)}


@dataclass(frozen=True)
class Hits:
    """Verdicts against the truth: faults planted, reported under their code, judged as they must.

    `clean` episodes have no fault, `alarms` of them were objected to; `missed` names the faults
    that were not reported. `matrix` counts episodes by the verdict they must get and then by the
    one they got.
    """

    planted: int
    reported: int
    judged: int
    clean: int
    alarms: int
    missed: dict[str, int]
    matrix: Mapping[Verdict, Mapping[Verdict, int]]

    def __str__(self) -> str:
        """One line."""
        missed = ", ".join(f"{count} {code}" for code, count in self.missed.items()) or "none"
        return (
            f"planted: {self.planted} faults, {self.reported} reported under their code, "
            f"{self.judged} with the verdict they must get (missed: {missed}); "
            f"{self.clean} episodes without a fault, {self.alarms} of them objected to"
        )


def score(results: Iterable[ValidationResult], known: Mapping[str, Truth]) -> Hits:
    """What a sweep found of what was planted."""
    planted = reported = judged = clean = alarms = 0
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
        alarms += not truth.code and result.verdict != "accepted"
        reported += bool(truth.code) and found
        judged += bool(truth.code) and result.verdict == truth.verdict
        if truth.code and not found:
            missed[truth.code] += 1
    return Hits(planted, reported, judged, clean, alarms, dict(sorted(missed.items())), matrix)
