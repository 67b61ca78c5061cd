"""Single bits flipped anywhere in a store: `python bench/flips.py` 20,000 times, `make bench` less.

An episode is judged with one bit wrong, on disk, and put right again. It must not be accepted, nor
degraded, as another episode than it was; a blank that stays a blank between two words of JSON
changes nothing.
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
    """`count` flips over a copy of the store, each byte as likely as any other."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(opened.root, folder, dirs_exist_ok=True)
        found = flip(Store.open(Path(folder)), count)
    table = Table("one bit flipped", "times")
    for name, times in found.most_common():
        table.add_row(name, f"{times:,}")
    table.add_row("[bold]usable, but changed[/]", f"[bold]{found['usable, but changed']:,}[/]")
    out.print(table)


def flip(store: Store, count: int) -> Counter[str]:
    """What became of each flipped bit."""
    sound = {id: validate_episode(store, id) for id in store.ids()}
    paths = [path for id in sound for path in sorted(store.folder(id).iterdir())]
    ends = np.cumsum([path.stat().st_size for path in paths])
    generator, found = np.random.default_rng(0), Counter[str]()
    for place in generator.integers(0, 8 * int(ends[-1]), count):
        at = int(np.searchsorted(ends, place // 8, side="right"))
        path, byte = paths[at], int(place // 8 - (ends[at - 1] if at else 0))
        whole = path.read_bytes()
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1 << place % 8]) + whole[byte + 1 :])
        own = validate_episode(store, path.parent.name)
        if own == sound[own.id]:
            found["nothing was said that had not been said"] += 1
        elif own.usable:
            found["usable, but changed"] += 1
        else:
            found[f"{own.verdict}: {own.findings[0].code}"] += 1
        path.write_bytes(whole)
    return found


if __name__ == "__main__":
    corpus = Store.open(Path(__file__).parent.parent / "corpus")
    run(corpus, Console(highlight=False), int(*sys.argv[1:] or ["20000"]))
