"""`phasewatch show`: a machine that Phasewatch did not start, on the page."""

import threading
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.cli.commands.serve import Bind, Name, Port, serve_page
from phasewatch.cli.console import PublicKey, Strict, TlsCert, TlsKey, app, err, plain


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
    from phasewatch.serve.app import listen
    from phasewatch.serve.attached import LiveAttachment
    from phasewatch.serve.events import ProducerContext
    from phasewatch.serve.runtime import Runtime
    from phasewatch.store.local import Store

    def say(line: str) -> None:
        err.print(plain(line), soft_wrap=True)

    certificate = server_files(tls_cert, tls_key)
    wanted = Target(kind=kind, target=target, network="packets")
    checked(wanted)
    context = ProducerContext(
        Run.open(run), Store.open(store), trust=Trust.of_options(trust, strict)
    )
    with listen(bind, port) as sock, Runtime(context).running() as runtime:
        # A model that loads while the machine is read would take the processor from it.
        runtime.replay.open()
        (watched,) = machines([wanted], say, SystemClock())
        live = LiveAttachment(watched, runtime.replay.playback, say)
        threading.Thread(target=live.run, name="attached", daemon=True).start()
        serve_page(runtime, sock, bind, tuple(name or ()), certificate)
