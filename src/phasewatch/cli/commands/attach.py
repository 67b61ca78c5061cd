"""`phasewatch attach`: watches machines that Phasewatch did not start."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli import tables
from phasewatch.cli.console import LogFormat, PublicKey, Strict, app, log

if TYPE_CHECKING:
    from phasewatch.attach.watch.config import Config
    from phasewatch.attach.watch.metrics import Metrics
    from phasewatch.attach.watch.predictions import Predictions
    from phasewatch.attach.watch.sending import Sending
    from phasewatch.attach.watch.session import Session
    from phasewatch.attach.watch.watched import Say
    from phasewatch.io.trust import Trust


Kind = Annotated[str, typer.Argument(help="host, cgroup, qemu, libvirt or received.")]
Machine = Annotated[
    str,
    typer.Argument(
        help="qemu: process id, QMP socket or name. libvirt: domain. cgroup: path, unit or "
        "container id. host: none. received: folder of a host of `receive --samples`."
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file that names the machines instead.")
]
BundleFolder = Annotated[
    Path | None, typer.Option("--bundle", help="Bundle to predict with; else samples are printed.")
]
Levels = Annotated[
    Path | None,
    typer.Option("--levels", help="Folder in which the levels of machines are kept."),
]
NewLevels = Annotated[
    bool, typer.Option("--new-levels", help="Measure the levels anew: now is benign.")
]
Receivers = Annotated[
    list[str] | None,
    typer.Option(
        "--alert",
        help="Receiver of incidents: syslog://HOST, syslog+tcp://HOST, https://…, mqtt://HOST; "
        "repeatable.",
    ),
]
OutStore = Annotated[Path | None, typer.Option("--out", help="Store to write episodes into.")]
PhaseLabel = Annotated[
    str, typer.Option("--label", help="Phase of the episodes; without it they have none.")
]
Profile = Annotated[
    str,
    typer.Option("--profile", help="What the machine does in the episodes; default: the phases."),
]
Marks = Annotated[
    bool, typer.Option("--marks", help="Take phases typed on standard input as labels.")
]
Receiver = Annotated[
    str,
    typer.Option("--to", help="URL of a `phasewatch receive --samples` that takes the samples."),
]
Token = Annotated[
    Path | None, typer.Option("--token", help="File that holds the token of this host.")
]
Authority = Annotated[
    Path | None, typer.Option("--ca", help="Certificates (PEM) to trust instead of the system's.")
]
Buffer = Annotated[
    Path | None,
    typer.Option("--buffer", help="Folder in which samples wait until they are acknowledged."),
]
MetricsPort = Annotated[
    int,
    typer.Option(
        "--metrics", help="Port of this machine for Prometheus; 0: none.", min=0, max=65535
    ),
]
Seconds = Annotated[
    float, typer.Option("--seconds", help="Length of the watch; 0 watches until Ctrl-C.", min=0)
]
Name = Annotated[str, typer.Option("--name", help="Name of the machine in what is written.")]
Socket = Annotated[str, typer.Option("--qmp", help="qemu: QMP socket, if it is not found.")]
Port = Annotated[str, typer.Option("--interface", help="Network interface of the guest's port.")]
Connection = Annotated[str, typer.Option("--connect", help="libvirt: URI of the connection.")]
Network = Annotated[
    str, typer.Option("--network", help="Read packets, the interface's counters, or off.")
]
Unstable = Annotated[
    bool,
    typer.Option("--unstable", help="qemu: ask QEMU's unstable commands too (7.2 or later)."),
]


@app.command()
def attach(
    kind: Kind = "",
    target: Machine = "",
    config: ConfigFile = None,
    bundle: BundleFolder = None,
    levels: Levels = None,
    new_levels: NewLevels = False,
    alert: Receivers = None,
    out_store: OutStore = None,
    label: PhaseLabel = "",
    profile: Profile = "",
    marks: Marks = False,
    to: Receiver = "",
    token: Token = None,
    ca: Authority = None,
    buffer: Buffer = None,
    metrics: MetricsPort = 0,
    log_format: LogFormat = "text",
    seconds: Seconds = 0.0,
    name: Name = "",
    qmp: Socket = "",
    interface: Port = "",
    connect: Connection = "",
    network: Network = "packets",
    unstable: Unstable = False,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Watch machines that Phasewatch did not start, by reading alone.

    Samples are printed as JSON Lines, which `phasewatch watch` reads; with --bundle predictions
    are. What is not measured, and why, is said on standard error when the watch begins.
    """
    from phasewatch.io.trust import Trust

    options = {"qmp": qmp, "interface": interface, "connect": connect, "network": network}
    machine = {"kind": kind, "target": target, "name": name, "unstable": unstable, **options}
    outputs: dict[str, object] = {"label": label, "profile": profile, "alert": alert or []}
    outputs |= {"to": to, "metrics": metrics}
    files = {"bundle": bundle, "out": out_store, "levels": levels}
    files |= {"token": token, "ca": ca, "buffer": buffer}
    outputs |= {name: str(path or "") for name, path in files.items()}
    chosen = _config(config, machine, outputs)
    say = log(log_format)
    session = _session(chosen, marks, new_levels, Trust.of_options(trust, strict), say)
    # A watch ends by Ctrl-C as it should: episodes are finished, and nothing was cancelled.
    try:
        for one in session.run(seconds):
            sys.stdout.write(one if isinstance(one, str) else one.line())
            sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        pass


def _config(path: Path | None, machine: dict[str, object], outputs: dict[str, object]) -> "Config":
    """Return the file's configuration, or that of the options. Raises Refused for both."""
    from phasewatch.attach.watch import config
    from phasewatch.errors import Refused
    from phasewatch.io import fields

    if path is None:
        value = {"machine": [machine], **outputs}
        return fields.validate(config.Config, value, "attach")
    if machine["kind"]:
        raise Refused(
            "--config",
            "stands beside a machine",
            "machines in the file, or one in the command",
            "Leave one of them out.",
        )
    found = config.read(path)
    return found.model_copy(update={name: value for name, value in outputs.items() if value})


def _session(
    config: "Config", marks: bool, new_levels: bool, trust: "Trust", say: "Say"
) -> "Session":
    """Return the watch that a configuration describes, opened. Raises Refused."""
    from phasewatch.attach.watch import alerts
    from phasewatch.attach.watch import session as sessions
    from phasewatch.attach.watch.stream import SystemClock

    _refuse_idle(config, marks, new_levels)
    layout = sessions.one_schema(config.machine) if config.out or config.bundle else None
    if layout is not None:
        sessions.refuse_phase(layout, config.label)
    predictions = _predictions(config, trust, say) if config.bundle else None
    senders = alerts.senders(config.alert)
    clock = SystemClock()
    session = sessions.Session(
        sessions.machines(config.machine, say, clock), say, clock, predictions
    )
    if layout is not None and config.out:
        from phasewatch.store.local import Store

        session.record(
            Store.create(Path(config.out), layout), config.label, config.episode_s, config.profile
        )
        if marks:
            sessions.typed(session, layout)
    if config.to:
        session.sending = _sending(config, say)
    if config.metrics:
        session.metrics = _metrics(config.metrics)
    if predictions is not None:
        if senders:
            session.alerts = alerts.Alerts(predictions.bundle.name, senders, say)
        _begin(session, predictions, config, new_levels)
    return session


def _refuse_idle(config: "Config", marks: bool, new_levels: bool) -> None:
    """Raise Refused for an option that has no effect beside the others."""
    from phasewatch.errors import Refused

    if (config.label or config.profile or marks) and not config.out:
        raise Refused("--label", "has no effect", "--out, a store to write into", "Add --out.")
    if config.levels and not config.bundle:
        raise Refused("--levels", "has no effect", "--bundle, which uses levels", "Add it.")
    if config.alert and not config.bundle:
        raise Refused("--alert", "has no effect", "--bundle, which raises incidents", "Add it.")
    if (config.token or config.ca or config.buffer) and not config.to:
        raise Refused("--token", "has no effect", "--to, a receiver of samples", "Add --to.")
    if config.to and not (config.token and config.buffer):
        expected = "--token FILE and --buffer FOLDER beside it"
        raise Refused("--to", "is not enough", expected, "Add what is missing.")
    if new_levels and not config.levels:
        expected = "--levels, a folder of levels"
        raise Refused("--new-levels", "has no effect", expected, "Add --levels.")


def _predictions(config: "Config", trust: "Trust", say: "Say") -> "Predictions":
    """Return the predictions of a bundle. Raises Refused for one that reads other channels."""
    from phasewatch.artifacts import bundle
    from phasewatch.attach.watch.fit import refuse_other
    from phasewatch.attach.watch.predictions import Predictions
    from phasewatch.attach.watch.session import schema_of
    from phasewatch.live.levels import KeptLevels

    loaded = bundle.load(Path(config.bundle), trust)
    for target in config.machine:
        refuse_other("bundle", loaded.schema, schema_of(target), target.kind)
    kept = KeptLevels(Path(config.levels), loaded.schema) if config.levels else None
    return Predictions(loaded, kept, say)


def _metrics(port: int) -> "Metrics":
    """Return metrics that are served at a port. Raises Refused."""
    from phasewatch.attach.watch.metrics import Metrics

    metrics = Metrics()
    metrics.serve(port)
    return metrics


def _sending(config: "Config", say: "Say") -> "Sending":
    """Return what sends samples to a receiver. Raises Refused for an address that it cannot."""
    from phasewatch.attach.watch.sending import Sending
    from phasewatch.io.link import Link, read_token

    authority = Path(config.ca) if config.ca else None
    link = Link(config.to, read_token(Path(config.token)), authority=authority)
    return Sending(link, Path(config.buffer), config.buffer_mb << 20, say)


def _begin(
    session: "Session", predictions: "Predictions", config: "Config", new_levels: bool
) -> None:
    """Say of each machine what a bundle lacks, what that costs, and what its level is."""
    from phasewatch.artifacts import bundle, dropout
    from phasewatch.attach.watch.fit import cost, lacking
    from phasewatch.attach.watch.session import schema_of

    loaded, folder = predictions.bundle, Path(config.bundle)
    known = dropout.read(folder, bundle.load_terms(folder).digest)
    if loaded.simulated:
        session.say(f"{loaded.name}: {tables.TRAINED_ON_SIMULATED}")
    for one in session.watched:
        collected = schema_of(one.target)
        line = cost(lacking(loaded.schema, collected, one.missing()), known)
        if line:
            session.say(f"{one.name}: {loaded.name} {line}")
        session.say(
            f"{one.name}: {predictions.begin(one.name, session.clock.wall_ns(), new_levels)}"
        )
