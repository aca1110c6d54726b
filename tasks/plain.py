"""A task that needs no Prefect server: called outside of a run it is a plain call of its step, with the same retries.

Inside a run Prefect keeps account of it, retries it, and looks its result up by its cache key. Outside there is no key
to look up: the step itself finds its artifact where it was made before (`tmu/steps/making.py`).
"""

import time
from typing import Any

from prefect.tasks import Task

from tasks.say import inside_run, say
from tmu.errors import StorageError, TmuError


class StepTask(Task):
    """A Prefect task that can also be called without Prefect."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The step's result; as a task run where a run of Prefect's is under way."""
        if inside_run():
            return super().__call__(*arguments, **named)
        return self._plainly(*arguments, **named)

    def _plainly(self, *arguments: Any, **named: Any) -> Any:
        for delay in self.retry_delay_seconds[: self.retries]:
            try:
                return self.fn(*arguments, **named)
            except Exception as error:
                if not may_pass(error):
                    raise
                say(f"{self.name} failed ({_cause(error)}) and is tried again in {delay} s")
                time.sleep(delay)
        return self.fn(*arguments, **named)


def may_pass(error: Exception) -> bool:
    """Whether it may pass next time: what the world caused (stores, memory, a lost device), not request or data."""
    return isinstance(error, StorageError) if isinstance(error, TmuError) else True


def _cause(error: Exception) -> str:
    """For the terminal: our own errors in full, of others the kind alone."""
    return error.what.rstrip(".") if isinstance(error, TmuError) else type(error).__name__
