"""A locked folder is refused to others, and free again once the lock is closed."""

from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.io.lock import locked

WORDS = ("is in use", "one at a time", "Wait.")


def test_a_lock_is_held_until_it_is_closed(tmp_path: Path) -> None:
    lock = locked(tmp_path / "lock", tmp_path, WORDS)
    with pytest.raises(Refused, match=f"{tmp_path}: is in use; expected one at a time. Wait."):
        locked(tmp_path / "lock", tmp_path, WORDS)
    lock.close()
    locked(tmp_path / "lock", tmp_path, WORDS).close()
