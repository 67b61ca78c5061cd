"""One recording: a host runs a schedule while four sources are sampled into one episode.

Each recording runs in a separate process, since it leaves the host's network namespace. It
publishes one complete episode or nothing: a machine that does not boot or falls silent, and an
interrupted recording, raise Refused, and no process, file or namespace is left.
"""

import contextlib
import errno
import multiprocessing
import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from phasewatch import __version__
from phasewatch.attach.packets import CHANNELS
from phasewatch.episode import Episode, Label, Provenance, Samples
from phasewatch.errors import Refused
from phasewatch.lab import hosts
from phasewatch.lab.campaign import SINGLE, Campaign
from phasewatch.lab.fault import Fault, Target, find
from phasewatch.lab.hosts import Host
from phasewatch.lab.image import Image, image, scratch
from phasewatch.lab.machine import Machine
from phasewatch.lab.network import Tap, Traffic, die_with_parent, take_priority
from phasewatch.lab.probes import (
    HZ,
    PROBES,
    Agent,
    Clock,
    Mapping,
    Rows,
    netflow,
)
from phasewatch.lab.profile import Act, Profile, Sample, profile, schedule
from phasewatch.lab.script import ambiguous
from phasewatch.lab.snapshot import snapshot
from phasewatch.lab.switch import Switch, link
from phasewatch.schema import NS
from phasewatch.store.local import Store

SETTLE_S = 3.0
LEAD_S = 1.0
"""Seconds before the episode whose rows are published, so that its first step has a rate."""

PING_S = 1.0
SILENT_S = 10.0
RECORDER_NICE = -18
"""Ahead of the machines, since a late reading blurs all of them. Without root all are alike."""

THREADLESS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Settings that keep NumPy and Arrow from starting threads.

A process with threads may not enter a user namespace.
"""

_PERIOD_NS = round(NS / HZ)

Say = Callable[[str], None]
Receive = Callable[[str, Samples | tuple[Label, ...]], None]
"""Is given a recording while it runs: samples by their source, and "labels" as far as known."""


@dataclass(frozen=True)
class Take:
    """One planned recording: sample, profile, host, seed and length.

    `host` is the host as `campaign` sets it up; `fault` names the fault that is injected, "" for
    none.
    """

    host: Host
    profile: Profile
    sample: Sample
    seed: int
    seconds: float
    campaign: Campaign = SINGLE
    fault: str = ""

    @classmethod
    def of(cls, name: str, host: str, number: str) -> "Take":
        """Return a take with seed 0 and length 0 from the names of a profile and a host.

        `number` is the id of a sample, or its number in the profile from 1. Raises Refused for one
        that is unknown.
        """
        chosen = profile(name)
        numbers = {str(place): sample.id for place, sample in enumerate(chosen.every, 1)}
        return cls(hosts.host(host), chosen, chosen.sample(numbers.get(number, number)), 0, 0.0)

    @property
    def id(self) -> str:
        """The id of the episode: campaign, host, profile, sample, seed and fault."""
        what = f"{self.profile.name}.{self.sample.id}.s{self.seed}"
        fault = f".{self.fault}" if self.fault else ""
        return f"{self.campaign.name}.{self.host.name}.{what}{fault}"

    @property
    def provenance(self) -> dict[str, Any]:
        """The names of the episode, by field."""
        names = (self.host.name, self.sample.id, self.profile.name, self.campaign.name)
        return Provenance(self.id, *names).provenance


def record(take: Take, store: Store, cache: Path, log: Say) -> str:
    """Record one episode into `store` and return its id. Raises Refused, and leaves nothing then.

    `cache` is the folder of guest images; `log` is given progress lines.
    """
    with contextlib.closing(Recording(take, store, cache, log)) as recording:
        while not recording.done(1.0):
            pass
        return recording.result()


class Recording:
    """A recording under way in a separate process."""

    def __init__(
        self,
        take: Take,
        store: Store,
        cache: Path,
        log: Say,
        receive: Receive | None = None,
        realtime: bool = False,
    ) -> None:
        """Start the process; its progress lines go to `log`, its rows and labels to `receive`.

        With `realtime` the guest runs ahead of all ordinary work on this host. Raises Refused for
        an episode that is already recorded, or a guest image that cannot be built.
        """
        self.take = take
        self._log, self._receive = log, receive
        self._result: str | Refused | None = None
        if take.id in store.ids():
            raise Refused(
                take.id, "is already recorded", "a new seed", "Choose another.", code="id_taken"
            )
        # The process cannot leave its network namespace, so downloads happen before it starts.
        guest, disk = image(take.host.arch, cache, log), scratch(cache)
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        relay = Relay(other, receive is not None, realtime)
        work = (relay, take, guest, disk, cache, store.root)
        self._process = context.Process(target=_process, args=work)
        os.environ.update(THREADLESS)
        self._process.start()
        other.close()

    def done(self, seconds: float) -> bool:
        """Pass on the process's messages for up to `seconds`; return whether it has ended."""
        deadline = time.monotonic() + seconds
        while self._result is None and self.pipe.poll(max(0.0, deadline - time.monotonic())):
            try:
                kind, value = self.pipe.recv()
            except (EOFError, OSError):
                kind, value = "result", _died(self.take)
            if kind == "log":
                self._log(value)
            elif kind == "live" and self._receive:
                self._receive(*value)
            else:
                self._result = value
        return self._result is not None

    def result(self) -> str:
        """Return the published episode's id once the process has ended. Raises Refused."""
        self._process.join()
        if isinstance(self._result, str):
            return self._result
        raise self._result or _died(self.take)

    def close(self) -> None:
        """End the process if it is still there, and wait until it has tidied up."""
        self._process.terminate()
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.pipe.close()


def _died(take: Take) -> Refused:
    return Refused(
        take.id, "the recorder ended without a result", "an episode", "Try again.", code="recorder"
    )


@dataclass
class Injection:
    """A fault, the time in the episode at which it begins, and its effect while it lasts."""

    fault: Fault
    at_s: float
    _effect: Iterator[None] | None = None
    _over: bool = False

    @classmethod
    def draw(cls, take: Take) -> "Injection":
        """Return a take's fault at a time drawn from the take's id. Raises Refused."""
        chosen = find(take.fault)
        low, high = chosen.between
        return cls(chosen, round(take.seconds * random.Random(take.id).uniform(low, high), 2))

    def proceed(self, at_s: float, target: Target) -> None:
        """Inject the fault or undo it when it is due at `at_s` seconds into the episode."""
        if self._effect is None and at_s >= self.at_s:
            self._effect = self.fault.work(target)
            next(self._effect)
        elif self._effect and not self._over and at_s >= self.at_s + self.fault.lasts_s:
            self._over = True
            next(self._effect, None)

    def note(self) -> dict[str, object]:
        """Return the fault's entries in the notes of the manifest."""
        return {"fault": self.fault.name, "fault_at_s": self.at_s}


# ---------------------------------------------------------------- in the process


@dataclass
class Relay:
    """The pipe from the recording process: progress lines, the result, and rows if `live`.

    Live rows of the guest are mapped to the wall clock by the pings so far. The published episode
    uses all pings, so its times may differ by their residual.
    """

    pipe: Connection
    live: bool
    realtime: bool = False
    _sent: dict[str, int] = field(default_factory=dict)

    def log(self, line: str) -> None:
        """Send a progress line."""
        self.pipe.send(("log", line))

    def rows(self, rows: Rows) -> None:
        """Send the rows of a source that were added since the last call."""
        first = self._sent.get(rows.source, 0)
        self._sent[rows.source] = len(rows.t_wall_ns)
        if len(rows.t_wall_ns) > first:
            new = Rows(rows.source, rows.channels)
            for row in range(first, len(rows.t_wall_ns)):
                new.add(rows.t_wall_ns[row], rows.t_mono_ns[row], rows.values[row])
            self.pipe.send(("live", (rows.source, new.samples(0, 2**62))))

    def labels(self, labels: tuple[Label, ...]) -> None:
        """Send the labels so far when there are more than at the last call."""
        if len(labels) > self._sent.get("labels", 0):
            self._sent["labels"] = len(labels)
            self.pipe.send(("live", ("labels", labels)))


def _process(relay: Relay, take: Take, guest: Image, blank: Path, cache: Path, root: Path) -> None:
    """Record in this process and send the episode's id, or the Refused, as the result."""
    signal.signal(signal.SIGTERM, _interrupt)
    die_with_parent(signal.SIGTERM)
    take_priority(RECORDER_NICE, relay.realtime)
    result: str | Refused
    try:
        result = _record(take, guest, blank, cache, root, relay)
    except Refused as refused:
        result = refused
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        result = _refused(take, "was interrupted", "Run it again.", "interrupted")
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Make room and run it again." if full else "Run it again."
        result = _refused(take, str(error), remedy, "io")
    with contextlib.suppress(OSError):
        relay.pipe.send(("result", result))


def _interrupt(sign: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _refused(take: Take, problem: str, remedy: str, code: str) -> Refused:
    return Refused(take.id, problem, "a complete episode", remedy, code=code)


def _record(take: Take, guest: Image, blank: Path, cache: Path, root: Path, relay: Relay) -> str:
    """Record a take, publish its episode and return its id. Raises Refused."""
    acts = schedule(take.profile, take.sample, take.host, take.seed, take.seconds)
    injection = Injection.draw(take) if take.fault else None
    with _running(take, injection, guest, blank, cache, relay) as (net, machine):
        session = Session(machine, net, take, acts, injection, relay)
        session.settle()
        session.run()
        traffic = net.finish()
    # Published only when the machine is gone: from here on an interrupt leaves nothing behind.
    episode = session.episode(traffic)
    notes = {"network": net.kind, "image": guest.digest, "qemu": machine.qemu, **episode.notes}
    Store.open(root).publish(replace(episode, notes=notes))
    waited = float(str(notes["vcpu_wait_share"]))
    relay.log(f"{take.id}: published; its vCPUs waited {waited:.0%} of their time for a core")
    return take.id


@contextlib.contextmanager
def _running(
    take: Take, injection: Injection | None, guest: Image, blank: Path, cache: Path, relay: Relay
) -> Iterator[tuple[Tap | Switch, Machine]]:
    """Yield a link and a machine restored from its snapshot; both are gone when the block ends."""
    with contextlib.ExitStack() as stack:
        net = link(relay.log, not (injection and injection.fault.delays_capture), relay.live)
        stack.callback(net.kill)
        jitter = take.campaign.jitter
        began = time.monotonic()
        saved = snapshot(take.host, guest, blank, cache, net.device, jitter)
        if saved.created:
            relay.log(f"{take.id}: booted and saved in {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        machine = Machine(take.host, guest, saved.disk, net.device, jitter, saved.state)
        stack.callback(machine.kill)
        machine.boot()
        relay.log(f"{take.id}: restored in {time.monotonic() - began:.1f} s")
        yield net, machine


@dataclass
class Session:
    """A booted machine until its end: acts, pings and readings in one loop of deadlines.

    `started` has each work act with the guest's clock at its start, in ns; `late_ns` is how late
    each reading was, and `missed` counts readings that were left out.
    """

    machine: Machine
    net: Tap | Switch
    take: Take
    acts: tuple[Act, ...]
    injection: Injection | None
    relay: Relay
    clock: Clock = field(default_factory=Clock)
    agent: Agent = field(default_factory=Agent)
    probed: list[Rows] = field(default_factory=lambda: [Rows(p.source, p.channels) for p in PROBES])
    netflow: Rows = field(default_factory=lambda: Rows("netflow", CHANNELS))
    """Live bins; what is published are the bins that the link returns at the end."""
    started: list[tuple[int, Act]] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    missed: int = 0
    _requests: list[tuple[int, Act | None]] = field(default_factory=list)
    _last_line_ns: int = 0

    def settle(self) -> None:
        """Fill the disk, start the background, and wait until the boot no longer shows.

        Raises Refused when the guest does not reply.
        """
        host, seed = self.take.host, self.take.seed
        self.machine.request(f"seed {seed}", 10)
        line = f"populate files={host.files} mean_kb={host.mean_kb} seed={seed}"
        self.machine.request(line, 60)
        self.machine.request(f"start side {host.background}", 10)
        time.sleep(SETTLE_S - LEAD_S)
        # Lines from before now were written while they were not read.
        self.machine.agent.read()

    def run(self) -> None:
        """Run the schedule and sample. Raises Refused when the machine or its agent is gone."""
        probes = [probe(self.machine) for probe in PROBES]
        target = Target(self.machine, self.net, lambda line: self._request(line, None))
        chance = random.Random(self.take.id)
        grid = tick = time.monotonic_ns() + _PERIOD_NS
        self._last_line_ns = tick
        begin = tick + round(LEAD_S * NS)
        end = begin + round((self.take.seconds + 1.0) * NS)
        acts, ping = list(self.acts), tick
        while (now := time.monotonic_ns()) < end:
            if now >= tick:
                self.late_ns.append(now - tick)
                for rows, probe in zip(self.probed, probes, strict=True):
                    rows.take(probe.read)
                if self.relay.live:
                    self._send_live()
                grid = self._next(grid)
                stray = self.take.campaign.jitter / 100 * chance.uniform(-1, 1)
                tick = grid + round(stray * _PERIOD_NS)
            if self.injection:
                self.injection.proceed((now - begin) / NS, target)
            if acts and now >= begin + round(acts[0].at_s * NS):
                act = acts.pop(0)
                self._request(f"start {act.slot} {act.program}", act)
            elif now >= ping:
                self._request(f"ping {now}", None)
                ping = now + round(PING_S * NS)
            due = begin + round(acts[0].at_s * NS) if acts else end
            self._listen(min(tick, ping, due, end))

    def _send_live(self) -> None:
        """Send the rows and labels that are new since the last reading."""
        for rows in self.probed:
            self.relay.rows(rows)
        for row in self.net.new_rows():
            self.netflow.add(*row)
        self.relay.rows(self.netflow)
        if self.clock.pings:
            mapping = self.clock.fit()
            self.relay.rows(self.agent.rows(mapping))
            if self.started:
                self.relay.labels(_labels(self.started, mapping))

    def _next(self, tick: int) -> int:
        """Return the next deadline; readings whose deadline is already past are left out."""
        behind = max(0, (time.monotonic_ns() - tick) // _PERIOD_NS)
        self.missed += behind
        return tick + (1 + behind) * _PERIOD_NS

    def _request(self, line: str, act: Act | None) -> None:
        """Send a request without waiting; `act` is the act that it starts, if any."""
        self._requests.append((time.time_ns(), act))
        try:
            self.machine.control.send(line)
        except OSError as error:
            raise self.machine.refused("ended during the recording") from error

    def _listen(self, until_ns: int) -> None:
        """Wait for lines of the guest until a deadline on the monotonic clock, and take them.

        Raises Refused when the machine is gone or its agent has been silent for `SILENT_S`.
        """
        channels = [self.machine.agent, self.machine.control]
        try:
            wait = max(0, until_ns - time.monotonic_ns()) / NS
            ready, _, _ = select.select(channels, [], [], wait)
            now = time.time_ns()
            if self.machine.control in ready:
                for line in self.machine.control.read():
                    self._reply(line, now)
            if self.machine.agent in ready:
                self._last_line_ns = time.monotonic_ns()
                for line in self.machine.agent.read():
                    self.agent.add(line)
        except (EOFError, OSError) as error:
            raise self.machine.refused("ended during the recording") from error
        mute = self.injection and self.injection.fault.stops_agent
        if time.monotonic_ns() - self._last_line_ns > SILENT_S * NS and not mute:
            raise self.machine.refused(f"its agent has been silent for {SILENT_S:g} s")

    def _reply(self, line: str, now_ns: int) -> None:
        """Match a reply to its request; replies come in the order of the requests."""
        if not self._requests:
            return
        sent_ns, act = self._requests.pop(0)
        words = line.split()
        if act is None and words[0] == "pong":
            self.clock.add(sent_ns, now_ns, int(words[2]))
        elif act is None and words[0] == "killed":
            pass
        elif act is not None and words[0] == "started":
            if act.slot == "work":
                self.started.append((int(words[2]), act))
        else:
            raise self.machine.refused(f"guest replied {line!r}")

    def episode(self, traffic: Traffic) -> Episode:
        """Return the episode with all times on the wall clock.

        Raises Refused when there are too few pings, or too few rows of a source without a fault.
        """
        take = self.take
        if len(self.clock.pings) < 8 or not self.started:
            raise self.machine.refused("its control port replied too seldom")
        mapping = self.clock.fit()
        labels = _labels(self.started, mapping)
        start = labels[0].t_wall_ns
        end = start + round(take.seconds * NS)
        every = (*self.probed, self.agent.rows(mapping), netflow(traffic))
        sources = {rows.source: rows.samples(start - round(LEAD_S * NS), end) for rows in every}
        for source, samples in sources.items():
            if len(samples) < take.seconds * HZ / 2 and not self.injection:
                raise self.machine.refused(f"{source} gave {len(samples)} rows only")
        notes = {
            **self._notes(mapping, end),
            "dropped": {rows.source: rows.dropped for rows in every},
            "vcpu_wait_share": round(wait_share(sources["proc"]), 4),
        }
        return Episode(
            **take.provenance,
            start_ns=start,
            end_ns=end,
            labels=labels,
            sources=sources,
            notes=notes,
        )

    def _notes(self, mapping: Mapping, end_ns: int) -> dict[str, object]:
        injection = self.injection.note() if self.injection else {}
        return {
            **injection,
            "tool": f"phasewatch {__version__}",
            "accel": "tcg",
            "script": self.take.sample.script,
            "ambiguous": _ambiguous(self.started, mapping, end_ns),
            "seed": self.take.seed,
            "kernel": self.take.host.kernel,
            "background": self.take.host.background,
            "jitter_percent": self.take.campaign.jitter,
            "guest_clock_base_ns": mapping.base_ns + round(mapping.offset_ns),
            "guest_clock_drift_ppm": round(mapping.drift * 1e6, 2),
            "guest_clock_residual_ms": round(mapping.residual_ns / 1e6, 3),
            "guest_clock_misfit_ms": round(mapping.misfit_ns / 1e6, 3),
            "lateness_p95_ms": round(float(np.percentile(self.late_ns, 95)) / 1e6, 2),
            "missed_ticks": self.missed,
            "damaged_lines": self.agent.damaged,
        }


def _ambiguous(
    started: list[tuple[int, Act]], mapping: Mapping, end_ns: int
) -> list[tuple[int, int]]:
    """Return the wall-clock intervals in ns in which a work act looks alike under two labels."""
    begins = [mapping.wall(guest_ns) for guest_ns, _ in started]
    spans = zip(begins, [*begins[1:], end_ns], started, strict=True)
    return [
        (begin, end) for begin, end, (_, act) in spans if ambiguous(act.program, (end - begin) / NS)
    ]


def _labels(started: list[tuple[int, Act]], mapping: Mapping) -> tuple[Label, ...]:
    """Return a label for each change of phase, at the time when the guest started the act."""
    labels: list[Label] = []
    for guest_ns, act in started:
        if not labels or labels[-1].phase != act.phase:
            labels.append(Label(mapping.wall(guest_ns), act.phase))
    return tuple(labels)


def wait_share(proc: Samples) -> float:
    """Return the share of their time, 0 to 1, that the vCPU threads waited for a core.

    The rest is the time in which they ran; time in which they slept counts as neither.
    """
    first, last = (
        proc.values[row, [proc.names.index(f"proc.vcpu_{name}") for name in ("run", "wait")]]
        for row in (0, -1)
    )
    run, wait = last - first
    return float(wait / max(run + wait, 1.0))
