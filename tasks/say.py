"""What work says while it runs: in the Logs tab of its Prefect run, else in the terminal.

Prefect is looked at only where it is loaded already, so that something can be said before it is set up.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

Say = Callable[[str], None]


def say(line: str, level: int = logging.INFO) -> None:
    """One line for whoever watches. level: of the line in the run's log."""
    speaker(level)(line)


def speaker(level: int = logging.INFO) -> Say:
    """`say` as it is here and now, to be called from another thread: the run is known to this one alone."""
    logger = _run_logger()
    if logger is not None and logger.isEnabledFor(level):
        return lambda line: logger.log(level, line)  # Prefect prints it on stderr, too
    return _print


@contextmanager
def heard(name: str = "tmu.steps") -> Iterator[None]:
    """Say what the loggers of a package note while the block runs, from INFO on; no other handler says it again."""
    logger, handler = logging.getLogger(name), _Saying(logging.INFO)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), record.levelno)


def inside_run() -> bool:
    """Whether this is called within a run that Prefect keeps account of."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _run_logger() -> "logging.Logger | logging.LoggerAdapter | None":
    if not inside_run():
        return None
    from prefect.logging import get_run_logger

    return get_run_logger()


def _print(line: str) -> None:
    """On stderr, so that JSON on stdout stays clean."""
    if sys.stderr is not None:
        Console(stderr=True, highlight=False).print(Text.assemble(("•", "bold"), f" {line}"), soft_wrap=True)


def _go_on(console: Console) -> None:
    """Whoever watched is gone, such as a worker that was killed: the run goes on, and nobody hears it."""
    console.quiet = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


Console.on_broken_pipe = _go_on  # type: ignore[method-assign]  # Rich's own ends the process, also from Prefect's logs
