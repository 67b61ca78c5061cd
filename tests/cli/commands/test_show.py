"""`show` refuses what it cannot show before anything listens."""

from pathlib import Path

import pytest
from tests.cli.invoke import Run, refused

from phasewatch.store.local import Store


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("moon",), "expected one of cgroup, host, libvirt, qemu"),
        (("qemu", "nosuchbox", "--run", "none"), "none"),
    ],
)
def test_a_slip_is_one_line(
    run: Run, toy_store: Store, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    options = ("--store", toy_store.root, *(() if "--run" in words else ("--run", tmp_path)))
    assert message in refused(run("show", *words, *options))
