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
from phasewatch.features.normalizer import Limits, Normalizer
from phasewatch.features.projection import Projection
from phasewatch.features.views import (
    OLDEST,
    VIEWS,
    Array,
    ViewVersion,
    count_columns,
    count_steps,
    fingerprint,
    pairs_of,
)
from phasewatch.io import atomic
from phasewatch.io.trust import parse_strict_json, refusal
from phasewatch.schema import Mode, Schema
from phasewatch.windowing import (
    PAST_BLOCKS,
    Windows,
    cut_windows,
    opening_level,
    past_at,
    window_at,
)

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


Inputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""One window `[C,T]`, its opening `[C]` and its past `[C,B]`."""


class Golden(BaseModel):
    """A window, its opening and its past, and the logits that the model must give for them.

    A model of version 3 of the views looks at no past, and `past` is empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    window: list[list[float | None]]
    opening: list[float | None]
    past: list[list[float | None]] = []
    logits: list[float]

    def arrays(self) -> Inputs:
        """Return window, opening and past as arrays; a past that is not stored is NaN."""
        x = _single(self.window)
        unknown = np.full((len(x), PAST_BLOCKS), np.nan, dtype=np.float32)
        return x, _single(self.opening), _single(self.past) if self.past else unknown


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
    later: ClassVar[dict[int, dict[str, object]]] = {}
    """Fields by the format that brought them, and their values for files of earlier ones."""
    format: int
    name: str = Field(pattern=f"^{NAME.pattern}$")
    model: str
    mode: Mode
    view: Literal["summary", "tensor"]
    view_version: ViewVersion
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

    @property
    def simulated(self) -> bool:
        """Whether the model was trained on simulated episodes."""
        return self.recipe.get("simulated") is True

    def computed(self) -> str:
        """Return the sha256 over all other fields."""
        return atomic.digest(self.model_dump(exclude={"digest": True, **self._absent()}))

    def sealed(self) -> bytes:
        """Return the bytes of the file, with `digest` computed."""
        complete = self.model_copy(update={"digest": self.computed()})
        return (json.dumps(complete.model_dump(exclude=self._absent()), indent=1) + "\n").encode()

    def _absent(self) -> dict[str, Any]:
        """Return what files of this format lack, as pydantic's `exclude` takes it."""
        later = self.fields_after(self.format)
        fields = type(self).model_fields.items()
        absent: dict[str, Any] = {
            name: True for name, field in fields if (field.serialization_alias or name) in later
        }
        if self.view_version == OLDEST:
            nested = {"probe": {"past"}, "golden": {"__all__": {"past"}}}
            absent = {**nested, **absent}
        return absent

    @classmethod
    def fields_after(cls, format: int) -> dict[str, object]:
        """Return the fields that came after a format, with their values for files of it."""
        newer = (fields for first, fields in cls.later.items() if first > format)
        return {name: value for fields in newer for name, value in fields.items()}


class Predictor(Protocol):
    """A model under a contract: a checkpoint or a bundle."""

    @property
    def schema(self) -> Schema:
        """The channels, grid and classes that the model was trained on."""

    @property
    def opening_s(self) -> float:
        """Seconds of benign activity that are observed before the first prediction."""

    @property
    def normalizer(self) -> Normalizer:
        """The levels and scales of training, and the version of the view."""

    def logits(
        self,
        x: NDArray[np.float32],
        opening: NDArray[np.float32] | None = None,
        past: NDArray[np.float32] | None = None,
    ) -> Array:
        """Return logits `[N,K]` of windows `x[N,C,T]`, their `opening[N,C]` and `past[N,C,B]`."""


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
    return np.asarray(model.logits(windows.x, windows.opening, windows.past).argmax(axis=1))


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
    first = kind.fields_after(found) if type(found) is int else {}
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
    if contract.fingerprints != fingerprints(stored, contract.view_version):
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
    return stored, _normalizer(contract, stored)


LIMITS = ("lowest_level", "highest_level", "low", "high")
"""Parts of a normalizer that version 4 of the views brought."""


def _normalizer(contract: Contract, stored: Schema) -> Normalizer:
    """Return the normalizer of a checked contract."""
    parts = {
        name: np.array(values, dtype=np.float64) for name, values in contract.normalizer.items()
    }
    version, view = contract.view_version, contract.view
    return Normalizer(
        view,
        parts["opening"],
        parts["mean"],
        parts["std"],
        version,
        pairs_of(view, version, stored),
        Limits(*(parts[name] for name in LIMITS)) if version > OLDEST else None,
    )


def normalizer_parts(normalizer: Normalizer) -> dict[str, list[float]]:
    """Return a normalizer in the form that a contract stores."""
    return {name: values.tolist() for name, values in normalizer.arrays().items()}


def input_shape(contract: Contract, stored: Schema) -> tuple[int, ...]:
    """Return the shape `(F,)` or `(F, T)` of a normalized window."""
    columns = count_columns(contract.view, contract.view_version, stored)
    steps = count_steps(contract.view, contract.view_version, stored)
    return (columns, steps) if steps else (columns,)


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
    columns, channels = input_shape(contract, stored)[0], len(stored.channels)
    sizes = {"opening": channels, "mean": columns, "std": columns}
    if contract.view_version > OLDEST:
        sizes |= dict(zip(LIMITS, (channels, channels, columns, columns), strict=True))
    if {name: len(values) for name, values in contract.normalizer.items()} != sizes:
        raise refusal(f"{path}: lens", "has other sizes", str(sizes), "semantics_scaler")
    largest = max(abs(one) for values in contract.normalizer.values() for one in values)
    if min(contract.normalizer["std"]) <= LEAST_SPREAD or largest > MOST_LEVEL:
        expected = f"scales above {LEAST_SPREAD:g}, and nothing beyond {MOST_LEVEL:g}"
        raise refusal(f"{path}: lens", "cannot scale", expected, "semantics_scaler")
    if contract.view_version > OLDEST:
        _refuse_limits(contract, path)
    shapes = {name: {len(rows), *map(len, rows)} for name, rows in contract.projection.items()}
    if contract.projection and shapes != {"centre": {1, columns}, "axes": {2, columns}}:
        expected = f"a centre and two axes of {columns} numbers"
        raise refusal(f"{path}: plane", "has other sizes", expected, "semantics_plane")


def _refuse_limits(contract: Contract, path: Path) -> None:
    """Raise Refused unless lower limits are below upper ones, and the mean between them."""
    lowest, highest, low, high = (contract.normalizer[name] for name in LIMITS)
    ordered = all(one <= other for one, other in zip(lowest, highest, strict=True))
    around = all(one <= 0 <= other for one, other in zip(low, high, strict=True))
    if not (ordered and around):
        expected = "low limits at most 0 and below the high ones"
        raise refusal(f"{path}: lens", "has limits out of order", expected, "semantics_scaler")


def _refuse_golden(contract: Contract, stored: Schema, path: Path) -> None:
    channels, steps, classes = len(stored.channels), stored.grid.steps, len(stored.classes)
    for one in (contract.probe, *contract.golden):
        shape = (len(one.window), {*map(len, one.window)}, len(one.opening), len(one.logits))
        before = (len(one.past), {*map(len, one.past)})
        past = (channels, {PAST_BLOCKS}) if contract.view_version > OLDEST else (0, set())
        if shape != (channels, {steps}, channels, classes) or before != past:
            expected = f"windows of {channels} channels, {steps} steps and {classes} logits"
            raise refusal(f"{path}: golden", "has other sizes", expected, "semantics_golden")
    there = {name for part in contract.probe.sources.values() for name in part.names}
    for channel, row in zip(stored.channels, contract.probe.window, strict=True):
        if channel.name not in there and any(value is not None for value in row):
            problem = f"has no samples of {channel.name}, and values of it in the window"
            raise refusal(
                f"{path}: probe", problem, "every sample of the window", "semantics_probe"
            )


def fingerprints(definition: Schema, version: ViewVersion) -> dict[str, str]:
    """Return the fingerprint of every view of a schema, in one version."""
    return {view: fingerprint(definition, view, version) for view in VIEWS}


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
    one = _golden(
        model,
        window_at(samples_of, wanted, episode.start_ns, end),
        opening_level(samples_of, wanted, episode.start_ns, model.opening_s),
        past_at(samples_of, wanted, episode.start_ns, end),
    )
    return Probe(
        **dict(one),
        origin_ns=episode.start_ns,
        end=end,
        sources=parts,
    )


def golden(model: Predictor, episode: Episode) -> list[Golden]:
    """Return windows spread over an episode, with the logits that the model gives them.

    The first window is repeated without an opening, without each source, and without any value,
    and the last without a past, so that weights that matter only there are checked as well.
    """
    windows = cut_windows(episode, model.schema, model.opening_s)
    rows = np.unique(np.linspace(0, len(windows) - 1, GOLDEN).astype(np.int64))[: len(windows)]
    inputs: list[Inputs] = [
        (windows.x[row], windows.opening[row], windows.past[row]) for row in rows
    ]
    for x, level, past in inputs[:1]:
        sources, nothing = model.schema.sources, np.full_like(level, np.nan)
        if model.normalizer.version > OLDEST:
            inputs.append((*inputs[-1][:2], np.full_like(past, np.nan)))
        inputs.append((x, nothing, past))
        for lost in (*([source] for source in sources), sources):
            gone = np.array([channel.source in lost for channel in model.schema.channels])
            rare, before = (np.where(gone[:, None], np.float32(np.nan), one) for one in (x, past))
            inputs.append((rare, np.where(gone, nothing, level), before))
    return [_golden(model, *one) for one in inputs]


def _golden(
    model: Predictor,
    x: NDArray[np.float32],
    level: NDArray[np.float32],
    past: NDArray[np.float32],
) -> Golden:
    """Return one window with the logits that the model gives it."""
    return Golden(
        window=_nullable(x),
        opening=_nullable(level[None])[0],
        past=_nullable(past) if model.normalizer.version > OLDEST else [],
        logits=model.logits(x[None], level[None], past[None])[0].tolist(),
    )


def with_logits_of(model: Predictor, stored: Sample) -> Sample:
    """Return a stored window with the logits that another model gives it."""
    x, level, past = stored.arrays()
    logits = model.logits(x[None], level[None], past[None])[0].tolist()
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
    past = past_at(sources, definition, stored.origin_ns, stored.end)
    same = _same(window, stored.window).all(axis=1) & _same(level, stored.opening)
    if stored.past:
        same &= _same(past, stored.past).all(axis=1)
    if not same.all():
        moved = [definition.names[row] for row in np.flatnonzero(~same)]
        raise Drift(path, [f"channel {name} is not computed as in training" for name in moved])
    golden_windows: list[Expected] = [(*one.arrays(), one.logits) for one in contract.golden]
    groups = (
        [[one] for one in golden_windows] if alone else [golden_windows] if golden_windows else []
    )
    for batch in ([(window, level, past, stored.logits)], *groups):
        _refuse_other_logits(model, path, batch, within)


Expected = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], list[float]]


def _refuse_other_logits(
    model: Predictor, path: Path, batch: list[Expected], within: float
) -> None:
    """Raise Drift unless the windows, in one batch, get the stored logits."""
    windows, openings, pasts, logits = (np.array(part) for part in zip(*batch, strict=True))
    found = model.logits(windows, openings, pasts)
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
