"""The server as a client meets it: the stream, the transport, queries, documents, the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.served import Served, serving, until

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve import app
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def context(toy_store: Store, toy_out: Path, toy_run: RunResult) -> ProducerContext:
    return ProducerContext(Run(toy_out), toy_store, toy_run.predictions.folds[0].split.test[:1])


@pytest.fixture(scope="module")
def served(context: ProducerContext) -> Iterator[Served]:
    with serving(context, Access(control=True)) as one:
        until(lambda: one.runtime.replay.playback.watched is not None)
        yield one


def test_a_viewer_is_sent_the_last_of_every_kind(served: Served) -> None:
    wanted = {"episode", "scoreboard", "comparison", "profile", "perf"}
    with served.events() as reader:
        assert reader.next("hello")[2]["boot"] == served.runtime.broker.boot
        found: set[str] = set()
        while not wanted <= found:
            found.add(reader.next()[1])


def test_windows_come_as_the_clock_runs(served: Served) -> None:
    assert served.turn("speed", 32) == 200
    with served.events("/api/events?types=window") as reader:
        assert served.turn("seek", 0) == 200
        assert served.turn("play") == 200
        first = reader.next("window")[2]["data"]
        while first["index"] > 2:
            first = reader.next("window")[2]["data"]
    assert first["truth"] in schema.vm46().classes
    assert set(first["models"]) >= {"gbt.realistic", "gbt.oracle"}
    assert all(abs(sum(call["p"]) - 1) < 1e-3 for call in first["models"].values())


def test_transport_commands_are_executed_or_refused(served: Served) -> None:
    assert served.turn("pause") == 200
    assert served.turn("seek", 20.0) == 200
    with served.events("/api/events?types=episode") as reader:
        transport = reader.next("episode")[2]["data"]["transport"]
    assert (transport["state"], transport["position_s"]) == ("paused", 20.0)
    assert served.turn("seek", 5.0, if_revision=transport["revision"] - 1) == 409
    assert served.turn("seek", 5.0, if_revision=transport["revision"]) == 200
    assert served.turn("speed", 3) == 422
    assert served.turn("seek", "soon") == 422
    assert served.turn("load", "nobody") == 404
    assert served.turn("dance") == 422
    assert served.turn("loop", [3, 9]) == 200
    assert served.turn("loop", [9, 3]) == 422
    assert served.turn("loop") == 200


def test_an_ended_replay_restarts(served: Served) -> None:
    served.turn("speed", 64)
    served.turn("seek", 1e9)
    served.turn("play")
    until(lambda: served.runtime.replay.playback.clock.state in ("playing", "ended"))
    until(lambda: served.runtime.replay.playback.clock.state == "ended")
    assert served.turn("play") == 200
    assert served.runtime.replay.playback.clock.state == "playing"


def test_a_loop_announces_that_the_clock_has_jumped(served: Served) -> None:
    served.turn("pause")
    served.turn("seek", 0.0)
    served.turn("speed", 4)
    with served.events("/api/events?types=episode") as reader:
        assert served.turn("loop", [12, 16]) == 200
        served.turn("seek", 15.0)
        served.turn("play")
        while reader.next("episode")[2]["data"]["transport"]["position_s"] < 15:
            pass
        assert reader.next("episode")[2]["data"]["transport"]["state"] == "playing"
        assert 12 <= reader.next("episode")[2]["data"]["transport"]["position_s"] < 15
    served.turn("loop")
    served.turn("pause")


def test_all_windows_of_an_episode_are_served_for_scrubbing(served: Served) -> None:
    id = served.get("/api/corpus")[0]["episode_id"]
    windows = served.get(f"/api/episodes/{id}/windows")
    assert [one["index"] for one in windows] == list(
        range(windows[0]["index"], windows[0]["index"] + len(windows))
    )
    assert served.get(f"/api/episodes/{id}")["n_windows"] == len(windows)
    last = windows[-1]
    why = served.get(f"/api/episodes/{id}/windows/{last['index']}/why?model=gbt.realistic")
    assert why["label"] == last["models"]["gbt.realistic"]["label"]
    assert served.ask(f"/api/episodes/{id}/windows/999/why?model=gbt.realistic")[0] == 422
    assert served.ask(f"/api/episodes/{id}/windows/{last['index']}/why?model=none")[0] == 422
    assert served.ask("/api/episodes/..%2f..%2fetc/windows")[0] in (404, 422)


def test_documents_are_served(served: Served) -> None:
    assert served.get("/api/schemas/window.v1.json")["title"] == "Window"
    assert served.ask("/api/schemas/other.json")[0] == 404
    assert served.get("/healthz") == {"status": "ok"}
    assert "phasewatch_events_total" in served.ask("/metrics")[2].decode()
    assert served.turn("play") == 200
    sample = 'phasewatch_inference_seconds{model="gbt.realistic"}'
    until(lambda: sample in served.ask("/metrics")[2].decode())
    assert served.ask("/api/events?types=gossip")[0] == 422


def test_the_page_is_served_with_a_strict_content_policy(served: Served) -> None:
    status, headers, body = served.ask("/")
    assert status == 200 and b"Phasewatch" in body
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert served.ask("/nothing")[0] == 404
    assert served.ask("/../pyproject.toml")[0] == 404


def test_a_port_that_is_taken_is_refused(served: Served) -> None:
    with pytest.raises(Refused, match="in use"), app.listen("127.0.0.1", served.port) as again:
        again.listen()
