"""`phasewatch serve`, `live`, `alerts` and `events`: predictions as a page, alerts and events."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli.console import (
    BaselineOf,
    PublicKey,
    Rate,
    Strict,
    TlsCert,
    TlsKey,
    app,
    err,
    images,
    out,
)
from phasewatch.errors import Refused

if TYPE_CHECKING:
    from socket import socket

    from phasewatch.experiment.run import Run
    from phasewatch.io.tls import Certificate
    from phasewatch.io.trust import Trust
    from phasewatch.serve.events import ProducerContext
    from phasewatch.serve.runtime import Runtime
    from phasewatch.store.local import Store

RunFolder = Annotated[Path | None, typer.Option("--run", help="Folder of a run, for its models.")]
StoreFolder = Annotated[
    Path | None, typer.Option("--store", help="Folder of the episode store to replay.")
]
Chosen = Annotated[
    list[str] | None, typer.Option("--episode", help="Episode to replay; may be repeated.")
]
Bind = Annotated[
    str, typer.Option(help="Address to listen on; beyond loopback viewers need a token.")
]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)]
Name = Annotated[
    list[str] | None, typer.Option(help="Further host name of this server; may be repeated.")
]
Control = Annotated[bool, typer.Option("--allow-control", help="Let viewers play, pause and seek.")]


@app.command()
def serve(
    run: RunFolder = None,
    store: StoreFolder = None,
    episode: Chosen = None,
    bind: Bind = "127.0.0.1",
    port: Port = 8600,
    name: Name = None,
    allow_control: Control = False,
    fleet: Annotated[
        int,
        typer.Option(help="Play this many episodes at once as machines that run now.", min=0),
    ] = 0,
    incidents: Annotated[
        Path | None, typer.Option(help="File of incidents; default: beside the store.")
    ] = None,
    baseline: BaselineOf = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Serve a page that shows which phase a machine is in, and how far to trust the prediction.

    With --fleet, machines are judged by the model that is best on validation, and their incidents
    are kept in a file of SQLite, in which viewers acknowledge, note and mute them.

    Replays one held-out episode of each profile in turn, unless --episode names others.
    The token that viewers need beyond loopback is the environment variable PHASEWATCH_TOKEN, or is
    drawn at random; the address that is printed contains it.
    """
    from dataclasses import replace

    from phasewatch.io.tls import server_files
    from phasewatch.io.trust import Trust
    from phasewatch.serve.app import listen
    from phasewatch.serve.runtime import Runtime

    certificate = server_files(tls_cert, tls_key)
    refuse_fleet(fleet, run, store)
    context = replace(
        context_of(run, store, episode or [], Trust.of_options(trust, strict)),
        fleet=fleet,
        ledger=incidents,
        baseline=None if baseline is None else ",".join(baseline),
    )
    with listen(bind, port) as sock, Runtime(context, allow_control).running() as runtime:
        serve_page(runtime, sock, bind, tuple(name or ()), certificate)


def refuse_fleet(count: int, run: Path | None, store: Path | None) -> None:
    """Raise Refused for a fleet without models or episodes, or with too many machines."""
    from phasewatch.serve.fleet.played import MOST_MACHINES

    if count > MOST_MACHINES:
        expected = f"at most {MOST_MACHINES}"
        raise Refused("--fleet", f"is {count}", expected, "Serve the others elsewhere.")
    if count and (run is None or store is None):
        remedy = "Give it --run RUN --store STORE."
        raise Refused("--fleet", "has nothing to play", "a run and a store", remedy)


def context_of(
    run: Path | None, store: Path | None, chosen: list[str], trust: "Trust"
) -> "ProducerContext":
    """Return what producers work with. Raises Refused for what is not there."""
    from phasewatch.experiment.run import Run
    from phasewatch.serve.events import ProducerContext
    from phasewatch.store.local import Store, refuse_unknown

    found = Run.open(run) if run is not None else None
    opened = Store.open(store) if store is not None else None
    if opened is None:
        return ProducerContext(found, None, trust=trust)
    for id in chosen:
        refuse_unknown(id, opened.ids(), "--episode")
        opened.manifest(id)
    episodes = tuple(chosen) or _one_of_each(found, opened)
    return ProducerContext(found, opened, episodes, trust=trust)


def _one_of_each(run: "Run | None", store: "Store") -> tuple[str, ...]:
    """Return one episode of each profile, among those that the run holds out if there is a run."""
    from phasewatch.live.playback import manifests

    split = run.split if run else None
    held_out = set(split.test) if split else set()
    found: dict[str, str] = {}
    for id, manifest in manifests(store).items():
        if id in held_out or not held_out:
            found.setdefault(manifest.profile, id)
    return tuple(found.values())


def serve_page(
    runtime: "Runtime",
    sock: "socket",
    bind: str,
    names: tuple[str, ...],
    certificate: "Certificate | None",
) -> None:
    """Serve the page of a runtime on a bound socket until Ctrl-C, and print its address."""
    from phasewatch.serve.access import Access
    from phasewatch.serve.app import application, server

    token = os.environ.get("PHASEWATCH_TOKEN", "")
    access = Access.at(bind, names, token, runtime.control)
    host = f"[{bind}]" if ":" in bind else bind
    scheme = "https" if certificate else "http"
    query = f"?token={access.token}" if access.token else ""
    out.print(f"serving {scheme}://{host}:{sock.getsockname()[1]}/{query}", soft_wrap=True)
    if not access.control:
        out.print("viewers cannot move the replay; --allow-control lets them play and seek")
    sys.stdout.flush()
    server(application(runtime, access), certificate).run(sockets=[sock])


@app.command()
def live(
    run: Annotated[Path, typer.Option(help="Folder of a run, for its models.")],
    store: Annotated[
        Path, typer.Option(help="Store of earlier episodes, into which this one is written.")
    ],
    profile: Annotated[str, typer.Option(help="Load profile; see `phasewatch lab`.")],
    host: Annotated[str, typer.Option(help="Virtual host; see `phasewatch lab`.")] = "pc-small",
    sample: Annotated[str, typer.Option(help="Sample of the profile, by id or number.")] = "1",
    seed: Annotated[
        int, typer.Option(help="Random seed for the order and lengths of acts.", min=0)
    ] = 1,
    seconds: Annotated[
        float, typer.Option(help="Length of the episode in seconds.", min=40, max=600)
    ] = 90.0,
    cache: Annotated[Path | None, typer.Option(help="Folder of guest images.")] = None,
    bind: Bind = "127.0.0.1",
    port: Port = 8600,
    name: Name = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Record a virtual machine and serve the page of its phases at the same time, until Ctrl-C."""
    from dataclasses import replace

    from phasewatch.experiment.run import Run
    from phasewatch.io.tls import server_files
    from phasewatch.io.trust import Trust
    from phasewatch.lab.recording import Take
    from phasewatch.serve.events import ProducerContext
    from phasewatch.serve.recorder import LiveRecording
    from phasewatch.store.local import Store

    certificate = server_files(tls_cert, tls_key)
    opened = Store.open(store)
    take = replace(Take.of(profile, host, sample), seed=seed, seconds=seconds)
    context = ProducerContext(Run.open(run), opened, trust=Trust.of_options(trust, strict))

    def recording(runtime: "Runtime") -> Callable[[], None]:
        playback = runtime.replay.playback
        return LiveRecording(take, opened, images(cache), playback, err.print).run

    serve_running(context, recording, (bind, port, tuple(name or ())), certificate)


def serve_running(
    context: "ProducerContext",
    begin: "Callable[[Runtime], Callable[[], None]]",
    address: tuple[str, int, tuple[str, ...]],
    certificate: "Certificate | None",
    control: bool = False,
) -> None:
    """Serve the page of machines that run now, until Ctrl-C.

    `begin` takes what the page shows and returns what a thread does to follow the machines;
    `address` is where to bind, the port, and the names that Host may have; with `control` viewers
    may change what can be changed. Raises Refused.
    """
    import threading

    from phasewatch.serve.app import listen
    from phasewatch.serve.runtime import Runtime

    bind, port, names = address
    with listen(bind, port) as sock, Runtime(context, control).running() as runtime:
        # A model that loads while the machine is followed would take the processor from it.
        runtime.replay.open()
        following = begin(runtime)
        threading.Thread(target=following, name="following", daemon=True).start()
        serve_page(runtime, sock, bind, names, certificate)


@app.command()
def alerts(
    run: Annotated[Path, typer.Option(help="Folder of a run, with its checkpoints and report.")],
    store: Annotated[Path, typer.Option(help="Folder of the episode store.")],
    episode: Annotated[str, typer.Option(help="Id of the episode.")],
    model: Annotated[str, typer.Option(help="Model and mode, joined by a dot.")] = "gbt.realistic",
    rate: Rate = 0.5,
    stix: Annotated[bool, typer.Option("--stix", help="Print a STIX 2.1 bundle instead.")] = False,
    ocsf: Annotated[
        bool, typer.Option("--ocsf", help="Print OCSF Detection Findings instead, one a line.")
    ] = False,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Print the incidents that one model finds in an episode, as JSON Lines.

    The model raises incidents by the rule that the report of the run chose on validation.
    """
    from phasewatch.experiment.run import Run
    from phasewatch.io.trust import Trust
    from phasewatch.live import exports
    from phasewatch.live.playback import episode_incidents
    from phasewatch.store.local import Store

    opened = Store.open(store)
    found = episode_incidents(
        Run.open(run), opened, episode, model, Trust.of_options(trust, strict), rate
    )
    if stix:
        sys.stdout.write(exports.stix(found) + "\n")
    else:
        sys.stdout.write(exports.ocsf(found) if ocsf else exports.json_lines(found))
    err.print(f"{len(found)} incidents")


@app.command()
def events(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder to write the files into.")],
) -> None:
    """Write the JSON Schema of every event, and an AsyncAPI description of the stream."""
    from phasewatch.serve import documents

    for path in documents.write(out_folder):
        out.print(str(path), soft_wrap=True)
