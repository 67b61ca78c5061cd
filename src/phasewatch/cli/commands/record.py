"""`phasewatch record` and `lab`: real episodes, and what they can be of."""

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
"""Options that say what one recording is; a plan says it of each of its own."""

PLANNED = ("jobs", "cores", "realtime", "left")
"""Options of a plan."""


@app.command()
def record(
    context: typer.Context,
    store: Annotated[Path, typer.Option("--out", help="Store to publish into; made when absent.")],
    plan: Annotated[Path | None, typer.Option(help="Record all that this plan lists.")] = None,
    profile: Annotated[str, typer.Option(help="Load profile; see `phasewatch lab`.")] = "",
    host: Annotated[str, typer.Option(help="Virtual host; see `phasewatch lab`.")] = "",
    sample: Annotated[str, typer.Option(help="Its id, or its number in the profile.")] = "1",
    seed: Annotated[int, typer.Option(help="Draws order, spans and companions.", min=0)] = 1,
    seconds: Annotated[float, typer.Option(help="Length.", min=40, max=3600)] = 90.0,
    fault: Annotated[str, typer.Option(help="What goes wrong; see `phasewatch lab`.")] = "",
    jobs: Annotated[int, typer.Option(help="Machines side by side.", min=1, max=32)] = 3,
    cores: Annotated[
        float, typer.Option(help="Processors that they may need together; 0: 80 % of all.", min=0)
    ] = 0.0,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Guests run ahead of all other work; needs root.")
    ] = False,
    left: Annotated[bool, typer.Option("--left", help="Only print what is left of the plan.")] = (
        False
    ),
    cache: Annotated[Path | None, typer.Option(help="Where guest images are kept.")] = None,
) -> None:
    """Boot real QEMU guests, run harmless load in them, and publish labelled episodes.

    Needs Debian's qemu and a network for the first guest image; names what is missing.
    """
    if (plan is None) == (not profile or not host):
        raise Refused(
            "record",
            "what to record is not clear",
            "either --plan FILE, or --profile NAME and --host NAME",
            "`phasewatch lab` lists profiles, samples and hosts.",
        )
    _refuse_idle(context, PLANNED if plan is None else ONE)
    from dataclasses import replace

    from phasewatch import schema
    from phasewatch.lab import fault as faults
    from phasewatch.lab import plan as plans
    from phasewatch.lab import recording
    from phasewatch.lab.profile import schedule
    from phasewatch.store.local import Store

    if plan is None:
        take = recording.Take.of(profile, host, sample)
        take = replace(take, seed=seed, seconds=seconds, fault=fault)
        if fault:
            faults.find(fault)
        schedule(take.profile, take.sample, take.host, take.seed, take.seconds)
        opened = Store.create(store, schema.vm46())
        out.print(f"recorded {_record_one(take, opened, images(cache))}")
        return
    planned = plans.read(plan)
    opened = Store.create(store, schema.vm46())
    share = cores or plans.processors()
    told = _left(plans.remainder(planned, opened, jobs, share))
    if left:
        out.print(told)
        return
    err.print(told)
    done = plans.run(planned, opened, jobs, share, images(cache), realtime)
    told = f"{len(done.recorded)} recorded · {len(done.skipped)} were there"
    out.print(f"{told} · {len(done.failed)} failed")
    if done.failed:
        raise typer.Exit(SOME_ERRORED)


def _left(rest: "Remainder") -> str:
    """What a plan still has to do, as one line."""
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
            "says what one recording is" if with_plan else "is for a plan",
            "all of it in the plan" if with_plan else "one recording at a time without --plan",
            "Leave it out, or leave out --plan." if with_plan else "Leave it out.",
        )


def _record_one(take: "Take", store: "Store", cache: Path) -> str:
    from phasewatch.lab import recording

    with err.status(f"recording {take.id}: {take.seconds:g} s and a boot"):
        return recording.record(take, store, cache, lambda line: err.print(line, soft_wrap=True))


@app.command()
def lab(as_json: AsJson = False) -> None:
    """The virtual hosts, load profiles and faults that `record` knows."""
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
        told = (f"{host.arch} {host.machine}", f"{host.memory_mb} MiB", str(host.vcpus))
        table.add_row(host.name, *told, host.background, ", ".join(host.never))
    out.print(table)
    table = Table(title="load profiles (all harmless, inside the guest only)")
    for column in ("name", "meaning", "samples listed + drawn"):
        table.add_column(column)
    for load in loads.values():
        table.add_row(load.name, load.meaning, f"{len(load.samples)} + {len(load.drawn)}")
    out.print(table)
    out.print(f"faults: {', '.join(sorted(fault.FAULTS))}")
