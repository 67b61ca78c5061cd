"""A plan of recordings, and the run that records it with several machines side by side.

A plan is a TOML file of campaigns, of blocks (one sample of a profile, on some hosts in some
campaigns) and of rotations (many samples of a profile, assigned to hosts and campaigns in turn).
Its takes are recorded in rounds. A round holds its share of every rotation, one campaign after the
other and the episodes of a campaign in mixed order, so each round adds a small, complete corpus.
Episodes already in the store are skipped, so a run that was ended continues where it was. One
failed episode never stops the others.
"""

import collections
import contextlib
import hashlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, TypeVar

from pydantic import Field, model_validator
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from phasewatch.errors import Refused
from phasewatch.io import fields
from phasewatch.lab.campaign import Campaign
from phasewatch.lab.fault import find
from phasewatch.lab.hosts import Host, hosts
from phasewatch.lab.image import image, scratch
from phasewatch.lab.profile import Profile, catalogue, schedule
from phasewatch.lab.recording import Recording, Take
from phasewatch.store.local import Store

STAGGER_S = 8.0
"""Seconds between two starts: a boot occupies one core and must not disturb the last one's."""

TRIES = 2
POLL_S = 0.2
SHARE = 0.8
"""Default share of the host's processors that the recordings under way may need together."""

OVERHEAD_S = 8.0
"""Seconds of a recording beside its length: restoring, filling the disk, writing the episode."""

PATIENCE = 12
"""How many smaller recordings may start before one that does not fit yet."""

Named = TypeVar("Named")
Lengths = Annotated[
    tuple[float, float], Field(strict=False, description="shortest and longest, in seconds")
]


@dataclass(frozen=True)
class Plan:
    """The takes to be recorded, in order."""

    takes: fields.Tuple[Take]


@dataclass
class Outcome:
    """What a run did: ids recorded, ids skipped since the store had them, reasons by failed id."""

    recorded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class Block(fields.Table):
    """One sample of a profile, by its number in the file, on the hosts that each campaign lists."""

    profile: str
    sample: int
    seed: int
    hosts: Mapping[str, Annotated[fields.Tuple[str], Field(min_length=1)]]
    fault: str = ""


class Rotation(fields.Table):
    """All samples of a profile in turn: `each` recordings for every host in every campaign.

    A fraction of `fault_percent` gets one of `faults`. `seconds` are the shortest and the longest
    recording; `drawn` leaves the listed samples out.
    """

    profile: str
    each: Annotated[int, Field(ge=1, le=100)]
    seconds: Lengths
    seed: int = 1
    drawn: bool = False
    faults: fields.Tuple[str] = ()
    fault_percent: Annotated[float, Field(ge=0, le=100)] = 0.0


class CampaignBlock(fields.Table):
    """A campaign in the file of a plan; see `Campaign`."""

    name: str
    kernel: str = ""
    background: fields.Tuple[str] = ()
    jitter: Annotated[float, Field(ge=0, le=45)] = 0.0


class File(fields.Table):
    """The contents of a plan's file; `seconds` are the shortest and the longest block."""

    seconds: Lengths = (70.0, 94.0)
    rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    campaign: Annotated[fields.Tuple[CampaignBlock], Field(min_length=1)]
    block: fields.Tuple[Block] = ()
    rotation: fields.Tuple[Rotation] = ()

    @model_validator(mode="after")
    def _something(self) -> "File":
        if not self.block and not self.rotation:
            raise ValueError("has neither a [[block]] nor a [[rotation]]")
        return self


def read(path: Path) -> Plan:
    """Return the plan in a file. Raises Refused for an unknown name or a take that is too short."""
    file = fields.read(path, File, "a plan like plans/corpus.toml")
    try:
        campaigns = {block.name: Campaign(**block.model_dump()) for block in file.campaign}
        reader = _Reader(campaigns, catalogue(), hosts())
        takes = [
            replace(take, seconds=_length(take, *file.seconds))
            for block in file.block
            for take in reader.block(block)
        ]
        takes += [take for rotation in file.rotation for take in reader.rotation(rotation)]
        for take in takes:
            schedule(take.profile, take.sample, take.host, take.seed, take.seconds)
    except ValueError as error:
        raise Refused(path, str(error), "a plan like plans/corpus.toml", "Correct it.") from error
    names = list(campaigns)
    takes.sort(
        key=lambda take: (_round(take, file.rounds), names.index(take.campaign.name), _mixed(take))
    )
    double = [id for id, n in collections.Counter(take.id for take in takes).items() if n > 1]
    if double:
        raise Refused(path, f"{double[0]} is planned twice", "other seeds", "Correct it.")
    return Plan(tuple(takes))


def _mixed(take: Take) -> bytes:
    """Return a sort key for an order that is reproducible and independent of host and profile."""
    return hashlib.sha256(take.id.encode()).digest()


def _round(take: Take, rounds: int) -> int:
    """Return the round of a take, from 0, drawn from its id."""
    return int.from_bytes(hashlib.sha256(f"round {take.id}".encode()).digest()[:4], "big") % rounds


def _length(take: Take, low: float, high: float) -> float:
    """Return the length of an episode in seconds, an integer drawn from its id."""
    return float(random.Random(f"seconds {take.id}").randint(round(low), round(high)))


def _skewed(take: Take, low: float, high: float) -> float:
    """Return a length in seconds, most often near `low`; enough for three calls of the sample."""
    period = max(
        line.setting("period_s", 0) if line.phase == "command_and_control" else 0
        for line in take.sample.lines
    )
    low = max(low, min(high, 3 * period + 60))
    place = random.Random(f"seconds {take.id}").random()
    return float(round(low * (high / low) ** (place * place)))


@dataclass(frozen=True)
class _Reader:
    """Turns blocks and rotations into takes. Raises ValueError for a name that is unknown."""

    campaigns: dict[str, Campaign]
    profiles: dict[str, Profile]
    hosts: dict[str, Host]

    def block(self, block: Block) -> Iterator[Take]:
        """Yield the takes of a block; `sample` counts from 1 in the order of the profile's file."""
        profile = _known("profile", block.profile, self.profiles)
        numbers = {str(number): sample for number, sample in enumerate(profile.every, 1)}
        sample = _known(f"sample of {profile.name}", str(block.sample), numbers)
        _refuse_unknown_fault(block.fault)
        for campaign_name, names in block.hosts.items():
            campaign = _known("campaign", campaign_name, self.campaigns)
            for name in names:
                host = _known("host", name, self.hosts)
                if profile.name in host.never:
                    raise ValueError(f"host {host.name} never runs {profile.name}")
                seed = self._seed(block.seed, campaign)
                yield Take(campaign.on(host), profile, sample, seed, 0.0, campaign, block.fault)

    def rotation(self, rotation: Rotation) -> Iterator[Take]:
        """Yield the takes of a rotation; similar hosts and campaigns get samples far apart."""
        profile = _known("profile", rotation.profile, self.profiles)
        samples = profile.drawn if rotation.drawn else profile.every
        if not samples:
            raise ValueError(f"profile {profile.name} has no drawn sample")
        for fault in rotation.faults:
            _refuse_unknown_fault(fault)
        names = [host.name for host in self.hosts.values() if profile.name not in host.never]
        for number in range(rotation.each * len(self.campaigns) * len(names)):
            turn, place = divmod(number, len(names))
            campaign = list(self.campaigns.values())[turn % len(self.campaigns)]
            sample = samples[(place * 7 + turn * 11) % len(samples)]
            seed = self._seed(rotation.seed + turn // len(self.campaigns), campaign)
            host = campaign.on(self.hosts[names[place]])
            take = Take(host, profile, sample, seed, 0.0, campaign)
            take = replace(take, fault=_fault(rotation, take.id))
            yield replace(take, seconds=_skewed(take, *rotation.seconds))

    def _seed(self, seed: int, campaign: Campaign) -> int:
        """Return a seed that differs by campaign, so that each draws a different schedule."""
        return seed + 1000 * list(self.campaigns).index(campaign.name)


def _refuse_unknown_fault(name: str) -> None:
    """Raise Refused for the name of a fault that is unknown; "" is none."""
    if name:
        find(name)


def _fault(rotation: Rotation, id: str) -> str:
    """Return the fault of a take, "" for none, drawn from its id."""
    rng = random.Random(f"fault {id}")
    if not rotation.faults or 100 * rng.random() >= rotation.fault_percent:
        return ""
    return rng.choice(rotation.faults)


def _known(what: str, name: str, known: Mapping[str, Named]) -> Named:
    """Return what has a name. Raises ValueError, which lists the known names."""
    if name not in known:
        raise ValueError(f"{what} {name!r} is unknown; there are {', '.join(known)}")
    return known[name]


@dataclass(frozen=True)
class Remainder:
    """What a store lacks of a plan.

    `recorded` takes are in the store; `takes` are not, and have `host_hours` of telemetry, which
    take about `hours` to record.
    """

    recorded: int
    takes: int
    host_hours: float
    hours: float


def remainder(plan: Plan, store: Store, jobs: int, cores: float) -> Remainder:
    """Return what a store lacks of a plan, for `jobs` machines at a time on `cores` processors."""
    stored = set(store.ids())
    left = [take for take in plan.takes if take.id not in stored]
    seconds = sum(take.seconds + OVERHEAD_S for take in left)
    needed = sum((take.seconds + OVERHEAD_S) * min(cores, take.sample.cores) for take in left)
    return Remainder(
        recorded=len(plan.takes) - len(left),
        takes=len(left),
        host_hours=sum(take.seconds for take in left) / 3600,
        hours=max(seconds / jobs, needed / cores) / 3600,
    )


def processors() -> float:
    """Return how many of this host's processors the recordings under way may need by default."""
    return SHARE * len(os.sched_getaffinity(0))


def run(
    plan: Plan, store: Store, jobs: int, cores: float, cache: Path, realtime: bool = False
) -> Outcome:
    """Record what the store lacks of a plan. Raises Refused when interrupted.

    At most `jobs` machines run at a time, and their samples together need no more than `cores`
    processors, so light ones run side by side and a heavy one nearly alone. A failed episode is
    tried once more, at the end of its campaign.
    """
    console = Console(stderr=True)
    stored = set(store.ids())
    outcome = Outcome(skipped=[take.id for take in plan.takes if take.id in stored])
    queue = collections.deque((take, 1) for take in plan.takes if take.id not in stored)
    if not queue:
        return outcome
    # Built once, before the first machine is timed.
    for arch in sorted({take.host.arch for take, _ in queue}):
        image(arch, cache, console.print)
    scratch(cache)
    with _bar(console, len(queue)) as advance, _stoppable():
        Scheduler(queue, store, cache, outcome, advance, cores, realtime).work(jobs)
    return outcome


@dataclass
class Scheduler:
    """The recordings under way, each with its number of tries, and the queue of those to come.

    `overtaken` counts the recordings that started before the first of the queue.
    """

    queue: collections.deque[tuple[Take, int]]
    store: Store
    cache: Path
    outcome: Outcome
    advance: Callable[[str, bool], None]
    cores: float
    realtime: bool = False
    busy: list[tuple[Recording, int]] = field(default_factory=list)
    overtaken: int = 0

    def work(self, jobs: int) -> None:
        """Record until the queue is empty. Raises Refused when interrupted, with all ended."""
        start = 0.0
        try:
            while self.queue or self.busy:
                place = self.fitting() if len(self.busy) < jobs else None
                if place is not None and time.monotonic() >= start:
                    self._begin(place)
                    start = time.monotonic() + STAGGER_S
                for recording, tries in list(self.busy):
                    if recording.done(POLL_S / max(1, len(self.busy))):
                        self._end(recording, tries)
                if not self.busy:
                    time.sleep(POLL_S)
        except KeyboardInterrupt as error:
            raise Refused(
                "plan",
                f"interrupted with {len(self.queue) + len(self.busy)} episodes to go",
                "all of them",
                "Run it again: it continues where it was.",
                code="interrupted",
            ) from error
        finally:
            for recording, _ in self.busy:
                recording.close()

    def fitting(self) -> int | None:
        """Return the place in the queue of the first take that fits beside those under way.

        A take that does not fit is overtaken `PATIENCE` times, then nothing starts before it. None
        when no take may start.
        """
        free = self.cores - sum(recording.take.sample.cores for recording, _ in self.busy)
        for place, (take, _) in enumerate(self.queue):
            if not self.busy or take.sample.cores <= free + 1e-9:
                return place
            if self.overtaken >= PATIENCE:
                return None
        return None

    def _begin(self, place: int) -> None:
        self.overtaken = self.overtaken + 1 if place else 0
        take, tries = self.queue[place]
        del self.queue[place]
        try:
            recording = Recording(
                take, self.store, self.cache, lambda line: None, realtime=self.realtime
            )
        except Refused as refused:
            self._fail(take, tries, refused)
            return
        self.busy.append((recording, tries))

    def _end(self, recording: Recording, tries: int) -> None:
        self.busy.remove((recording, tries))
        try:
            id = recording.result()
        except Refused as refused:
            self._fail(recording.take, tries, refused)
        else:
            self.outcome.recorded.append(id)
            self.advance(f"[green]recorded[/] {escape(id)}", True)
        finally:
            recording.close()

    def _again(self, take: Take, tries: int) -> None:
        """Queue a take again, behind the last of its campaign."""
        same = [
            place for place, (other, _) in enumerate(self.queue) if other.campaign == take.campaign
        ]
        self.queue.insert(same[-1] + 1 if same else 0, (take, tries))

    def _fail(self, take: Take, tries: int, refused: Refused) -> None:
        again = tries < TRIES and refused.code not in ("id_taken", "qemu_missing", "interrupted")
        if again:
            self._again(take, tries + 1)
        else:
            self.outcome.failed[take.id] = str(refused)
        mark = "[yellow]again[/]" if again else "[red]failed[/]"
        self.advance(f"{mark} {escape(str(refused))}", not again)


@contextlib.contextmanager
def _bar(console: Console, total: int) -> Iterator[Callable[[str, bool], None]]:
    """Show a progress bar with an estimate; yield the function that reports one episode."""
    parts = (
        TextColumn("recording"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("about"),
        TimeRemainingColumn(),
        TextColumn("to go"),
    )
    # The first episodes end minutes apart, so the estimate averages over a long time.
    with Progress(*parts, console=console, speed_estimate_period=1800) as progress:
        task = progress.add_task("recording", total=total)

        def report(line: str, finished: bool) -> None:
            progress.console.print(line, highlight=False, soft_wrap=True)
            progress.advance(task, int(finished))

        yield report


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does, with all machines ended."""

    def interrupt(sign: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
