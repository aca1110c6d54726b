"""`tmu serve`: the HTTP API of the deletion service."""

from typing import Annotated

import typer

from tmu.cli import output
from tmu.cli.ledger import made
from tmu.cli.workspace import open_workspace


def serve(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 chooses a free port.")] = 8080,
    proxy: Annotated[
        str | None,
        typer.Option("--proxy", metavar="ADDRESS", help="The TLS proxy in front, whose X-Forwarded-For is trusted."),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", min=0.1, max=100_000, help="Calls per second allowed for one token.")
    ] = 50.0,
    as_json: output.Json = False,
) -> None:
    """Serve the HTTP API: intake, status, plan, approval, holds, board. Tokens: [bold]tmu token create[/].

    It speaks plain HTTP and listens on this machine alone; TLS is for a proxy in front. docs/api.md has the calls. The
    address is printed when it is ready to answer.

    Examples: [bold]tmu serve[/] · [bold]tmu serve --host 10.0.0.5 --port 8443 --proxy 10.0.0.4[/]
    """
    from tmu.service.app import create_app
    from tmu.service.limits import Limits
    from tmu.service.server import is_loopback, listen, run

    workspace = open_workspace()
    with made() as ledger:
        app = create_app(workspace, ledger, limits=Limits(per_second=rate, burst=max(1, int(2 * rate))))
        with listen(host, port) as listening:
            if not is_loopback(host):
                output.note("Tokens and ids travel in plain HTTP here: put a proxy with TLS in front.")
            name = f"[{host}]" if ":" in host else host
            address = f"http://{name}:{listening.getsockname()[1]}"
            output.emit({"address": address, "openapi": f"{address}/openapi.json"}, lambda: [f"Serving on {address}"])
            run(app, listening, proxy=proxy)
