"""Things to do at a start, each in a thread of its own as soon as those that it needs are done."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

from tmu.errors import TmuError

WAITS, STARTS, READY = "waits", "starts", "ready"
Tell = Callable[[str, str, str], None]
"""How progress is told: name of a step, its label, its state (WAITS, STARTS, READY or what went wrong)."""


@dataclass(frozen=True)
class Step:
    """`work` gets an event that is set when the user interrupts; it should end soon then."""

    name: str
    label: str
    work: Callable[[Event], None]
    needs: Sequence[str] = ()


def run(steps: Sequence[Step], tell: Tell) -> None:
    """Do all steps. Raises the first error when all have ended; what needs a failed step is not started."""
    done: dict[str, Future[None]] = {step.name: Future() for step in steps}
    interrupted = Event()

    def do(step: Step) -> None:
        wait([done[name] for name in step.needs])
        if interrupted.is_set() or any(done[name].exception() for name in step.needs):
            tell(step.name, step.label, "not started")
            done[step.name].set_exception(_NotStarted())
            return
        tell(step.name, step.label, STARTS)
        try:
            step.work(interrupted)
        except BaseException as error:
            tell(step.name, step.label, error.what if isinstance(error, TmuError) else type(error).__name__)
            done[step.name].set_exception(error)
        else:
            tell(step.name, step.label, READY)
            done[step.name].set_result(None)

    for step in steps:
        tell(step.name, step.label, WAITS)
    with ThreadPoolExecutor(len(steps)) as pool:
        for step in steps:
            pool.submit(do, step)
        try:
            wait(done.values())
        except KeyboardInterrupt:
            interrupted.set()
            raise
    errors = [future.exception() for future in done.values()]
    if cause := next((error for error in errors if error and not isinstance(error, _NotStarted)), None):
        raise cause


class _NotStarted(Exception):
    """Something that the step needs failed."""
