"""Scores without channels: measured on unseen episodes, kept beside the bundle they are of."""

from pathlib import Path

import numpy as np
import pytest

from phasewatch.artifacts import bundle, dropout
from phasewatch.errors import Refused
from phasewatch.metrics import macro_f1
from phasewatch.store.local import Store
from phasewatch.windowing import extract, pool_openings


def test_scores_are_those_of_windows_with_the_channels_unknown(
    bundle_folder: Path, toy_store: Store
) -> None:
    found = dropout.measure(bundle_folder, toy_store, [("proc.rss", "qmp.blk_wr_ops")])
    terms, loaded = bundle.load_terms(bundle_folder), bundle.load(bundle_folder)
    ids = terms.split["test"]
    windows = pool_openings(extract(toy_store, ids, loaded.schema, loaded.opening_s))
    assert (found.windows, found.hosts) == (len(windows), "delta")
    lost = [loaded.schema.names.index(name) for name in ("proc.rss", "qmp.blk_wr_ops")]
    x, level, past = (one.copy() for one in (windows.x, windows.opening, windows.past))
    for part in (x, level, past):
        part[:, lost] = np.nan
    classes = len(loaded.schema.classes)
    for parts, score in (
        ((windows.x, windows.opening, windows.past), found.macro_f1),
        ((x, level, past), found.score_without(["qmp.blk_wr_ops", "proc.rss"])),
    ):
        confusion = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(confusion, (windows.y, loaded.logits(*parts).argmax(axis=1)), 1)
        assert score == pytest.approx(float(macro_f1(confusion)))
    alone = {row.without for row in found.rows if len(row.without) == 1}
    assert alone == {(name,) for name in loaded.schema.names}
    assert found.score_without([]) == found.macro_f1
    assert found.score_without(["proc.rss", "guest.forks"]) is None


def test_scores_are_read_back_for_this_bundle_alone(bundle_folder: Path, toy_store: Store) -> None:
    digest = bundle.load_terms(bundle_folder).digest
    assert dropout.read(bundle_folder, digest) is None
    found = dropout.measure(bundle_folder, toy_store)
    path = dropout.write(bundle_folder, found)
    assert dropout.read(bundle_folder, digest) == found
    assert dropout.read(bundle_folder, "another") is None
    bundle.load(bundle_folder)
    for text in ("{", "{}", '{"digest": 7}'):
        path.write_text(text)
        with pytest.raises(Refused, match=r"dropout\.json"):
            dropout.read(bundle_folder, digest)


def test_an_unknown_channel_and_another_store_are_refused(
    bundle_folder: Path, toy_store: Store, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="--without moon: is no channel"):
        dropout.measure(bundle_folder, toy_store, [("moon",)])
    empty = Store.create(tmp_path / "empty", toy_store.schema)
    with pytest.raises(Refused, match="the store that it was trained on"):
        dropout.measure(bundle_folder, empty)
