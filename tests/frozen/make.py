"""Checkpoints and bundles of this release, to be read by every later one.

`python tests/frozen/make.py` writes `tests/frozen/<version>/`, once a release; it changes nothing
there. The models are small, three channels wide, and trained on made-up episodes.
"""

import sys
import tempfile
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

import numpy as np  # noqa: E402
from tests import toy  # noqa: E402

from phasewatch import __version__, schema  # noqa: E402
from phasewatch.artifacts import checkpoint  # noqa: E402
from phasewatch.artifacts.checkpoint import Checkpoint  # noqa: E402
from phasewatch.artifacts.export import export  # noqa: E402
from phasewatch.features.normalizer import Normalizer  # noqa: E402
from phasewatch.features.projection import Projection  # noqa: E402
from phasewatch.features.views import PREFERRED, ViewVersion  # noqa: E402
from phasewatch.models.base import Data, find  # noqa: E402
from phasewatch.splits import Split  # noqa: E402
from phasewatch.store.local import Store  # noqa: E402
from phasewatch.windowing import Windows, extract  # noqa: E402

CHANNELS = "proc.vcpu_run", "qmp.blk_wr_bytes", "netflow.pkts_out"
SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"filters": 4, "bottleneck": 4, "blocks": 1},
    "gbt": {},
    "gru": {"hidden": 6},
    "lstm": {"hidden": 6},
    "mlp": {"hidden": 8},
    "transformer": {"width": 8, "heads": 2, "layers": 1},
}
SPLIT = Split("held_out_host", "delta", ("alpha.dig.s1",), (), (), ("delta.dig.s1",))


def trained(
    name: str, own: schema.Schema, windows: Windows, version: ViewVersion | None = None
) -> Checkpoint:
    kind = find(name)
    normalizer = Normalizer.fit(kind.view, windows, version or PREFERRED[kind.view], own)
    z = normalizer.apply(windows.x, windows.opening, windows.past)
    model = kind(len(own.classes), 0, **SMALL[name])
    # Judged by labels that are beside the point, trees stop early and stay small.
    learned, judged = (Data(z, np.roll(windows.y, by), len(own.classes)) for by in (0, 9))
    model.fit(learned, judged)
    return Checkpoint(
        name=f"{name}-realistic",
        model_name=name,
        mode="realistic",
        schema=own,
        opening_s=toy.RECIPE.opening_s,
        normalizer=normalizer,
        projection=Projection.fit(z),
        model=model,
        recipe=asdict(toy.RECIPE),
        split=asdict(SPLIT),
        scores={},
    )


def write(
    out: Path, names: Collection[str] = tuple(SMALL), version: ViewVersion | None = None
) -> None:
    """Models and their bundles; without a version, of the views that new trainings take."""
    whole = schema.vm46()
    own = replace(whole, channels=tuple(one for one in whole.channels if one.name in CHANNELS))
    with tempfile.TemporaryDirectory() as folder:
        store: Store = toy.store(Path(folder) / "store")
        windows = extract(store, store.ids(), own, toy.RECIPE.opening_s)
        for name in names:
            model = trained(name, own, windows, version)
            path = checkpoint.save(model, toy.episode(), out)
            export(path, store, out)


if __name__ == "__main__":
    target = HERE / __version__
    if target.exists():
        raise SystemExit(f"{target} is there: what a release wrote is never changed")
    write(target)
