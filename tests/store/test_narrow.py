"""A narrower store: the same episodes with fewer channels, which models of the wider one refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.store.local import Store
from phasewatch.store.narrow import narrow, narrowed
from phasewatch.windowing import cut_windows

VM29 = schema.shipped("vm29")


def test_vm29_is_vm46_without_what_only_the_lab_has() -> None:
    trusted = schema.vm46().deployed()
    lost = set(trusted.names) - set(VM29.names)
    assert lost == {"qmp.vq_net_rx", "qmp.vq_net_tx", "qmp.jit_tlb_flushes"}
    assert len(VM29.names) == 29 and VM29.incompatibilities(trusted) == []
    assert VM29.modes == ("realistic",) and VM29.grid == trusted.grid


def test_windows_of_a_narrowed_episode_are_those_of_the_whole(tmp_path: Path) -> None:
    whole = toy.episode()
    some = narrowed(whole, "vm46", VM29)
    assert set(some.sources) == {"proc", "qmp", "netflow"}
    assert some.notes["narrowed_from"] == "vm46" and some.labels == whole.labels
    for name in ("x", "opening", "past"):
        ours, theirs = (getattr(cut_windows(one, VM29, 6.0), name) for one in (some, whole))
        np.testing.assert_array_equal(ours, theirs)


def test_a_narrow_store_has_every_episode_and_resumes(toy_store: Store, tmp_path: Path) -> None:
    root = tmp_path / "narrow"
    ids = list(narrow(toy_store, VM29, root))
    assert ids == toy_store.ids() == Store.open(root).ids()
    before = {id: Store.open(root).manifest(id).digest for id in ids}
    assert list(narrow(toy_store, VM29, root)) == ids
    assert {id: Store.open(root).manifest(id).digest for id in ids} == before


def test_a_schema_that_the_store_does_not_have_is_refused(toy_store: Store, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"channel cpu\.usage is missing"):
        list(narrow(toy_store, schema.shipped("cgroup"), tmp_path / "none"))
    other = replace(VM29, classes=("calm", "storm"))
    with pytest.raises(Refused, match="classes"):
        list(narrow(toy_store, other, tmp_path / "none"))
    assert not (tmp_path / "none").exists()
