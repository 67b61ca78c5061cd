"""The contract of a trained model: what its input means, and predictions that it must repeat.

A checkpoint and a bundle both carry a contract as JSON. It has the schema by value, the normalizer
and projection, and two kinds of stored predictions. The *probe* is one window with the raw samples
that it was cut from and the logits that followed: it shows that samples still become the same
window. The *golden windows* are windows with their logits: they show that the model still gives the
same logits, with sources missing as well. Loading computes both again and refuses what differs.

The file is not trusted, and nothing here needs more than numpy.
"""

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from phasewatch import schema
from phasewatch.episode import Episode, Samples
from phasewatch.errors import Refused
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.projection import Projection
from phasewatch.features.views import STATISTICS, VIEWS, Array, fingerprint
from phasewatch.io import atomic
from phasewatch.io.trust import parse_strict_json, refusal
from phasewatch.schema import Mode, Schema
from phasewatch.windowing import Windows, cut_windows, opening_level, window_at

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
TOLERANCE = 1e-5
"""Largest difference of logits that another machine's rounding may make."""

MOST_STEPS, MOST_OPENING_S = 1_000_000, 86_400.0
"""Longest window or probe in steps, and longest opening in seconds, which bound the memory."""

LEAST_SPREAD, MOST_LEVEL = 1e-9, 1e3
"""Limits of a normalizer, which takes logarithms of float32: least scale, largest number."""

GOLDEN = 8
"""Number of windows that are stored with their logits."""


class Drift(Refused):
    """The meaning of the data differs from the one in training; `lines` lists the differences."""

    def __init__(self, where: object, lines: list[str], code: str = "drift") -> None:
        self.lines = lines
        super().__init__(
            where,
            "; ".join(lines),
            "the definitions it was trained on",
            "Retrain it, or give it data recorded as then.",
            code=code,
        )


class Part(BaseModel):
    """The stored samples of one source."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    names: list[str]
    rate_hz: float
    t_wall_ns: list[int]
    t_mono_ns: list[int]
    values: list[list[float | None]]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        rows = {len(self.t_wall_ns), len(self.t_mono_ns), len(self.values)}
        if len(rows) > 1 or {*map(len, self.values)} - {len(self.names)}:
            raise ValueError("every sample needs two times and a value for every name")
        if self.t_wall_ns != sorted(self.t_wall_ns):
            raise ValueError("samples run back in time")
        return self

    @classmethod
    def of(cls, samples: Samples, rows: NDArray[np.bool_]) -> "Part":
        """Return the chosen rows of a source's samples."""
        return cls(
            names=list(samples.names),
            rate_hz=samples.rate_hz,
            t_wall_ns=samples.t_wall_ns[rows].tolist(),
            t_mono_ns=samples.t_mono_ns[rows].tolist(),
            values=_nullable(samples.values[rows]),
        )

    def samples(self) -> Samples:
        """Return the stored samples as arrays."""
        return Samples(
            tuple(self.names),
            np.array(self.t_wall_ns, dtype=np.int64),
            np.array(self.t_mono_ns, dtype=np.int64),
            np.array(self.values, dtype=np.float64).reshape(-1, len(self.names)),
            self.rate_hz,
        )


class Golden(BaseModel):
    """A window, its opening, and the logits that the model must give for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    window: list[list[float | None]]
    opening: list[float | None]
    logits: list[float]


class Probe(Golden):
    """A golden window with the raw samples that it was cut from."""

    origin_ns: int
    end: int = Field(ge=0, le=MOST_STEPS)
    sources: dict[str, Part]


class Contract(BaseModel):
    """The fields that checkpoints and bundles share. `digest` covers all other fields.

    In files the normalizer is called `lens` and the projection `plane`, as in the first release.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True
    )
    kind: ClassVar[str] = "contract"
    formats: ClassVar[tuple[int, ...]] = ()
    """The versions of the format that this release reads, the newest last."""
    later: ClassVar[dict[str, object]] = {}
    """Fields that the first format did not have, and their values for files of that format."""
    format: int
    name: str = Field(pattern=f"^{NAME.pattern}$")
    model: str
    mode: Mode
    view: Literal["summary", "tensor"]
    data: dict[str, Any]
    fingerprints: dict[str, str]
    opening_s: float = Field(ge=0, le=MOST_OPENING_S)
    normalizer: dict[str, list[float]] = Field(validation_alias="lens", serialization_alias="lens")
    projection: dict[str, list[list[float]]] = Field(
        validation_alias="plane", serialization_alias="plane"
    )
    config: dict[str, Any]
    recipe: dict[str, Any]
    split: dict[str, Any]
    scores: dict[str, float]
    versions: dict[str, str]
    threads: int
    probe: Probe
    golden: list[Golden]
    digest: str

    def computed(self) -> str:
        """Return the sha256 over all other fields."""
        rest = self.model_dump(exclude={"digest", *self._absent()})
        return atomic.digest(rest)

    def sealed(self) -> bytes:
        """Return the bytes of the file, with `digest` computed."""
        complete = self.model_copy(update={"digest": self.computed()})
        return (json.dumps(complete.model_dump(exclude=self._absent()), indent=1) + "\n").encode()

    def _absent(self) -> set[str]:
        if self.format != self.formats[0]:
            return set()
        fields = type(self).model_fields.items()
        return {name for name, field in fields if (field.serialization_alias or name) in self.later}


class Predictor(Protocol):
    """A model under a contract: a checkpoint or a bundle."""

    @property
    def schema(self) -> Schema:
        """The channels, grid and classes that the model was trained on."""

    @property
    def opening_s(self) -> float:
        """Seconds of benign activity that are observed before the first prediction."""

    def logits(self, x: NDArray[np.float32], opening: NDArray[np.float32] | None = None) -> Array:
        """Return logits `[N,K]` of windows `x[N,C,T]` and their `opening[N,C]`."""


def predict(model: Predictor, windows: Windows) -> NDArray[np.int64]:
    """Return the most likely class of each window, `[N]`, as a place in the schema's `classes`.

    Raises Refused for windows that were cut under another schema's channels or grid.
    """
    wanted = (len(model.schema.channels), model.schema.grid.steps)
    found = windows.x.shape[1:]
    if found != wanted:
        raise Refused(
            "windows",
            f"have {found[0]} channels and {found[1]} steps",
            f"{wanted[0]} channels and {wanted[1]} steps, as the model was trained on",
            "Cut them in the mode of the model, and under its schema.",
            code="windows_shape",
        )
    return np.asarray(model.logits(windows.x, windows.opening).argmax(axis=1))


ContractKind = TypeVar("ContractKind", bound=Contract)
Sample = TypeVar("Sample", bound=Golden)


def parse(kind: type[ContractKind], data: bytes, path: Path) -> ContractKind:
    """Parse the bytes of a contract, and check its digest. Raises Refused."""
    value = parse_strict_json(data, path)
    found = value.get("format") if isinstance(value, dict) else None
    if type(found) is int and found not in kind.formats:
        old = found < min(kind.formats)
        raise Refused(
            f"{path}: format",
            f"is {found}",
            f"one of {', '.join(map(str, kind.formats))}",
            "Make it again with this release." if old else "Use a newer release of phasewatch.",
            code="version_old" if old else "version_new",
        )
    first = kind.later if found == kind.formats[0] else {}
    double = sorted(first.keys() & value.keys()) if isinstance(value, dict) else []
    if double:
        expected = f"format {max(kind.formats)} of it"
        raise refusal(
            f"{path}: {double[0]}", f"is not of format {found}", expected, "header_schema"
        )
    completed = json.dumps({**first, **value}) if first and isinstance(value, dict) else data
    try:
        contract = kind.model_validate_json(completed, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(map(str, wrong["loc"])) or "file"
        expected = f"a {kind.kind} of format {max(kind.formats)}"
        raise refusal(f"{path}: {field}", wrong["msg"], expected, "header_schema") from error
    if contract.digest != contract.computed():
        raise refusal(
            f"{path}: digest",
            "the header was changed after it was written",
            f"digest {contract.computed()[:12]}…",
            "header_digest",
        )
    return contract


def path_of(folder: Path, name: str, ending: str) -> Path:
    """Return the path of a contract. Raises Refused for a name that could leave the folder."""
    if not NAME.fullmatch(name):
        raise Refused(
            f"name {name!r}",
            "is not usable",
            "lower-case letters, digits, '.', '_' and '-', at most 64",
            "Choose another name.",
            code="path_name",
        )
    return folder / f"{name}{ending}"


# ---------------------------------------------------------------- schema and normalizer


def meaning(contract: Contract, path: Path) -> tuple[Schema, Normalizer]:
    """Return the schema and the normalizer of a contract. Raises Refused, or Drift."""
    classes = contract.data.get("classes")
    if not isinstance(classes, list) or not 2 <= len(classes) == len({*map(str, classes)}):
        expected = "two phases or more, each once"
        raise refusal(f"{path}: data.classes", "are no classes", expected, "semantics_classes")
    try:
        stored = schema.parse(contract.data, f"{path}: data")
    except Refused as refused:
        expected = refused.expected
        raise refusal(refused.where, refused.problem, expected, "semantics_schema") from refused
    if stored.for_mode(contract.mode) != stored:
        hidden = ", ".join(one.name for one in stored.channels if not one.deployed)
        problem = f"has {hidden}, which a {contract.mode} model does not see"
        raise refusal(f"{path}: data.channels", problem, "deployed channels", "semantics_mask")
    if contract.fingerprints != fingerprints(stored):
        now = f"this release extracts with version {schema.EXTRACTION}"
        raise Drift(
            path, [f"its fingerprints are not those of its schema: {now}"], "contract_mismatch"
        )
    longest = (
        max(stored.grid.window_s, stored.grid.stride_s, stored.grid.hold_s) / stored.grid.step_s
    )
    if not longest <= MOST_STEPS or stored.grid.step_s < 1e-6:
        expected = f"at most {MOST_STEPS:,} steps of a microsecond or more"
        raise refusal(f"{path}: data.grid", "is too large", expected, "semantics_grid")
    _refuse_normalizer(contract, stored, path)
    _refuse_golden(contract, stored, path)
    parts = {
        name: np.array(values, dtype=np.float64) for name, values in contract.normalizer.items()
    }
    return stored, Normalizer(contract.view, parts["opening"], parts["mean"], parts["std"])


def flattened(projection: Projection | None) -> dict[str, list[list[float]]]:
    """Return a projection in the form that a contract stores."""
    if projection is None:
        return {}
    return {"centre": [projection.centre.tolist()], "axes": projection.axes.tolist()}


def projection(contract: Contract) -> Projection | None:
    """Return the projection of a checked contract; None where its format had none."""
    if not contract.projection:
        return None
    return Projection(
        np.array(contract.projection["centre"][0]), np.array(contract.projection["axes"])
    )


def _refuse_normalizer(contract: Contract, stored: Schema, path: Path) -> None:
    columns = 2 * len(stored.channels) * (len(STATISTICS) if contract.view == "summary" else 1)
    sizes = {"opening": len(stored.channels), "mean": columns, "std": columns}
    if {name: len(values) for name, values in contract.normalizer.items()} != sizes:
        raise refusal(f"{path}: lens", "has other sizes", str(sizes), "semantics_scaler")
    largest = max(abs(one) for values in contract.normalizer.values() for one in values)
    if min(contract.normalizer["std"]) <= LEAST_SPREAD or largest > MOST_LEVEL:
        expected = f"scales above {LEAST_SPREAD:g}, and nothing beyond {MOST_LEVEL:g}"
        raise refusal(f"{path}: lens", "cannot scale", expected, "semantics_scaler")
    shapes = {name: {len(rows), *map(len, rows)} for name, rows in contract.projection.items()}
    if contract.projection and shapes != {"centre": {1, columns}, "axes": {2, columns}}:
        expected = f"a centre and two axes of {columns} numbers"
        raise refusal(f"{path}: plane", "has other sizes", expected, "semantics_plane")


def _refuse_golden(contract: Contract, stored: Schema, path: Path) -> None:
    channels, steps, classes = len(stored.channels), stored.grid.steps, len(stored.classes)
    for one in (contract.probe, *contract.golden):
        rows = {len(one.window), *map(len, one.window)}
        found = (rows, len(one.opening), len(one.logits))
        if found != ({channels, steps}, channels, classes):
            expected = f"windows of {channels} channels, {steps} steps and {classes} logits"
            raise refusal(f"{path}: golden", "has other sizes", expected, "semantics_golden")
    there = {name for part in contract.probe.sources.values() for name in part.names}
    for channel, row in zip(stored.channels, contract.probe.window, strict=True):
        if channel.name not in there and any(value is not None for value in row):
            problem = f"has no samples of {channel.name}, and values of it in the window"
            raise refusal(
                f"{path}: probe", problem, "every sample of the window", "semantics_probe"
            )


def fingerprints(definition: Schema) -> dict[str, str]:
    """Return the fingerprint of every view of a schema."""
    return {view: fingerprint(definition, view) for view in VIEWS}


def probe(model: Predictor, episode: Episode) -> Probe:
    """Return the first window of `episode` after its opening, with the samples it depends on."""
    wanted = model.schema
    end = wanted.grid.steps + round(model.opening_s / wanted.grid.step_s)
    until = episode.start_ns + end * wanted.grid.step_ns
    since = episode.start_ns - 2 * (wanted.grid.hold_ns + wanted.grid.step_ns)
    parts = {}
    for source in wanted.sources:
        if source in episode.sources:
            samples = episode.sources[source]
            near = (samples.t_wall_ns > since) & (samples.t_wall_ns <= until)
            parts[source] = Part.of(samples, near)
    samples_of = {source: part.samples() for source, part in parts.items()}
    window = window_at(samples_of, wanted, episode.start_ns, end)
    level = opening_level(samples_of, wanted, episode.start_ns, model.opening_s)
    logits = model.logits(window[None], level[None])[0].tolist()
    return Probe(
        window=_nullable(window),
        opening=_nullable(level[None])[0],
        logits=logits,
        origin_ns=episode.start_ns,
        end=end,
        sources=parts,
    )


def golden(model: Predictor, episode: Episode) -> list[Golden]:
    """Return windows spread over an episode, with the logits that the model gives them.

    The first window is repeated without an opening, without each source, and without any value, so
    that weights that matter only there are checked as well.
    """
    windows = cut_windows(episode, model.schema, model.opening_s)
    rows = np.unique(np.linspace(0, len(windows) - 1, GOLDEN).astype(np.int64))[: len(windows)]
    pairs = [(windows.x[row], windows.opening[row]) for row in rows]
    for x, level in pairs[:1]:
        sources, nothing = model.schema.sources, np.full_like(level, np.nan)
        pairs.append((x, nothing))
        for lost in (*([source] for source in sources), sources):
            gone = np.array([channel.source in lost for channel in model.schema.channels])
            rare = np.where(gone[:, None], np.float32(np.nan), x)
            pairs.append((rare, np.where(gone, nothing, level)))
    return [
        Golden(
            window=_nullable(x),
            opening=_nullable(level[None])[0],
            logits=model.logits(x[None], level[None])[0].tolist(),
        )
        for x, level in pairs
    ]


def with_logits_of(model: Predictor, stored: Sample) -> Sample:
    """Return a stored window with the logits that another model gives it."""
    x, before = _single(stored.window), _single(stored.opening)
    logits = model.logits(x[None], before[None])[0].tolist()
    return stored.model_copy(update={"logits": logits})


@np.errstate(over="ignore", invalid="ignore")
def replay(
    model: Predictor, contract: Contract, path: Path, within: float = TOLERANCE, alone: bool = False
) -> None:
    """Raise Drift when stored samples no longer give their window, or windows their logits.

    Golden windows are predicted in one batch, or each of them `alone`.
    """
    definition, stored = model.schema, contract.probe
    sources = {source: part.samples() for source, part in stored.sources.items()}
    window = window_at(sources, definition, stored.origin_ns, stored.end)
    level = opening_level(sources, definition, stored.origin_ns, model.opening_s)
    same = _same(window, stored.window).all(axis=1) & _same(level, stored.opening)
    if not same.all():
        moved = [definition.names[row] for row in np.flatnonzero(~same)]
        raise Drift(path, [f"channel {name} is not computed as in training" for name in moved])
    golden_windows = [
        (_single(one.window), _single(one.opening), one.logits) for one in contract.golden
    ]
    groups = (
        [[one] for one in golden_windows] if alone else [golden_windows] if golden_windows else []
    )
    for batch in ([(window, level, stored.logits)], *groups):
        _refuse_other_logits(model, path, batch, within)


Expected = tuple[NDArray[np.float32], NDArray[np.float32], list[float]]


def _refuse_other_logits(
    model: Predictor, path: Path, batch: list[Expected], within: float
) -> None:
    """Raise Drift unless the windows, in one batch, get the stored logits."""
    windows, openings, logits = (np.array(part) for part in zip(*batch, strict=True))
    found = model.logits(windows, openings)
    off = np.abs(found - logits) if found.shape == logits.shape else np.array(np.inf)
    if not (off <= within).all():
        problem = f"logits of golden windows are {off.max():.3g} off"
        raise Drift(path, [problem], "golden_mismatch")


def _same(now: NDArray[np.float32], stored: object) -> NDArray[np.bool_]:
    then = _single(stored)
    return np.isclose(now, then, rtol=1e-6, atol=0.0, equal_nan=True)


def _single(stored: object) -> NDArray[np.float32]:
    return np.array(stored, dtype=np.float64).astype(np.float32)


def _nullable(values: NDArray[Any]) -> list[list[float | None]]:
    """Return rows with None in place of numbers that are not finite: JSON has no NaN."""
    return [[float(v) if np.isfinite(v) else None for v in row] for row in values]
