"""The events of a replay: which machine is watched, and what every window of it holds."""

from typing import ClassVar, Literal

from phasewatch.serve.events import Event, Nanoseconds, Record

State = Literal["awaiting", "playing", "paused", "ended"]


class SourceFacts(Record):
    """Whether a source spoke at all, at which rate, and how many rows."""

    source: str
    present: bool
    rate_hz: float | None
    rows: int


class Span(Record):
    """A phase and when it was, in seconds since the episode began."""

    label: str
    start_s: float
    end_s: float


class ModelFacts(Record):
    """One checkpoint: on the panel, or refused and why.

    `chosen` is the best of its mode on validation: its predictions are headlined. Without a report
    none is.
    """

    key: str
    model: str
    mode: str
    status: Literal["loaded", "refused"]
    reason: str | None
    schema_hash: str | None
    data_schema_hash: str
    temperature: float | None
    chosen: bool


class Transport(Record):
    """Where the clock stands. `revision` grows with every change."""

    state: State
    speed: float
    position_s: float
    loop_s: tuple[float, float] | None
    revision: int
    control: bool


class ChannelFacts(Record):
    """One channel of the stream, in the order of `z` and `present_ratio`."""

    name: str
    source: str
    unit: str
    deployed: bool
    meaning: str


class EpisodeLoaded(Event):
    """Which machine is watched, by which models, and where its clock stands."""

    kind = "episode"
    source = "replay"
    episode_id: str
    mode: Literal["replay", "live"]
    host: str
    profile: str
    sample: str
    campaign: str
    acceptance: Literal["accepted", "degraded", "rejected", "errored", "recording"]
    findings: list[str]
    start_wall_ns: Nanoseconds
    duration_s: float | None
    opening_s: float
    window_s: float
    stride_s: float
    n_windows: int | None
    labels: list[str]
    channels: list[ChannelFacts]
    sources: list[SourceFacts]
    phases: list[Span] | None
    split_recipe: str | None
    split_role: str | None
    models: list[ModelFacts]
    transport: Transport


class Call(Record):
    """What one model said of one window: its probabilities, and how long it took.

    They are calibrated where the `episode` event tells a temperature. `xy` is the window's place on
    the plane in which the model's training windows differ most, their mean at 0, 0.
    """

    p: list[float]
    label: str
    entropy_bits: float
    latency_s: float
    xy: tuple[float, float] | None


class Window(Event):
    """One judged window: truth when it is known, all calls, and how unusual each channel was."""

    kind = "window"
    source = "replay"
    keep: ClassVar[int] = 120
    episode_id: str
    index: int
    start_s: float
    end_s: float
    end_wall_ns: Nanoseconds
    truth: str | None
    models: dict[str, Call]
    z: list[float | None]
    present_ratio: list[float]
    missing: list[str]
    lag_s: float
    skipped_before: int
