"""One episode's story: on 80 columns, and as a page that cannot be broken into."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests import toy

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.store.format import SAMPLES
from phasewatch.store.local import Store
from phasewatch.validation import explain
from phasewatch.validation.sweep import validate_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path, schema.vm46())


def test_a_hole_in_a_source_shows_where_it_is(store: Store) -> None:
    episode = toy.episode()
    guest = episode.sources["guest"]
    early = guest.t_wall_ns < episode.start_ns + 20 * 10**9
    parts = {name: getattr(guest, name)[early] for name in ("t_wall_ns", "t_mono_ns", "values")}
    half = replace(episode, sources={**episode.sources, "guest": replace(guest, **parts)})
    store.publish(half)
    explanation = explain.explain(store, episode.id)
    tracks = {track.source: track for track in explanation.tracks}
    assert min(tracks["proc"].shares) == 1.0
    guests = tracks["guest"].shares
    assert min(guests[: explain.CELLS // 2]) == 1.0 and max(guests[explain.CELLS // 2 + 2 :]) == 0.0
    lines = "\n".join(explain.text(explanation))
    assert "[rows_low]" in lines or "[rows_none]" in lines
    assert f"{explain.BLOCKS[-1] * 15}" in lines and "labels: 0.0 s benign" in lines


def test_the_explanation_page_holds_the_plot_and_escapes_names(store: Store) -> None:
    episode = replace(toy.episode(), profile="<script>alert(1)</script>")
    store.publish(episode)
    page = explain.page(explain.explain(store, episode.id))
    assert "<script" not in page and "&lt;script" in page
    assert page.count("<rect") > 4 * explain.CELLS
    assert "http" not in page


def test_the_page_escapes_the_names_of_sources(tmp_path: Path) -> None:
    channels = tuple(
        replace(one, name=one.name.replace("guest.", "<script>.")) for one in schema.vm46().channels
    )
    named = Store.create(tmp_path, replace(schema.vm46(), channels=channels))
    named.publish(toy.episode())
    page = explain.page(explain.explain(named, toy.episode().id))
    assert "<script" not in page and "&lt;script" in page


def test_damaged_bytes_are_explained_without_tracks(store: Store) -> None:
    path = store.publish(toy.episode()) / SAMPLES
    path.write_bytes(b"")
    explanation = explain.explain(store, toy.episode().id)
    assert not explanation.tracks and "<svg" not in explain.page(explanation)
    assert any("[sha_mismatch]" in line for line in explain.text(explanation))


def test_an_unknown_episode_is_refused_in_one_line(store: Store) -> None:
    with pytest.raises(Refused, match="not in the store"):
        explain.explain(store, "nobody")


def test_an_explanation_includes_findings_of_the_complete_store(store: Store) -> None:
    first = toy.episode()
    for id in ("a", "b", "B"):
        store.publish(replace(first, id=id))
    swept = {one.id: one for one in validate_store(store)}
    assert {id: explain.explain(store, id).result for id in ("a", "b", "B")} == swept
    assert swept["b"].codes == ("content_duplicate", "name_conflict")
