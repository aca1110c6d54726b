"""A worker process of this machine: reads items from its line, does them, and ends with its parent.

The line is one end of a socket pair that nobody else can reach. Standard input is the life line: it closes when the
parent dies, also by kill -9, and the worker then ends at once.
"""

import os
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any

from tmu.compute.outcome import CalledOff, Told, failed, perform


def main(descriptor: int) -> None:
    """The whole life of a worker. descriptor: of its end of the line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    _end_with_the_parent()
    line = Connection(descriptor)

    def tell(*words: Any) -> None:
        if line.poll():  # nothing is sent to a busy worker: the line was closed
            raise CalledOff
        line.send(Told(words))

    try:
        work = line.recv()
        while True:
            item = line.recv()
            outcome = perform(work, item, tell)
            try:
                line.send(outcome)
            except (TypeError, AttributeError, ValueError) as error:  # a result that cannot be sent
                line.send(failed(error))
    except (EOFError, BrokenPipeError, ConnectionResetError, CalledOff):
        return
    except (ImportError, AttributeError) as error:  # the work, or an item's class, is not to be found here
        line.send(failed(error))


def _end_with_the_parent() -> None:
    life = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # what the work reads from standard input is not for it
    os.close(nothing)
    threading.Thread(target=lambda: (os.read(life, 1), os._exit(1)), daemon=True).start()
