"""`phasewatch show`: machines that Phasewatch did not start, on the page."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli.commands.serve import Bind, Control, Name, Port, serve_running
from phasewatch.cli.console import LogFormat, PublicKey, Strict, TlsCert, TlsKey, app, log
from phasewatch.errors import Refused

if TYPE_CHECKING:
    from phasewatch.attach.collector import Target
    from phasewatch.attach.watch.watched import Say
    from phasewatch.serve.runtime import Runtime


@app.command()
def show(
    run: Annotated[Path, typer.Option(help="Folder of a run, for its models.")],
    store: Annotated[Path, typer.Option(help="Store of the run's episodes, for its schema.")],
    kind: Annotated[str, typer.Argument(help="host, cgroup, qemu, libvirt or received.")] = "",
    target: Annotated[
        list[str] | None,
        typer.Argument(help="The machines, each as for `phasewatch attach`; for host none."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="TOML file with a [[machine]] block each, instead."),
    ] = None,
    incidents: Annotated[
        Path | None, typer.Option(help="File of incidents; default: beside the store.")
    ] = None,
    bind: Bind = "127.0.0.1",
    port: Port = 8600,
    name: Name = None,
    allow_control: Control = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    log_format: LogFormat = "text",
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Serve the page of running machines that Phasewatch did not start, until Ctrl-C.

    They are read as `phasewatch attach` reads them; their first seconds must be benign. Several are
    judged by the model that is best on validation, and the first one by all. Truth is not known,
    and no samples are stored; incidents are.
    """
    from phasewatch.attach.watch.fit import refuse_other
    from phasewatch.attach.watch.session import one_schema
    from phasewatch.experiment.run import Run
    from phasewatch.io.tls import server_files
    from phasewatch.io.trust import Trust
    from phasewatch.serve.events import ProducerContext
    from phasewatch.store.local import Store

    certificate = server_files(tls_cert, tls_key)
    targets = _targets(kind, target or [], config)
    opened, collected = Store.open(store), one_schema(targets)
    refuse_other(f"store {store}", opened.schema, collected, targets[0].kind)
    context = ProducerContext(
        Run.open(run), opened, trust=Trust.of_options(trust, strict), ledger=incidents
    )
    serve_running(
        context,
        lambda runtime: _following(runtime, targets, log(log_format)),
        (bind, port, tuple(name or ())),
        certificate,
        allow_control,
    )


def _targets(kind: str, names: Sequence[str], config: Path | None) -> "Sequence[Target]":
    """Return the machines of the arguments, or of the file. Raises Refused."""
    from phasewatch.attach.collector import Target
    from phasewatch.attach.watch import config as configs

    if config is None:
        return [Target(kind=kind, target=one, network="packets") for one in names or [""]]
    if kind:
        remedy = "Leave one of them out."
        raise Refused("--config", "stands beside a machine", "one of both", remedy)
    found = configs.read(config)
    for name in sorted(found.model_fields_set - {"machine"}):
        expected = "[[machine]] blocks alone: `show` predicts with --run and stores no samples"
        raise Refused(f"{config}: {name}", "has no effect", expected, "Leave it out.")
    return found.machine


def _following(runtime: "Runtime", targets: "Sequence[Target]", say: "Say") -> Callable[[], None]:
    """Open the machines, and return what follows them. Raises Refused."""
    from phasewatch.attach.watch.session import machines
    from phasewatch.attach.watch.stream import SystemClock
    from phasewatch.serve.attached import (
        AttachedFleet,
        LiveAttachment,
        refuse_unloaded,
        said_missing,
    )
    from phasewatch.serve.fleet.played import headlined

    playback, fleet = runtime.replay.playback, runtime.fleet
    refuse_unloaded(playback.library.ensemble)
    watched = machines(targets, say, SystemClock())
    for one in watched:
        line = said_missing(playback.library.ensemble, one, headlined(playback.library).key)
        if line:
            say(line)
    if len(watched) == 1:
        return LiveAttachment(watched[0], playback, say).run
    fleet.fed = True
    return AttachedFleet(watched, playback, fleet.predicted, say).run
