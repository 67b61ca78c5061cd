"""The receiver over HTTP: no episode torn, lost after its acknowledgement, or created twice."""

import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from http import HTTPStatus
from queue import Queue

import pytest
from tests.faulty import FATES, Faulty
from tests.uploads import BODY, FILES, HOSTS, ID, TOKENS, drafts, renamed, upload

from phasewatch.store import receiver as receiving
from phasewatch.store.client import Connection
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store
from phasewatch.store.receiver import (
    EPISODES_PATH,
    Limits,
    Receiver,
)
from phasewatch.store.server import Server


def request(
    server: Server, method: str, path: str = EPISODES_PATH + ID
) -> tuple[int, Message, bytes]:
    """Status, head and body of the answer to an upload, by whatever method."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    _, head, body = upload(FILES)
    connection.request(method, path, body, dict(head.items()))
    with connection.getresponse() as response:
        response_parts = response.status, response.headers, response.read()
    connection.close()
    return response_parts


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD", "NONE"])
def test_another_method_is_refused_in_json(server: Server, log: Queue[str], method: str) -> None:
    status, head, body = request(server, method)
    assert (status, head["Allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "PUT")
    assert head["Content-Type"] == "application/json"
    problem = f"{method} is not taken, PUT is"
    assert body == b"" if method == "HEAD" else json.loads(body) == {"error": problem}
    assert log.get(timeout=60) == f"405 {EPISODES_PATH + ID!r}: {problem}"


def test_invalid_http_is_refused_in_json(server: Server) -> None:
    address = "127.0.0.1", server.server_address[1]
    with socket.create_connection(address, timeout=60) as line:
        line.sendall(b"PUT / / HTTP/1.1\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        response = line.makefile("rb").read()
    assert response.startswith(b"HTTP/1.1 400 ") and b'\r\n\r\n{"error":' in response


def test_an_internal_error_is_a_response_and_a_log_line(
    server: Server, log: Queue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*given: object) -> None:
        raise ValueError("no\nnumber")

    monkeypatch.setattr(receiving, "parse_manifest", failing)
    status, _, body = request(server, "PUT")
    assert status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert json.loads(body) == {"error": "it could not be handled"}
    assert log.get(timeout=60) == f"500 {EPISODES_PATH + ID!r}: ValueError: no number"


def test_a_faulty_network_loses_tears_and_duplicates_no_episode(
    server: Server, store: Store
) -> None:
    count = 200
    line = Faulty(server.server_address[1], seed=5, reach=4 * BODY)
    ids = [f"e{number}" for number in range(count)]
    files = {id: renamed(FILES, id) for id in ids}

    def send(sent_ids: list[str]) -> None:
        sender = Connection(line.url, TOKENS["alpha"], 200, lambda seconds: None)
        for id in sent_ids:
            sender.send(id, files[id][MANIFEST], files[id][SAMPLES])
            assert (store.folder(id) / SAMPLES).read_bytes() == files[id][SAMPLES]
        sender.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, [ids[place::4] for place in range(4)]))
    line.close()
    assert store.ids() == sorted(ids)
    for id in ids:
        assert {path.name: path.read_bytes() for path in store.folder(id).iterdir()} == files[id]
    assert drafts(store) == []
    assert all(line.fates[fate] >= 3 for fate in FATES)


def test_connections_beyond_the_slots_are_asked_to_retry(store: Store) -> None:
    limits = Limits(reserve=0, slots=1)
    with (
        Receiver(store, HOSTS, limits) as receiver,
        Server(("127.0.0.1", 0), receiver, lambda line: None) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        first = Connection(url, TOKENS["alpha"], 1)
        first.send(ID, FILES[MANIFEST], FILES[SAMPLES])
        waits: list[float] = []

        def hang_up(seconds: float) -> None:
            waits.append(seconds)
            first.close()

        second = Connection(url, TOKENS["alpha"], 50, hang_up)
        second.send(ID, FILES[MANIFEST], FILES[SAMPLES])
        second.close()
        assert waits
        server.shutdown()
