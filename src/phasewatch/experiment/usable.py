"""The windows of a store's usable episodes: validated first, and read once."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from phasewatch.baseline import OPENINGS, Selection, of_episodes
from phasewatch.errors import Refused
from phasewatch.schema import Schema
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_and_read
from phasewatch.validation.verdict import ValidationResult
from phasewatch.windowing import Windows, concatenate, cut_windows, pool_openings


def usable_windows(
    store: Store,
    schema: Schema,
    opening_s: float,
    ids: Sequence[str] = (),
    include_rejected: bool = False,
    selection: Selection = OPENINGS,
) -> tuple[Windows, dict[str, ValidationResult]]:
    """Return the windows of the usable episodes of a store, and every episode's result by id.

    `ids` names the episodes, in the order of the windows; without them all that are usable. Each
    window stands beside the level of its machine's last openings, of usable episodes that are not
    named as well, and of what a `selection` names; what it declares baseline has no windows.
    `include_rejected` also reads what validation refused. Raises Refused for an episode that is not
    there or cannot be read, that is baseline, and for one that is not usable unless it is included.
    """
    found, episodes = validate_and_read(store)
    results = {result.id: result for result in found}
    if include_rejected:
        refused = [one.id for one in found if not one.usable and (not ids or one.id in ids)]
        episodes |= {id: store.read(id) for id in refused}
    baseline, judged = of_episodes(episodes, schema, selection)
    wanted = list(ids or (id for id in results if id in judged))
    _refuse_unusable(store, results, wanted, episodes)
    _refuse_baseline(store, wanted, judged)
    hosts = {episodes[id].host for id in wanted}
    others = sorted(id for id in judged if episodes[id].host in hosts and id not in wanted)
    pooled = pool_openings(
        concatenate(cut_windows(episodes[id], schema, opening_s) for id in [*wanted, *others]),
        baseline.known,
    )
    return pooled.take(np.isin(pooled.episode, wanted)), results


def _refuse_unusable(
    store: Store,
    results: Mapping[str, ValidationResult],
    wanted: Sequence[str],
    there: Mapping[str, object],
) -> None:
    """Raise Refused when a wanted episode is absent or not usable, or when none is wanted."""
    for id in wanted:
        if id not in results:
            raise _no_episode(store, id, results)
        if id not in there:
            raise _unusable(store.folder(id), results[id])
    if not wanted:
        remedy = "See `phasewatch validate`."
        raise Refused(store.root, "has no usable episode", "accepted or degraded ones", remedy)


def _refuse_baseline(store: Store, wanted: Sequence[str], judged: Sequence[str]) -> None:
    """Raise Refused when a wanted episode is baseline: it is no part of the question."""
    for id in wanted:
        if id not in judged:
            problem = "is declared baseline: it teaches the level of its machine"
            remedy = "Choose another, or give --baseline none."
            raise Refused(store.folder(id), problem, "an episode that is judged", remedy)


def refuse_unusable(folder: Path, result: ValidationResult) -> None:
    """Raise Refused where the episode in `folder` has a result that is not usable."""
    if not result.usable:
        raise _unusable(folder, result)


def _unusable(folder: Path, result: ValidationResult) -> Refused:
    """Return the refusal of an episode that validation rejected."""
    problem = f"is {result.verdict} ({result.findings[0].reason})"
    return Refused(folder, problem, "an accepted or degraded episode", "See `phasewatch validate`.")


def _no_episode(store: Store, id: str, known: Iterable[str]) -> Refused:
    """Return the refusal of an id that no episode has, with the nearest ids."""
    near = difflib.get_close_matches(id, list(known), n=3, cutoff=0) or ["none: it is empty"]
    remedy = f"The nearest are {', '.join(near)}."
    return Refused(store.root, f"has no episode {id!r}", "an episode of it", remedy)
