"""The server as strangers meet it: who may ask, what is answered, what a viewer is told."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve import app, sse
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.producers import perf
from phasewatch.serve.runtime import Runtime
from phasewatch.store.local import Store


@dataclass
class Served:
    """A server at work in this process."""

    runtime: Runtime
    port: int

    def ask(
        self, path: str, method: str = "GET", body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body).encode() if body is not None else None
        if data:
            told["content-type"] = "application/json"
        link.request(method, path, data, told)
        answer = link.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        link.close()
        return found

    def get(self, path: str) -> Any:
        """JSON."""
        status, _, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    def turn(self, op: str, value: object = None, **more: object) -> int:
        """A turn of the transport as the page asks for it; the status."""
        own = f"http://127.0.0.1:{self.port}"
        told = {"op": op, "value": value, **more}
        return self.ask("/api/transport", "POST", told, origin=own)[0]

    @contextlib.contextmanager
    def events(self, path: str = "/api/events", last: str = "") -> Iterator["Reader"]:
        """A stream of events."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        link.request("GET", path, headers={"last-event-id": last} if last else {})
        yield Reader(link.getresponse())
        link.close()


class Reader:
    """Reads server-sent events."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer

    def next(self, kind: str = "") -> tuple[str, str, Any]:
        """Id, kind and data of the next event (of a kind)."""
        told: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                told[name] = value
            elif "event" in told and kind in ("", told["event"]):
                return told.get("id", ""), told["event"], json.loads(told["data"])
            else:
                told = {}


@contextlib.contextmanager
def serving(given: ProducerContext, access: Access) -> Iterator[Served]:
    with Runtime(given, access.control).working() as runtime:
        sock = app.listen("127.0.0.1", 0)
        server = app.server(app.application(runtime, access))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield Served(runtime, sock.getsockname()[1])
        server.should_exit = True
        thread.join(20)
        sock.close()


def until(found: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def given(toy_store: Store, toy_out: Path, toy_run: RunResult) -> ProducerContext:
    return ProducerContext(Run(toy_out), toy_store, toy_run.predictions.folds[0].split.test[:1])


@pytest.fixture(scope="module")
def served(given: ProducerContext) -> Iterator[Served]:
    with serving(given, Access(control=True)) as one:
        until(lambda: one.runtime.replay._watched is not None)
        yield one


def test_a_viewer_is_told_the_last_of_every_kind(served: Served) -> None:
    wanted = {"episode", "scoreboard", "comparison", "profile", "perf"}
    with served.events() as reader:
        assert reader.next("hello")[2]["boot"] == served.runtime.broker.boot
        found: set[str] = set()
        while not wanted <= found:
            found.add(reader.next()[1])


def test_who_comes_back_goes_on_where_it_was(served: Served) -> None:
    with served.events("/api/events?types=perf") as reader:
        last = reader.next("perf")[0]
    time.sleep(1.2)
    with served.events(last=last) as reader:
        assert reader.next("hello")[2]["resumed"] is True
        assert int(reader.next()[0].split(":")[1]) == int(last.split(":")[1]) + 1


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


def test_the_transport_obeys_and_refuses(served: Served) -> None:
    assert served.turn("pause") == 200
    assert served.turn("seek", 20.0) == 200
    with served.events("/api/events?types=episode") as reader:
        transport = reader.next("episode")[2]["data"]["transport"]
    assert (transport["state"], transport["position_s"]) == ("paused", 20.0)
    assert served.turn("seek", 5.0, if_revision=transport["revision"] - 1) == 409
    assert served.turn("seek", 5.0, if_revision=transport["revision"]) == 200
    assert served.turn("speed", 3) == 422
    assert served.turn("seek", "soon") == 422
    assert served.turn("load", "nobody") == 422
    assert served.turn("dance") == 422
    assert served.turn("loop", [3, 9]) == 200
    assert served.turn("loop", [9, 3]) == 422
    assert served.turn("loop") == 200


def test_an_ended_replay_begins_again(served: Served) -> None:
    served.turn("speed", 64)
    served.turn("seek", 1e9)
    served.turn("play")
    until(lambda: served.runtime.replay._clock.state in ("playing", "ended"))
    until(lambda: served.runtime.replay._clock.state == "ended")
    assert served.turn("play") == 200
    assert served.runtime.replay._clock.state == "playing"


def test_a_loop_tells_pages_that_the_clock_has_jumped(served: Served) -> None:
    served.turn("speed", 64)
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


def test_whole_episodes_answer_for_scrubbing(served: Served) -> None:
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
    told = 'phasewatch_inference_seconds{model="gbt.realistic"}'
    until(lambda: told in served.ask("/metrics")[2].decode())
    assert served.ask("/api/events?types=gossip")[0] == 422


def test_the_page_keeps_to_itself(served: Served) -> None:
    status, headers, body = served.ask("/")
    assert status == 200 and b"Phasewatch" in body
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert served.ask("/nothing")[0] == 404
    assert served.ask("/../pyproject.toml")[0] == 404


def test_other_names_and_other_pages_are_refused(served: Served) -> None:
    assert served.ask("/", host="evil.example")[0] == 421
    turn = {"op": "pause"}
    assert served.ask("/api/transport", "POST", turn)[0] == 403
    assert served.ask("/api/transport", "POST", turn, origin="http://evil.example")[0] == 403


def test_without_control_nothing_moves(given: ProducerContext) -> None:
    with serving(ProducerContext(None, given.store), Access()) as one:
        assert one.turn("pause") == 403


def test_beyond_loopback_a_token_is_asked_for() -> None:
    access = Access.at("0.0.0.0", ["wall.example"], "", False)
    assert len(access.token) > 20 and "wall.example" in access.names
    assert Access.at("127.0.0.1", [], "", False).token == ""
    with serving(ProducerContext(None, None), Access(token="secret")) as one:
        assert one.ask("/")[0] == 401
        assert one.ask("/api/events")[0] == 401
        assert one.ask("/?token=wrong")[0] == 401
        assert one.ask("/healthz")[0] == 200
        status, headers, _ = one.ask("/?token=secret")
        assert status == 303 and headers["location"] == "/"
        assert "HttpOnly" in headers["set-cookie"] and "SameSite=strict" in headers["set-cookie"]
        cookie = headers["set-cookie"].split(";")[0]
        assert one.ask("/", cookie=cookie)[0] == 200
        assert one.ask("/metrics", authorization="Bearer secret")[0] == 200


def test_a_producer_that_is_refused_says_so_and_others_go_on(
    tmp_path: Path, toy_store: Store
) -> None:
    (tmp_path / "report.json").write_text("{}")
    with serving(ProducerContext(Run(tmp_path), toy_store), Access()) as one:
        until(lambda: "metrics" in one.runtime.troubles and "replay" in one.runtime.troubles)
        told = {row["name"]: row for row in one.get("/api/producers")}
        assert "report.json" in told["metrics"]["trouble"]
        assert "report.json" in told["replay"]["trouble"]
        assert told["perf"]["trouble"] is None
        assert one.ask("/healthz")[0] == 503


def test_a_run_without_checkpoints_is_refused(tmp_path: Path, toy_store: Store) -> None:
    with serving(ProducerContext(Run(tmp_path), toy_store), Access()) as one:
        until(lambda: "replay" in one.runtime.troubles)
        assert "no checkpoints" in one.runtime.troubles["replay"]


def test_who_does_not_read_is_cut_off(
    given: ProducerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "WRITE_S", 0.3)
    with serving(ProducerContext(None, None), Access()) as one:
        link = socket.create_connection(("127.0.0.1", one.port))
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.sendall(b"GET /api/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        until(lambda: one.runtime.given.counted.get("viewers") == 1)
        until(lambda: _cut(one))
        with pytest.raises(ConnectionResetError):
            while link.recv(1 << 16):
                pass
        link.close()


def _cut(one: Served) -> bool:
    """Tells much, and whether the viewer that reads nothing is gone."""
    told = perf.Producer(one.runtime.given, lambda event: None)._measure(psutil.Process(), 1.0)
    for _ in range(200):
        one.runtime.broker.tell(told)
    return bool(one.runtime.given.counted.get("viewers_cut", 0) == 1)


def test_a_port_that_is_taken_is_refused(served: Served) -> None:
    with pytest.raises(Refused, match="in use"), app.listen("127.0.0.1", served.port) as again:
        again.listen()
