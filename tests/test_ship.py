"""The copy stays until the acknowledgement is of the same bytes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import toy
from phasewatch import schema
from phasewatch.refusal import Refused
from phasewatch.ship import Line, ship, token
from phasewatch.store import MANIFEST, SAMPLES, Store
from test_receive import receiver, server, store  # noqa: F401
from uploads import TOKENS

Answer = tuple[int, dict[str, object]]


@pytest.fixture
def here(tmp_path: Path) -> Store:
    made = Store.create(tmp_path / "here", schema.vm46())
    made.publish(toy.episode("alpha"))
    return made


def answered(monkeypatch: pytest.MonkeyPatch, answers: Iterator[Answer | OSError]) -> Line:
    """A line that answers so."""
    line = Line("http://localhost", "t", 3, lambda seconds: None)

    def put(id: str, manifest: bytes, samples: bytes) -> Answer:
        said = next(answers)
        if isinstance(said, OSError):
            raise said
        return said

    monkeypatch.setattr(line, "_put", put)
    return line


def test_an_acknowledgement_of_other_bytes_keeps_the_copy(
    here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = here.ids()
    line = answered(monkeypatch, iter([(200, {"sha256": "0" * 64}), (201, {}), (200, {})]))
    with pytest.raises(Refused, match="acknowledges other bytes, 3 times"):
        ship(here, id, line, remove=True)
    assert here.read(id).id == id


@pytest.mark.parametrize(("status", "tries"), [(401, 1), (409, 1), (422, 1), (400, 3), (507, 3)])
def test_only_what_may_change_is_tried_again(
    here: Store, monkeypatch: pytest.MonkeyPatch, status: int, tries: int
) -> None:
    answers: Iterator[Answer | OSError] = iter([(status, {"error": "why"})] * 9)
    line = answered(monkeypatch, answers)
    with pytest.raises(Refused, match=f"{status} why"):
        ship(here, here.ids()[0], line, remove=True)
    assert len(list(answers)) == 9 - tries
    assert len(here.ids()) == 1


def test_a_damaged_episode_is_not_sent(here: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (id,) = here.ids()
    (here.folder(id) / SAMPLES).write_bytes(b"x")
    with pytest.raises(Refused, match="damaged after it was published"):
        ship(here, id, answered(monkeypatch, iter([])), remove=True)


@pytest.mark.parametrize(
    "url", ["", "host", "ftp://localhost", "http://example.org", "http://10.0.0.1:80", "http://"]
)
def test_a_token_is_not_shown_to_others(url: str) -> None:
    with pytest.raises(Refused, match="is no address to ship to"):
        Line(url, "t")


def test_a_token_file_is_one_line(tmp_path: Path) -> None:
    for text in ("", "two words", "two\nlines"):
        (tmp_path / "t").write_text(text)
        with pytest.raises(Refused, match="holds no token"):
            token(tmp_path / "t")
    with pytest.raises(Refused, match="No such file"):
        token(tmp_path / "absent")


def test_from_store_to_store_by_command(tmp_path: Path, here: Store) -> None:
    """Both commands as a user starts them; a stranger's episode stays where it is."""
    here.publish(toy.episode("beta"))
    first, second = here.ids()
    manifest = (here.folder(first) / MANIFEST).read_bytes()
    (tmp_path / "token").write_text(TOKENS["alpha"] + "\n")
    (tmp_path / "tokens.toml").write_text(f'alpha = "{TOKENS["alpha"]}"\n')
    (tmp_path / "tokens.toml").chmod(0o600)
    call = [sys.executable, "-c", "from phasewatch.cli import main; main()"]
    words = ["receive", "--store", "there", "--tokens", "tokens.toml", "--port", "0"]
    with subprocess.Popen([*call, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as far:
        assert far.stdout
        url = far.stdout.readline().split()[2]
        words = ["ship", "here", url, "--token", "token", "--remove"]
        done = subprocess.run([*call, *words], cwd=tmp_path, capture_output=True, text=True)
        far.terminate()
    assert done.returncode == 3
    assert "1 acknowledged · 1 not taken" in done.stdout
    assert f"{second}: was not taken (403 the episode is of host 'beta'" in done.stderr
    assert here.ids() == [second]
    there = Store.open(tmp_path / "there")
    assert there.ids() == [first]
    assert (there.folder(first) / MANIFEST).read_bytes() == manifest
