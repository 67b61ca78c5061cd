"""A stored episode played back through the live machine, window by window."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from phasewatch.baseline import OPENINGS, Baseline, Selection, is_benign, stretches_of
from phasewatch.episode import Episode, Label
from phasewatch.errors import Refused
from phasewatch.evaluation.incidents import DEPLOYED_RATE
from phasewatch.experiment.run import Run
from phasewatch.experiment.usable import refuse_unusable
from phasewatch.io.trust import ANY, Trust
from phasewatch.live.buffer import select_rows
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.incidents import Incident, machine_incidents
from phasewatch.live.machine import Machine
from phasewatch.schema import NS
from phasewatch.store.format import Manifest
from phasewatch.store.local import Store, refuse_unknown
from phasewatch.validation.sweep import validate_episode
from phasewatch.windowing import POOLED_OPENINGS, opening_level


class SampleStream:
    """The samples of a stored episode in the order in which they were taken."""

    def __init__(self, episode: Episode) -> None:
        self._sources = episode.sources
        self._passed = dict.fromkeys(episode.sources, 0)

    def advance(self, t_ns: int, machine: Machine) -> None:
        """Add to a machine the samples taken since the last call, up to `t_ns` inclusive."""
        for source, samples in self._sources.items():
            first = self._passed[source]
            end = int(np.searchsorted(samples.t_wall_ns, t_ns, side="right"))
            if end > first:
                machine.add(source, select_rows(samples, np.arange(first, end)))
                self._passed[source] = end


def _silent(share: float) -> None:
    """Do nothing with the share of the windows that is predicted."""


def replay(
    episode: Episode,
    ensemble: Ensemble,
    past: Sequence[NDArray[np.float32]] = (),
    stretches: NDArray[np.float32] | None = None,
    progress: Callable[[float], None] = _silent,
) -> Machine:
    """Return the machine that has seen a stored episode, a stride at a time, skipping no window.

    `past` and `stretches` are what is known of the machine, see `Machine`. `progress` is given the
    share of the episode that was seen, 0 to 1, after every stride.
    """
    machine = Machine(ensemble, episode.start_ns, past, stretches)
    stream = SampleStream(episode)
    stride_ns = round(ensemble.schema.grid.stride_s * NS)
    for now_ns in range(episode.start_ns, episode.end_ns, stride_ns):
        stream.advance(now_ns, machine)
        machine.predict_all(now_ns)
        progress((now_ns - episode.start_ns) / (episode.end_ns - episode.start_ns))
    stream.advance(episode.end_ns, machine)
    machine.close(episode.end_ns)
    machine.predict_all(episode.end_ns)
    return machine


def manifests(store: Store) -> dict[str, Manifest]:
    """Return the manifest of every episode of a store that has a readable one, by episode id."""
    found: dict[str, Manifest] = {}
    for id in store.ids():
        try:
            found[id] = store.manifest(id)
        except (Refused, OSError):
            continue
    return found


def history(
    store: Store,
    known: Sequence[Manifest],
    episode: Episode,
    seconds: float,
    selection: Selection = OPENINGS,
) -> list[NDArray[np.float32]]:
    """Return the openings `[C]` of a host's last usable episodes before this one, oldest first.

    `known` are the store's manifests, `seconds` is the length of an opening. There are at most
    `POOLED_OPENINGS - 1` openings, none of a recording that `selection` declares baseline.
    """
    earlier = [
        one
        for one in known
        if one.host == episode.host
        and one.start_ns < episode.start_ns
        and one.id != episode.id
        and not selection.declares(one)
    ]
    found: list[NDArray[np.float32]] = []
    for one in sorted(earlier, key=lambda one: -one.start_ns):
        if len(found) == POOLED_OPENINGS - 1:
            break
        if validate_episode(store, one.id).usable:
            past = store.load(one)
            found.append(opening_level(past.sources, store.schema, past.start_ns, seconds))
    return found[::-1]


def stretches(
    store: Store, known: Sequence[Manifest], episode: Episode, selection: Selection
) -> NDArray[np.float32]:
    """Return the benign levels `[M,C]` of the recordings that `selection` names of a host.

    They are those that the offline pipeline uses: of usable recordings that are declared baseline,
    and of benign episodes that were over when this one began. Raises Refused for a declared
    recording that is not benign.
    """
    declared, earlier = [], {}
    for one in known:
        if one.host != episode.host or one.id == episode.id:
            continue
        labels = [Label(*label) for label in one.labels]
        before = selection.earlier and one.end_ns <= episode.start_ns
        baseline = selection.declares(one)
        if not baseline and not (before and is_benign(labels, store.schema)):
            continue
        if validate_episode(store, one.id).usable:
            found = stretches_of(store.load(one), store.schema)
            if baseline:
                declared.append(found)
            else:
                earlier[one.id] = found
    return Baseline(tuple(declared), earlier).known_of(episode.host, episode.start_ns, earlier)


def episode_incidents(
    run: Run, store: Store, id: str, key: str, trust: Trust = ANY, rate: float = DEPLOYED_RATE
) -> list[Incident]:
    """Return the incidents of a stored episode under the model `key` of a run.

    `rate` is the target in false incidents per host-hour that the rule was chosen for.

    Raises Refused when the run, its report, the model or the episode is not there or cannot be
    trusted, when the episode is not usable, or when the model has no operating threshold.
    """
    refuse_unknown(id, store.ids(), "--episode")
    ensemble = Ensemble.of_run(run, store.schema, trust, rate)
    ensemble.member(key)
    thresholds = run.thresholds
    if not thresholds:
        # Without a report no model has a rule or a threshold: its absence is the fault.
        run.read_report()
    episode = store.read(id)
    refuse_unusable(store.folder(id), validate_episode(store, id))
    known, selection = list(manifests(store).values()), ensemble.selection()
    past = history(store, known, episode, ensemble.opening_s, selection)
    machine = replay(episode, ensemble, past, stretches(store, known, episode, selection))
    return machine_incidents(machine, episode.id, episode.host, key, thresholds.get(key))
