"""A loop is compiled when that pays, and used only where its bits are those of NumPy."""

import sys

import pytest

from phasewatch.compiled import Compiled, Loop


def twice(value: float) -> float:
    return double(value)


def double(value: float) -> float:
    return 2 * value


def test_a_loop_is_compiled_after_so_much_work_and_once() -> None:
    pytest.importorskip("numba")
    checked: list[float] = []

    def same(loop: Loop) -> bool:
        checked.append(loop(3.0))
        return True

    compiled = Compiled(twice, 10, same, (double,))
    assert compiled.after(4) is None and compiled.after(6) is None
    assert not checked
    loop = compiled.after(1)
    assert loop is not None and loop is not twice and loop(4.0) == 8.0
    assert compiled.after(1) is loop and checked == [6.0]


def test_a_loop_of_other_bits_is_not_used() -> None:
    pytest.importorskip("numba")
    assert Compiled(twice, 0, lambda loop: False, (double,)).after(1) is None


def test_without_numba_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    compiled = Compiled(twice, 0, lambda loop: True, (double,))
    assert compiled.after(1) is None and compiled.after(1) is None
