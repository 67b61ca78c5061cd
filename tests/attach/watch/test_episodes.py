"""Episodes of attached machines: labelled or not, ended by gaps and by their length."""

from pathlib import Path

import pytest

from phasewatch import schema
from phasewatch.attach.process import PROC
from phasewatch.attach.watch.episodes import Recorder
from phasewatch.attach.watch.watched import Gap, Reading
from phasewatch.schema import NS
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_episode
from phasewatch.windowing import cut_windows

T = 1_790_000_000 * NS
NAMES = tuple(f"proc.{name}" for name in PROC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", schema.vm46())


def recorder(store: Store, said: list[str], **more: object) -> Recorder:
    return Recorder(store, "web 1", "qemu", said.append, **more)  # type: ignore[arg-type]


def feed(one: Recorder, seconds: float, begin: float = 0.0) -> float:
    for row in range(round(2 * seconds)):
        t = round((begin + row / 2) * NS)
        one.take(
            Reading(
                "web 1", "proc", NAMES, T + t, t, [1e-3 * t + place for place in range(len(PROC))]
            )
        )
    return begin + seconds


def test_a_labelled_watch_is_an_episode_to_train_on(store: Store) -> None:
    said: list[str] = []
    one = recorder(store, said, phase="benign", missing=lambda: {"qmp.vq_net_rx": "why"})
    end = feed(one, 40)
    one.mark("exfiltration")
    feed(one, 30, end)
    one.finish()
    (id,) = store.ids()
    episode = store.read(id)
    assert id == "attached.web-1.benign-exfiltration.20260921T141322Z"
    assert [label.phase for label in episode.labels] == ["benign", "exfiltration"]
    assert episode.labels[0].t_wall_ns == episode.start_ns == T + 2 * NS
    assert episode.notes["not_measured"] == ["qmp.vq_net_rx"]
    assert episode.host == "web 1" and episode.campaign == "attached-2026-09-21"
    windows = cut_windows(episode, store.schema, opening_s=15.0)
    assert set(windows.y) == {0, store.schema.classes.index("exfiltration")}
    assert said == [f"web 1: {id}: 68 s, benign then exfiltration"]
    result = validate_episode(store, id)
    assert result.usable and set(result.codes) == {"source_missing"}


def test_an_unlabelled_watch_is_stored_and_never_trained_on(store: Store) -> None:
    said: list[str] = []
    one = recorder(store, said)
    feed(one, 30)
    one.finish()
    (id,) = store.ids()
    result = validate_episode(store, id)
    assert result.verdict == "rejected" and store.read(id).labels == ()
    assert said == [f"web 1: {id}: 28 s, no label"]


def test_a_gap_ends_an_episode_and_one_too_short_is_dropped(store: Store) -> None:
    said: list[str] = []
    one = recorder(store, said, phase="benign")
    end = feed(one, 60)
    one.take(Gap("web 1", T + round(end * NS), "away for 9 s"))
    end = feed(one, 8, end + 9)
    one.take(Gap("web 1", T + round(end * NS), "away for 9 s"))
    feed(one, 60, end + 9)
    one.finish()
    spans = [(store.read(id).start_ns, store.read(id).end_ns) for id in store.ids()]
    assert len(spans) == 2 and spans[0][1] < spans[1][0]
    assert [line for line in said if "too short" in line] == [
        "web 1: an episode of 6 s is too short, dropped"
    ]


def test_a_long_watch_is_cut_into_episodes_of_one_length(store: Store) -> None:
    said: list[str] = []
    one = recorder(store, said, phase="benign", longest_s=60.0)
    feed(one, 200)
    one.finish()
    lengths = [store.read(id).seconds for id in store.ids()]
    assert len(lengths) == 3 and max(lengths) <= 60.0 and min(lengths) > 55.0
    assert sum(len(rows) for rows in one._rows.values()) == 0


def test_a_full_disk_loses_one_episode_says_so_and_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    one = recorder(store, said, phase="benign")
    end = feed(one, 60)
    publish = store.publish

    def full(episode: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "publish", full)
    one.take(Gap("web 1", T + round(end * NS), "away"))
    assert said[-1].endswith("is lost: No space left on device") and store.ids() == []
    monkeypatch.setattr(store, "publish", publish)
    feed(one, 60, end + 9)
    one.finish()
    assert len(store.ids()) == 1


def test_a_mark_before_anything_is_read_labels_the_beginning(store: Store) -> None:
    one = recorder(store, [])
    one.mark("benign")
    end = feed(one, 30)
    for phase in ("impact", "impact", "discovery"):
        one.mark(phase)
    feed(one, 30, end)
    one.finish()
    (id,) = store.ids()
    assert [label.phase for label in store.read(id).labels] == ["benign", "discovery"]


def test_a_first_mark_in_the_middle_leaves_what_came_before_unlabelled(store: Store) -> None:
    one = recorder(store, [])
    end = feed(one, 30)
    one.mark("impact")
    feed(one, 30, end)
    one.finish()
    (id,) = store.ids()
    assert validate_episode(store, id).verdict == "rejected"


def test_a_profile_that_is_named_is_that_of_all_episodes(store: Store) -> None:
    """Splits hold out episodes of a profile: one recording after the other must share it."""
    one = recorder(store, [], phase="benign", profile="ordinary")
    end = feed(one, 40)
    one.take(Gap("web 1", T, "away"))
    one.mark("impact")
    feed(one, 40, end + 10)
    one.finish()
    found = [store.read(id) for id in store.ids()]
    assert [one.profile for one in found] == ["ordinary", "ordinary"]
    assert {one.sample for one in found} == {"web 1.benign", "web 1.impact"}
