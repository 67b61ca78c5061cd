"""A store, its receiver, and a server of that receiver."""

from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest
from tests.uploads import HOSTS, LIMITS, receiving

from phasewatch import schema
from phasewatch.store.local import Store
from phasewatch.store.receiver import Receiver
from phasewatch.store.server import Server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", schema.vm46())


@pytest.fixture
def receiver(store: Store) -> Iterator[Receiver]:
    with Receiver(store, HOSTS, LIMITS) as opened:
        yield opened


@pytest.fixture
def log() -> Queue[str]:
    """The lines of the server's log."""
    return Queue()


@pytest.fixture
def server(receiver: Receiver, log: Queue[str]) -> Iterator[Server]:
    with receiving(receiver, log.put) as running:
        yield running
