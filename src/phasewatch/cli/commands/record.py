"""`phasewatch record` and `lab`: recording episodes, and the hosts and profiles to choose from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from phasewatch.cli.console import SOME_ERRORED, AsJson, app, err, images, out, print_json
from phasewatch.errors import Refused

if TYPE_CHECKING:
    from phasewatch.lab.plan import Remainder
    from phasewatch.lab.recording import Take
    from phasewatch.store.local import Store


ONE = ("profile", "host", "sample", "seed", "seconds", "fault")
"""Options that define one recording; a plan defines each of its recordings itself."""

PLANNED = ("jobs", "cores", "realtime", "left")
"""Options that apply to a plan only."""


Out = Annotated[Path, typer.Option("--out", help="Store to write into, created when absent.")]
PlanFile = Annotated[
    Path | None, typer.Option("--plan", help="Plan (TOML): record every episode that it lists.")
]
ProfileName = Annotated[str, typer.Option("--profile", help="Load profile; see `phasewatch lab`.")]
HostName = Annotated[str, typer.Option("--host", help="Virtual host; see `phasewatch lab`.")]
SampleName = Annotated[
    str, typer.Option("--sample", help="Sample of the profile, by id or number.")
]
Seed = Annotated[
    int, typer.Option("--seed", help="Random seed for the order and lengths of acts.", min=0)
]
Seconds = Annotated[
    float, typer.Option("--seconds", help="Length of the episode in seconds.", min=40, max=3600)
]
FaultName = Annotated[str, typer.Option("--fault", help="Fault to inject; see `phasewatch lab`.")]
Jobs = Annotated[
    int, typer.Option("--jobs", help="Most machines that run at a time.", min=1, max=32)
]
Cores = Annotated[
    float,
    typer.Option(
        "--cores", help="Processors that all machines may use together; 0 for 80 % of them.", min=0
    ),
]
Realtime = Annotated[
    bool, typer.Option("--realtime", help="Run guests at real-time priority; needs root.")
]
Left = Annotated[
    bool, typer.Option("--left", help="Print what is left of the plan; record nothing.")
]
Cache = Annotated[Path | None, typer.Option("--cache", help="Folder of guest images.")]


@app.command()
def record(
    context: typer.Context,
    store: Out,
    plan: PlanFile = None,
    profile: ProfileName = "",
    host: HostName = "",
    sample: SampleName = "1",
    seed: Seed = 1,
    seconds: Seconds = 90.0,
    fault: FaultName = "",
    jobs: Jobs = 3,
    cores: Cores = 0.0,
    realtime: Realtime = False,
    left: Left = False,
    cache: Cache = None,
) -> None:
    """Boot real QEMU guests, run harmless load in them, and publish labelled episodes.

    Give --plan, or --profile and --host. Needs Debian's qemu, and a network to build the first
    guest image; programs that are missing are named.
    """
    if (plan is None) == (not profile or not host):
        raise Refused(
            "record",
            "does not define what to record",
            "either --plan FILE, or --profile NAME and --host NAME",
            "`phasewatch lab` lists profiles, samples and hosts.",
        )
    _refuse_idle(context, PLANNED if plan is None else ONE)
    from dataclasses import replace

    from phasewatch.lab.recording import Take

    if plan is not None:
        _record_plan(plan, store, images(cache), (jobs, cores, realtime, left))
        return
    take = replace(Take.of(profile, host, sample), seed=seed, seconds=seconds, fault=fault)
    out.print(f"recorded {_record_one(_possible(take), _opened(store), images(cache))}")


def _opened(store: Path) -> "Store":
    """Return the store to record into, created when absent."""
    from phasewatch import schema
    from phasewatch.store.local import Store

    return Store.create(store, schema.vm46())


def _possible(take: "Take") -> "Take":
    """Return a recording whose fault is known and whose acts fit. Raises Refused."""
    from phasewatch.lab import fault
    from phasewatch.lab.profile import schedule

    if take.fault:
        fault.find(take.fault)
    schedule(take.profile, take.sample, take.host, take.seed, take.seconds)
    return take


def _record_plan(
    path: Path, store: Path, cache: Path, options: tuple[int, float, bool, bool]
) -> None:
    """Record what is left of a plan, or print only how much that is."""
    from phasewatch.lab import plan as plans

    jobs, cores, realtime, left = options
    planned, opened = plans.read(path), _opened(store)
    share = cores or plans.processors()
    progress = _left(plans.remainder(planned, opened, jobs, share))
    (out if left else err).print(progress)
    if left:
        return
    done = plans.run(planned, opened, jobs, share, cache, realtime)
    recorded = f"{len(done.recorded)} recorded · {len(done.skipped)} recorded before"
    out.print(f"{recorded} · {len(done.failed)} failed")
    if done.failed:
        raise typer.Exit(SOME_ERRORED)


def _left(rest: "Remainder") -> str:
    """Return how much of a plan is recorded and how long the rest takes, as one line."""
    there = f"{rest.recorded} of {rest.recorded + rest.takes} recorded"
    return f"{there} · {rest.host_hours:.1f} host-hours left · about {rest.hours:.1f} h to go"


def _refuse_idle(context: typer.Context, names: tuple[str, ...]) -> None:
    """Raise Refused when an option was given that would do nothing."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [f"--{name}" for name, source in sources.items() if source and source.name != "DEFAULT"]
    if given:
        with_plan = context.params["plan"] is not None
        raise Refused(
            ", ".join(given),
            "defines a single recording" if with_plan else "applies to a plan",
            "the plan to define every recording" if with_plan else "a plan, given with --plan",
            "Leave it out, or leave out --plan." if with_plan else "Leave it out.",
        )


def _record_one(take: "Take", store: "Store", cache: Path) -> str:
    from phasewatch.lab import recording

    with err.status(f"recording {take.id}: {take.seconds:g} s and a boot"):
        return recording.record(take, store, cache, lambda line: err.print(line, soft_wrap=True))


@app.command()
def lab(as_json: AsJson = False) -> None:
    """List the virtual hosts, load profiles and faults that `record` can use."""
    from dataclasses import asdict

    from phasewatch.lab import fault, hosts, profile

    known, loads = hosts.hosts(), profile.catalogue()
    if as_json:
        print_json(
            {
                "hosts": [host.model_dump(mode="json") for host in known.values()],
                "profiles": [asdict(load) for load in loads.values()],
                "faults": sorted(fault.FAULTS),
            }
        )
        return
    table = Table(title="hosts")
    for column in ("name", "machine", "memory", "vCPUs", "background", "never runs"):
        table.add_column(column)
    for host in known.values():
        cells = (f"{host.arch} {host.machine}", f"{host.memory_mb} MiB", str(host.vcpus))
        table.add_row(host.name, *cells, host.background, ", ".join(host.never))
    out.print(table)
    table = Table(title="load profiles (all harmless, inside the guest only)")
    for column in ("name", "meaning", "samples listed + drawn"):
        table.add_column(column)
    for load in loads.values():
        table.add_row(load.name, load.meaning, f"{len(load.samples)} + {len(load.drawn)}")
    out.print(table)
    out.print(f"faults: {', '.join(sorted(fault.FAULTS))}")
