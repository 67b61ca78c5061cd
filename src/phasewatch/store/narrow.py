"""A store with some channels of another, for machines on which the rest is not measured."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from phasewatch.episode import Episode, Samples
from phasewatch.errors import Refused
from phasewatch.schema import Schema
from phasewatch.store.local import Store


def narrow(store: Store, layout: Schema, root: Path) -> Iterator[str]:
    """Write the episodes of a store with the channels of `layout` alone, and yield their ids.

    An episode that is there already is left as it is, so that a second call resumes. Raises Refused
    for channels that the store lacks or defines otherwise.
    """
    differing = layout.incompatibilities(store.schema)
    if differing:
        raise Refused(
            store.root,
            "; ".join(differing),
            f"a store with the channels of {layout.name}",
            "Choose another schema.",
            code="store_schema",
        )
    target = Store.create(root, layout, store.simulated)
    present = set(target.ids())
    for id in store.ids():
        if id not in present:
            target.publish(narrowed(store.read(id), store.schema.name, layout))
        yield id


def narrowed(episode: Episode, before: str, layout: Schema) -> Episode:
    """Return an episode with the channels of `layout` alone, noting the schema it had `before`."""
    sources = {
        name: _columns(samples, layout)
        for name, samples in episode.sources.items()
        if name in layout.sources
    }
    return replace(episode, sources=sources, notes={**episode.notes, "narrowed_from": before})


def _columns(samples: Samples, layout: Schema) -> Samples:
    kept = [place for place, name in enumerate(samples.names) if name in set(layout.names)]
    names = tuple(samples.names[place] for place in kept)
    return replace(samples, names=names, values=samples.values[:, kept])
