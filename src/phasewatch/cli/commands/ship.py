"""`phasewatch receive` and `ship`: episodes are sent from recording hosts to a central store."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.cli.console import (
    SOME_ERRORED,
    StorePath,
    TlsCert,
    TlsKey,
    app,
    err,
    out,
    plain,
    progress,
)
from phasewatch.errors import Refused

MIB = 1 << 20


@app.command()
def receive(
    store: StorePath,
    tokens: Annotated[
        Path, typer.Option(help='TOML file of lines host = "token", readable by its owner only.')
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8470,
    body_mb: Annotated[int, typer.Option(help="Largest episode, in MiB.", min=1)] = 64,
    rate: Annotated[int, typer.Option(help="Most uploads a minute from one host.", min=1)] = 600,
    reserve_mb: Annotated[
        int, typer.Option(help="Disk space that stays free, in MiB.", min=0)
    ] = 1024,
    slots: Annotated[int, typer.Option(help="Most connections at a time.", min=1, max=1024)] = 32,
    samples: Annotated[
        Path | None,
        typer.Option(help="Folder for samples that `phasewatch attach --to` sends; else none."),
    ] = None,
    keep_mb: Annotated[
        int, typer.Option(help="Samples of a host that are kept, in MiB; older ones go.", min=8)
    ] = 256,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """Receive episodes that `phasewatch ship` sends, and write them into a store, until Ctrl-C.

    With --samples it also receives the samples of machines that run now, each line once.
    Without --tls-cert and --tls-key it uses plain HTTP: to listen beyond this machine, put a TLS
    proxy or an SSH tunnel before it.
    """
    from phasewatch import schema
    from phasewatch.io import tls
    from phasewatch.store.local import Store
    from phasewatch.store.receiver import Limits, Receiver, read_tokens, refuse_other_files
    from phasewatch.store.samples import Samples
    from phasewatch.store.server import Server, try_to_listen

    refuse_other_files(store)
    hosts = read_tokens(tokens)
    limits = Limits(body_mb * MIB, rate, reserve_mb * MIB, slots)
    files = tls.server_files(tls_cert, tls_key)
    # Before the store is made: a slip in the address leaves nothing behind.
    try_to_listen(host, port)
    opened = Store.create(store, schema.vm46())
    kept = Samples(samples, hosts.values(), keep_mb * MIB) if samples else None

    def log(line: str) -> None:
        err.print(plain(line), soft_wrap=True)

    with (
        Receiver(opened, hosts, limits) as receiver,
        kept or nullcontext(),
        Server((host, port), receiver, log, files, kept) as server,
    ):
        shown = f"[{host}]" if ":" in host else host
        scheme = "https" if files else "http"
        line = f"receiving at {scheme}://{shown}:{server.server_address[1]} for "
        out.print(line + ", ".join(sorted(hosts.values())), soft_wrap=True)
        server.serve_forever()


@app.command()
def ship(
    store: Annotated[Path, typer.Argument(help="Folder of the episode store.")],
    url: Annotated[str, typer.Argument(help="URL that `phasewatch receive` printed.")],
    token: Annotated[Path, typer.Option(help="File that holds the token of this host.")],
    episode: Annotated[
        str, typer.Option(help="Id of one episode; all of the store when not given.")
    ] = "",
    tries: Annotated[int, typer.Option(help="Most attempts for each episode.", min=1, max=100)] = 8,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete each episode here once the receiver has it.")
    ] = False,
    ca: Annotated[
        Path | None, typer.Option(help="Certificates (PEM) to trust instead of the system's.")
    ] = None,
) -> None:
    """Send episodes to a receiver; one that it already has is acknowledged and not stored again.

    Exit code 3 means that some episodes were not accepted. They stay in this store. The others are
    sent all the same, unless the receiver is down or would decline every episode.
    """
    from phasewatch.io import atomic
    from phasewatch.io.link import read_token
    from phasewatch.store import client as shipping
    from phasewatch.store.local import Store

    atomic.refuse_url(store)
    opened = Store.open(store)
    ids = shipping.selected_ids(opened, episode)
    connection = shipping.Connection(url, read_token(token), tries, authority=ca)
    taken = 0
    with progress("shipping", len(ids)) as tick:
        for id in ids:
            try:
                shipping.ship(opened, id, connection, remove)
                taken += 1
            except Refused as refused:
                err.print(plain(f"phasewatch: {refused}"), soft_wrap=True)
                if isinstance(refused, shipping.ReceiverUnavailable):
                    break
            tick()
    connection.close()
    out.print(f"{taken} acknowledged · {len(ids) - taken} not taken")
    if taken < len(ids):
        raise typer.Exit(SOME_ERRORED)
