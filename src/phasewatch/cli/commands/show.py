"""`phasewatch show`: a machine that Phasewatch did not start, on the page."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli.commands.serve import Bind, Name, Port, serve_running
from phasewatch.cli.console import PublicKey, Strict, TlsCert, TlsKey, app, err, plain

if TYPE_CHECKING:
    from phasewatch.serve.replay.playback import Playback


@app.command()
def show(
    kind: Annotated[str, typer.Argument(help="host, cgroup, qemu or libvirt.")],
    run: Annotated[Path, typer.Option(help="Folder of a run, for its models.")],
    store: Annotated[Path, typer.Option(help="Store of the run's episodes, for its schema.")],
    target: Annotated[str, typer.Argument(help="The machine, as for `phasewatch attach`.")] = "",
    bind: Bind = "127.0.0.1",
    port: Port = 8600,
    name: Name = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Serve the page of a running machine that Phasewatch did not start, until Ctrl-C.

    It is read as `phasewatch attach` reads it; its first seconds must be benign. Truth is not
    known, and nothing is stored.
    """
    from phasewatch.attach.collector import Target, checked
    from phasewatch.attach.watch.session import machines
    from phasewatch.attach.watch.stream import SystemClock
    from phasewatch.experiment.run import Run
    from phasewatch.io.tls import server_files
    from phasewatch.io.trust import Trust
    from phasewatch.serve.attached import LiveAttachment
    from phasewatch.serve.events import ProducerContext
    from phasewatch.store.local import Store

    def say(line: str) -> None:
        err.print(plain(line), soft_wrap=True)

    certificate = server_files(tls_cert, tls_key)
    wanted = Target(kind=kind, target=target, network="packets")
    checked(wanted)
    context = ProducerContext(
        Run.open(run), Store.open(store), trust=Trust.of_options(trust, strict)
    )

    def attachment(playback: "Playback") -> Callable[[], None]:
        (watched,) = machines([wanted], say, SystemClock())
        return LiveAttachment(watched, playback, say).run

    serve_running(context, attachment, (bind, port, tuple(name or ())), certificate)
