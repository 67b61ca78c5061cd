"""A sender keeps its copy until the receiver has acknowledged the same bytes."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import toy
from tests.certificates import self_signed
from tests.uploads import TOKENS

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.store.client import Connection, ReceiverUnavailable, selected_ids, ship
from phasewatch.store.format import SAMPLES
from phasewatch.store.local import Store
from phasewatch.store.receiver import Receiver
from phasewatch.store.server import Server

Response = tuple[int, dict[str, object]]


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    opened = Store.create(tmp_path / "here", schema.vm46())
    opened.publish(toy.episode("alpha"))
    return opened


def answering(
    monkeypatch: pytest.MonkeyPatch, responses: Iterator[Response | OSError]
) -> Connection:
    """A line that answers so."""
    line = Connection("http://localhost", "t", 3, lambda seconds: None)

    def put(id: str, manifest: bytes, samples: bytes) -> Response:
        response = next(responses)
        if isinstance(response, OSError):
            raise response
        return response

    monkeypatch.setattr(line, "_put", put)
    return line


def test_an_acknowledgement_of_other_bytes_keeps_the_copy(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = local_store.ids()
    line = answering(monkeypatch, iter([(200, {"sha256": "0" * 64}), (201, {}), (200, {})]))
    with pytest.raises(Refused, match="acknowledges other bytes, 3 times"):
        ship(local_store, id, line, remove=True)
    assert local_store.read(id).id == id


@pytest.mark.parametrize(("status", "tries"), [(401, 1), (409, 1), (422, 1), (400, 3), (507, 3)])
def test_only_temporary_failures_are_retried(
    local_store: Store, monkeypatch: pytest.MonkeyPatch, status: int, tries: int
) -> None:
    responses: Iterator[Response | OSError] = iter([(status, {"error": "why"})] * 9)
    line = answering(monkeypatch, responses)
    with pytest.raises(Refused, match=f"{status} why"):
        ship(local_store, local_store.ids()[0], line, remove=True)
    assert len(list(responses)) == 9 - tries
    assert len(local_store.ids()) == 1


def test_a_damaged_episode_is_not_sent(local_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (id,) = local_store.ids()
    (local_store.folder(id) / SAMPLES).write_bytes(b"x")
    with pytest.raises(Refused, match="damaged after it was published"):
        ship(local_store, id, answering(monkeypatch, iter([])), remove=True)


@pytest.mark.parametrize("status", [401, 404, 405, 503, 507])
def test_failures_of_every_episode_are_reported_once_for_the_receiver(
    local_store: Store, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    line = answering(monkeypatch, iter([(status, {"error": "why"})] * 3))
    with pytest.raises(
        ReceiverUnavailable, match=rf"^http://localhost: takes no episode \({status} why"
    ):
        ship(local_store, local_store.ids()[0], line, remove=True)
    assert len(local_store.ids()) == 1


def test_a_connection_failure_of_one_episode_does_not_stop_the_others(
    local_store: Store,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = answering(monkeypatch, iter([OSError("reset")] * 3))
    line.url = f"http://127.0.0.1:{server.server_address[1]}"
    with pytest.raises(Refused, match=r"was not taken \(OSError: reset, 3 times") as refused:
        ship(local_store, local_store.ids()[0], line, remove=True)
    assert not isinstance(refused.value, ReceiverUnavailable)


def test_only_what_the_store_holds_is_shipped(local_store: Store, tmp_path: Path) -> None:
    (id,) = local_store.ids()
    assert selected_ids(local_store, "") == selected_ids(local_store, id) == [id]
    with pytest.raises(Refused, match=f"nosuch: is not in the store; expected an id such as {id}"):
        selected_ids(local_store, "nosuch")
    with pytest.raises(Refused, match="holds no episode"):
        selected_ids(Store.create(tmp_path / "empty", schema.vm46()), "")


def test_over_tls_a_sender_refuses_an_untrusted_receiver(
    receiver: Receiver,
    store: Store,
    local_store: Store,
    tmp_path: Path,
) -> None:
    (id,) = local_store.ids()
    pair = self_signed(tmp_path / "own")
    other_certificate, _ = self_signed(tmp_path / "other")
    with Server(("127.0.0.1", 0), receiver, lambda line: None, pair) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{server.server_address[1]}"
        for authority in (None, other_certificate):
            line = Connection(url, TOKENS["alpha"], 1, authority=authority)
            with pytest.raises(ReceiverUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                ship(local_store, id, line, remove=True)
        assert store.ids() == [] and local_store.ids() == [id]
        with pytest.raises(Refused, match="takes no episode"):
            ship(
                local_store, id, Connection(url.replace("https", "http"), "t" * 40, 1), remove=True
            )
        # A sender that never finishes its handshake holds up no other.
        with socket.create_connection(server.server_address):
            line = Connection(url, TOKENS["alpha"], 1, authority=pair[0])
            ship(local_store, id, line, remove=True)
            line.close()
        server.shutdown()
    assert store.ids() == [id] and local_store.ids() == []
