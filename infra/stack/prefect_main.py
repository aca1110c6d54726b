"""Prefect's server behind the gate: `python -m infra.stack.prefect_main PORT`.

As `prefect server start`, with the application wrapped (`gate.py`): Prefect asks for a login itself, on web sockets
too, and knows nothing of Host and Origin.
"""

import sys


def main() -> None:
    """Serve Prefect's API, page and schedules on the loopback until asked to stop."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    from infra.stack.gate import guarded
    from infra.stack.ports import LOOPBACK
    from tmu.service.server import Patient

    port, settings = int(sys.argv[1]), get_current_settings().server
    if settings.api.auth_string is None:
        sys.exit("error: PREFECT_SERVER_API_AUTH_STRING is not set: nothing is served without a login.")
    uvicorn.run(
        guarded(create_app(final=True), port),
        host=LOOPBACK,
        port=port,
        http=Patient,  # refuses calls with two lengths
        timeout_keep_alive=settings.api.keepalive_timeout,
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
        log_level=settings.logging_level.lower(),
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()
