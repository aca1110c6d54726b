"""Prefect's command line for workers that outlast their server: `python -m infra.stack.worker_main worker start …`.

Prefect 3.8 gives up its loops after some errors in a row. A worker hears of cancellations by a web socket and, once
that broke, by asking; the asking ends for good after three errors (some 20 s without a server), and no run of that
worker can be cancelled from then on, which only a line in its log tells. The loop that fetches runs ends after a few
minutes, and the worker with it. Here both go on asking.
"""

import functools

_ERRORS = 100_000  # in a row, at some seconds each: days


def keep_asking() -> None:
    """Let a worker's loops outlast an outage of the server."""
    from prefect._internal import observers
    from prefect.workers import base

    for module in (observers, base):
        module.critical_service_loop = functools.partial(module.critical_service_loop, consecutive=_ERRORS)


def main() -> None:
    """Prefect's own command line."""
    keep_asking()
    from prefect.cli import app

    app()


if __name__ == "__main__":
    main()
