"""Loops that numba compiles where `phasewatch[fast]` is installed, with the bits of NumPy.

A compiled loop is used once so much work has passed that compiling it pays, and only after it has
given the bits of the NumPy code on this machine. Without numba, or where a bit differs, NumPy
computes everything; results are the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

Loop = Callable[..., Any]


class Compiled:
    """A loop written as a plain function, and its compiled form where there is one.

    `pays_after` is the work that passes before it is compiled. `same` is given the compiled loop,
    and returns whether it gives the bits of the NumPy code. `parts` are functions that it calls.
    """

    def __init__(
        self,
        loop: Loop,
        pays_after: int,
        same: Callable[[Loop], bool],
        parts: Sequence[Loop] = (),
    ) -> None:
        self.loop, self._parts = loop, parts
        self._left = pays_after
        self._same = same
        self._ready: Loop | None = None
        self._tried = False

    def after(self, work: int) -> Loop | None:
        """Count work that is to be done, and return the compiled loop for it, or None."""
        if self._tried:
            return self._ready
        self._left -= work
        if self._left < 0:
            self._tried = True
            self._ready = self._compiled()
        return self._ready

    def _compiled(self) -> Loop | None:
        """Compile the loop; None where numba is missing, or the bits are others."""
        try:
            import numba
            from numba.extending import register_jitable
        except ImportError:
            return None
        for part in self._parts:
            register_jitable(part)
        try:
            found = numba.njit(cache=True, error_model="numpy")(self.loop)
        except RuntimeError:
            # No folder for compiled code can be written: this process compiles it for itself.
            found = numba.njit(error_model="numpy")(self.loop)
        return found if self._same(found) else None
