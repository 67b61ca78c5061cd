"""Flip single bits anywhere in a store: `python bench/bit_flips.py` flips 20,000.

An episode is validated with one bit flipped on disk, which is then restored. It must not be usable
with changed content; other white space between two JSON tokens changes no content.
"""

import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_episode


def run(opened: Store, out: Console, count: int) -> None:
    """Flip `count` bits in a copy of the store, each bit as likely as any other."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(opened.root, folder, dirs_exist_ok=True)
        found = flip(Store.open(Path(folder)), count)
    table = Table("one bit flipped", "times")
    for name, times in found.most_common():
        table.add_row(name, f"{times:,}")
    table.add_row("[bold]usable, but changed[/]", f"[bold]{found['usable, but changed']:,}[/]")
    out.print(table)


def flip(store: Store, count: int) -> Counter[str]:
    """Return how often each outcome occurred."""
    sound = {id: validate_episode(store, id) for id in store.ids()}
    paths = [path for id in sound for path in sorted(store.folder(id).iterdir())]
    ends = np.cumsum([path.stat().st_size for path in paths])
    generator, found = np.random.default_rng(0), Counter[str]()
    for place in generator.integers(0, 8 * int(ends[-1]), count):
        at = int(np.searchsorted(ends, place // 8, side="right"))
        path, byte = paths[at], int(place // 8 - (ends[at - 1] if at else 0))
        intact = path.read_bytes()
        path.write_bytes(
            intact[:byte] + bytes([intact[byte] ^ 1 << place % 8]) + intact[byte + 1 :]
        )
        result = validate_episode(store, path.parent.name)
        if result == sound[result.id]:
            found["the same result as before"] += 1
        elif result.usable:
            found["usable, but changed"] += 1
        else:
            found[f"{result.verdict}: {result.findings[0].code}"] += 1
        path.write_bytes(intact)
    return found


if __name__ == "__main__":
    corpus = Store.open(Path(__file__).parent.parent / "corpus")
    run(corpus, Console(highlight=False), int(*sys.argv[1:] or ["20000"]))
