"""Progress of work that takes seconds, from where it is done to where it is shown.

What loops over the parts of long work takes them from `each`; a command that shows progress
listens with `shown`. Nothing is passed between them, and nothing happens where nobody listens.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[str, int, int], object]
"""Takes the name of a stage, how many of its parts are done, and how many there are."""

Part = TypeVar("Part")
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def shown(listener: Listener) -> Iterator[None]:
    """Call `listener` for all work of this block, when a stage begins and after each part."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def each(stage: str, parts: Collection[Part]) -> Iterator[Part]:
    """Yield the parts of a stage, and say how many are done when the next one is asked for."""
    listener = _listener.get()
    if listener is None:
        yield from parts
        return
    listener(stage, 0, len(parts))
    for done, part in enumerate(parts, 1):
        yield part
        listener(stage, done, len(parts))
