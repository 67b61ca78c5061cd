"""A plan of recordings, and the run that works it off: several machines side by side.

A plan is a TOML file of campaigns and blocks; a block is one sample of a profile, on some hosts in
some campaigns. Campaigns are recorded one after the other, the episodes of one in mixed order.
Episodes already in the store are skipped, so a run that was ended goes on where it was. One failed
episode never stops the others.
"""

import collections
import contextlib
import hashlib
import random
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from phasewatch.errors import Refused
from phasewatch.lab.campaign import Campaign
from phasewatch.lab.fault import find
from phasewatch.lab.hosts import hosts
from phasewatch.lab.image import image, scratch
from phasewatch.lab.profile import profiles, schedule
from phasewatch.lab.recording import Recording, Take
from phasewatch.store.local import Store

STAGGER_S = 8.0
"""Between two starts: a boot takes a whole core, and should not fall into another's first phase."""

TRIES = 2
POLL_S = 0.2

Named = TypeVar("Named")


@dataclass(frozen=True)
class Plan:
    """What is to be recorded, in order."""

    takes: tuple[Take, ...]


@dataclass
class Outcome:
    """What became of a plan: ids recorded, ids that were there before, and who failed why."""

    recorded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def read(path: Path) -> Plan:
    """A plan from its file, every name in it checked; raises Refused."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        low, high = _bounds(table["seconds"])
        campaigns = {block["name"]: _campaign(block) for block in table["campaign"]}
        takes = [take for block in table["block"] for take in _takes(block, campaigns)]
        takes = [replace(take, seconds=_length(take, low, high)) for take in takes]
        for take in takes:
            schedule(take.profile, take.sample, take.host, take.seed, take.seconds)
        order = list(campaigns.values())
        takes.sort(key=lambda take: (order.index(take.campaign), _mixed(take)))
    except OSError as error:
        raise Refused(path, error.strerror or str(error), "a plan", "Check the path.") from error
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise Refused(path, problem, "a plan like plans/corpus.toml", "Correct it.") from error
    double = [id for id, n in collections.Counter(take.id for take in takes).items() if n > 1]
    if double:
        raise Refused(path, f"{double[0]} is planned twice", "other seeds", "Correct it.")
    return Plan(tuple(takes))


def _bounds(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError(f"seconds = {value!r} is not [shortest, longest]")
    return float(value[0]), float(value[1])


def _campaign(block: dict[str, Any]) -> Campaign:
    return Campaign(**{**block, "background": tuple(block.get("background", ()))})


def _mixed(take: Take) -> bytes:
    """A place in an order that is the same every time and knows nothing of host or profile."""
    return hashlib.sha256(take.id.encode()).digest()


def _length(take: Take, low: float, high: float) -> float:
    """How long an episode is, in whole seconds drawn from its id."""
    return float(random.Random(f"seconds {take.id}").randint(round(low), round(high)))


def _takes(block: dict[str, Any], campaigns: dict[str, Campaign]) -> Iterator[Take]:
    """The takes of one block: `sample` counts from 1 in the order of the profile's file."""
    unknown = sorted(set(block) - {"profile", "sample", "seed", "fault", "hosts"})
    if unknown:
        raise ValueError(f"unknown field {', '.join(unknown)}")
    profile = _known("profile", block["profile"], profiles())
    numbers = {str(number): sample for number, sample in enumerate(profile.samples, 1)}
    sample = _known(f"sample of {profile.name}", str(block["sample"]), numbers)
    seed, fault = block["seed"], str(block.get("fault", ""))
    if not isinstance(seed, int):
        raise TypeError(f"seed {seed!r} is no whole number")
    if fault:
        find(fault)
    for campaign_name, names in block["hosts"].items():
        campaign = _known("campaign", campaign_name, campaigns)
        for name in _list("hosts", names):
            host = _known("host", name, hosts())
            if profile.name in host.never:
                raise ValueError(f"host {host.name} never runs {profile.name}")
            # Another campaign is another draw of the schedule.
            drawn = seed + 1000 * list(campaigns).index(campaign.name)
            yield Take(campaign.on(host), profile, sample, drawn, 0.0, campaign, fault)


def _list(what: str, value: object) -> list[object]:
    if not isinstance(value, list) or not value:
        raise TypeError(f"{what} = {value!r} is not a list")
    return value


def _known(what: str, name: object, there: dict[str, Named]) -> Named:
    if name not in there:
        raise ValueError(f"{what} {name!r} is unknown; there are {', '.join(there)}")
    return there[str(name)]


def run(plan: Plan, store: Store, jobs: int, cache: Path) -> Outcome:
    """Record what the store lacks of a plan, `jobs` machines at a time; raises Refused when ended.

    A dropped or failed episode is tried once more, at the end of its campaign.
    """
    console = Console(stderr=True)
    there = set(store.ids())
    outcome = Outcome(skipped=[take.id for take in plan.takes if take.id in there])
    queue = collections.deque((take, 1) for take in plan.takes if take.id not in there)
    if not queue:
        return outcome
    # Built once, before the first machine is timed.
    for arch in sorted({take.host.arch for take, _ in queue}):
        image(arch, cache, console.print)
    scratch(cache)
    with _bar(console, len(queue)) as advance, _stoppable():
        Floor(queue, store, cache, outcome, advance).work(jobs)
    return outcome


@dataclass
class Floor:
    """The recordings under way and the queue they come from."""

    queue: collections.deque[tuple[Take, int]]
    store: Store
    cache: Path
    outcome: Outcome
    advance: Callable[[str, bool], None]
    busy: list[tuple[Recording, int]] = field(default_factory=list)

    def work(self, jobs: int) -> None:
        """Until queue and floor are empty; raises Refused when interrupted, all ended then."""
        start = 0.0
        try:
            while self.queue or self.busy:
                if self.queue and len(self.busy) < jobs and time.monotonic() >= start:
                    self._begin()
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
                "Run it again: it goes on where it was.",
                code="interrupted",
            ) from error
        finally:
            for recording, _ in self.busy:
                recording.close()

    def _begin(self) -> None:
        take, tries = self.queue.popleft()
        try:
            recording = Recording(take, self.store, self.cache, lambda line: None)
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
            self.advance(f"[green]recorded[/] {id}", True)
        finally:
            recording.close()

    def _again(self, take: Take, tries: int) -> None:
        """Behind the last of its campaign: campaigns must not mix in time."""
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
        self.advance(f"{mark} {refused}", not again)


@contextlib.contextmanager
def _bar(console: Console, total: int) -> Iterator[Callable[[str, bool], None]]:
    """A progress bar with an estimate; gives the function that reports one episode."""
    parts = (
        TextColumn("recording"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("about"),
        TimeRemainingColumn(),
        TextColumn("to go"),
    )
    # The first episodes of a rolling start come minutes apart: estimate over a long stretch.
    with Progress(*parts, console=console, speed_estimate_period=1800) as progress:
        task = progress.add_task("recording", total=total)

        def report(line: str, finished: bool) -> None:
            progress.console.print(line, highlight=False, soft_wrap=True)
            progress.advance(task, int(finished))

        yield report


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that it tidies up."""

    def interrupt(sign: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
