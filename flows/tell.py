"""What a flow says while it works, in sentences: on its run's Logs tab and in the terminal (`tasks/say.py`)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.say import say
from tmu.errors import TmuError


def tell(line: str) -> None:
    """One sentence."""
    say(line)


@contextmanager
def telling_of_failures(what: str) -> Iterator[None]:
    """Say why the block failed, before Prefect's own traceback. what: the subject of the sentence."""
    try:
        yield
    except TmuError as error:
        say(f"{what} stopped: {error}", logging.ERROR)
        raise
    except Exception as error:  # its message may quote values: Prefect's traceback has the place
        say(f"{what} stopped by an internal error: {type(error).__name__}.", logging.ERROR)
        raise
