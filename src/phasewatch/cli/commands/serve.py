"""`phasewatch serve`, `live`, `alerts` and `events`: what a machine is doing, told to people."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli.console import PublicKey, Strict, app, err, images, out
from phasewatch.errors import Refused

if TYPE_CHECKING:
    from socket import socket

    from phasewatch.experiment.run import Run
    from phasewatch.io.trust import Trust
    from phasewatch.serve.events import ProducerContext
    from phasewatch.serve.runtime import Runtime
    from phasewatch.store.local import Store

RunFolder = Annotated[Path | None, typer.Option("--run", help="A run's folder: its checkpoints.")]
StoreFolder = Annotated[Path | None, typer.Option("--store", help="Episodes to play.")]
Chosen = Annotated[list[str] | None, typer.Option("--episode", help="Play these, one by one.")]
Bind = Annotated[str, typer.Option(help="Address; beyond loopback a token is asked for.")]
Port = Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)]
Name = Annotated[list[str] | None, typer.Option(help="A name that viewers may call this by.")]
Control = Annotated[bool, typer.Option("--allow-control", help="Viewers may play, pause, seek.")]


@app.command()
def serve(
    run: RunFolder = None,
    store: StoreFolder = None,
    episode: Chosen = None,
    bind: Bind = "127.0.0.1",
    port: Port = 8600,
    name: Name = None,
    allow_control: Control = False,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Open a page on which anyone sees which phase a machine is in, and how far to trust that.

    Plays one held-out episode of each profile, one after the other, unless --episode says which.
    The token asked for beyond loopback is drawn anew, or PHASEWATCH_TOKEN.
    """
    from phasewatch.io.trust import Trust
    from phasewatch.serve.app import listen
    from phasewatch.serve.runtime import Runtime

    given = given_of(run, store, episode or [], Trust.asked(trust, strict))
    with listen(bind, port) as sock, Runtime(given, allow_control).working() as runtime:
        _serve(runtime, sock, bind, tuple(name or ()))


def given_of(
    run: Path | None, store: Path | None, chosen: list[str], trust: "Trust"
) -> "ProducerContext":
    """What producers work with; raises Refused for what is not there."""
    from phasewatch.experiment.run import Run
    from phasewatch.serve.events import ProducerContext
    from phasewatch.store.local import Store

    found = Run.open(run) if run is not None else None
    opened = Store.open(store) if store is not None else None
    if opened is None:
        return ProducerContext(found, None, trust=trust)
    for id in chosen:
        opened.manifest(id)
    return ProducerContext(found, opened, tuple(chosen) or _one_of_each(found, opened), trust=trust)


def _one_of_each(run: "Run | None", store: "Store") -> tuple[str, ...]:
    """One episode of each profile: of those the run holds out, where there is a run."""
    split = run.split if run else None
    held = set(split.test) if split else set()
    found: dict[str, str] = {}
    for id in store.ids():
        if held and id not in held:
            continue
        try:
            manifest = store.manifest(id)
        except (Refused, OSError):
            continue
        found.setdefault(manifest.profile, id)
    return tuple(found.values())


def _serve(runtime: "Runtime", sock: "socket", bind: str, names: tuple[str, ...]) -> None:
    from phasewatch.serve.access import Access
    from phasewatch.serve.app import application, server

    token = os.environ.get("PHASEWATCH_TOKEN", "")
    access = Access.at(bind, names, token, runtime.control)
    shown = f"[{bind}]" if ":" in bind else bind
    address = f"http://{shown}:{sock.getsockname()[1]}/"
    query = f"?token={access.token}" if access.token else ""
    out.print(f"serving {address}{query}", soft_wrap=True)
    if not access.control:
        out.print("viewers may look and not touch; --allow-control lets them play and seek")
    sys.stdout.flush()
    server(application(runtime, access)).run(sockets=[sock])


@app.command()
def live(
    run: Annotated[Path, typer.Option(help="A run's folder: its checkpoints.")],
    store: Annotated[Path, typer.Option(help="Where its host's past is, and it is published.")],
    profile: Annotated[str, typer.Option(help="Load profile; see `phasewatch lab`.")],
    host: Annotated[str, typer.Option(help="Virtual host; see `phasewatch lab`.")] = "pc-small",
    sample: Annotated[str, typer.Option(help="Its id, or its number in the profile.")] = "1",
    seed: Annotated[int, typer.Option(help="Draws order, spans and companions.", min=0)] = 1,
    seconds: Annotated[float, typer.Option(help="Length.", min=40, max=600)] = 90.0,
    cache: Annotated[Path | None, typer.Option(help="Where guest images are kept.")] = None,
    bind: Bind = "127.0.0.1",
    port: Port = 8600,
    name: Name = None,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Record a real virtual machine and show it at the same time, until Ctrl-C."""
    import threading
    from dataclasses import replace

    from phasewatch.experiment.run import Run
    from phasewatch.io.trust import Trust
    from phasewatch.lab.recording import Take
    from phasewatch.serve.app import listen
    from phasewatch.serve.events import ProducerContext
    from phasewatch.serve.recorder import Show
    from phasewatch.serve.runtime import Runtime
    from phasewatch.store.local import Store

    opened = Store.open(store)
    take = replace(Take.of(profile, host, sample), seed=seed, seconds=seconds)
    given = ProducerContext(Run.open(run), opened, trust=Trust.asked(trust, strict))
    with listen(bind, port) as sock, Runtime(given).working() as runtime:
        # A model that loads while the machine runs would take the processor from it.
        runtime.replay.open()
        show = Show(take, opened, images(cache), runtime.replay, err.print)
        threading.Thread(target=show.run, name="recorder", daemon=True).start()
        _serve(runtime, sock, bind, tuple(name or ()))


@app.command()
def alerts(
    run: Annotated[Path, typer.Option(help="A run's folder: its checkpoints and report.")],
    store: Annotated[Path, typer.Option(help="Folder of the episode store.")],
    episode: Annotated[str, typer.Option(help="Episode id.")],
    model: Annotated[str, typer.Option(help="Model and mode.")] = "gbt.realistic",
    stix: Annotated[bool, typer.Option("--stix", help="A STIX 2.1 bundle.")] = False,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """The incidents of an episode under one model, at its operating point, as JSON Lines."""
    from phasewatch.io.trust import Trust
    from phasewatch.live import incidents as told
    from phasewatch.serve.producers.replay import Producer

    given = given_of(run, store, [episode], Trust.asked(trust, strict))
    producer = Producer(given, lambda event: None)
    producer.open()
    found = producer.incidents(episode, model)
    sys.stdout.write(told.stix(found) + "\n" if stix else told.json_lines(found))
    err.print(f"{len(found)} incidents")


@app.command()
def events(
    out_folder: Annotated[Path, typer.Option("--out", help="Where to write them.")],
) -> None:
    """Write the JSON Schema of every event, and the stream as AsyncAPI."""
    from phasewatch.serve import documents

    for path in documents.write(out_folder):
        out.print(str(path), soft_wrap=True)
