"""`Step`: a trace and what became of it in a purge; and the inventory of many."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from tmu.config import Config
from tmu.provenance import now
from tmu.purge.summary import Line, Model, Result
from tmu.purge.trace import Holds, Trace


class Step(Config):
    """A trace and what became of it. at: when it was acted on. reason: why it failed. refused: by its store."""

    trace: Trace
    state: Literal["open", "done", "failed"] = "open"
    at: str = ""
    reason: str = ""
    refused: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes it the same trace when it is found again, whatever its action is then."""
        return identity_of(self.trace)

    def acted(self, refusal: str = "") -> "Step":
        """It after an action. refusal: why its store refused; empty: it is done."""
        state = "failed" if refusal else "done"
        return Step(trace=self.trace, state=state, at=now(), reason=refusal, refused=bool(refusal))

    def found_again(self) -> "Step":
        """It, when it is there after the purge. What stays, or is not there, is as it was."""
        if self.trace.stays or self.state != "open":
            return self
        return Step(trace=self.trace, state="failed", at=now(), reason="It was found again.")

    @property
    def left(self) -> bool:
        """Whether it is still to be acted on."""
        return not self.trace.stays and self.state != "done"

    @property
    def result(self) -> Result:
        """In the words of the summary."""
        if self.trace.stays:
            return "stays"
        return {"open": "open", "done": "gone", "failed": "failed"}[self.state]  # type: ignore[return-value]


def identity_of(trace: Trace) -> tuple[str, ...]:
    """What makes it the same trace, whatever its action is."""
    return trace.place, trace.address, trace.version, trace.holds


def seen(step: Step, there: Trace | None, *, sure: bool) -> Step:
    """A known step after another look. sure: that what was not found is not there."""
    if there is not None:
        return Step(trace=there)
    if not sure and step.trace.ran_out(now()):
        return Step(trace=step.trace.ended())
    if not sure or step.state == "done":
        return step
    return Step(trace=step.trace.ended() if step.trace.stays else step.trace, state="done", at=now())


def lines(steps: Iterable[Step]) -> list[Line]:
    """One line a step."""
    return [
        Line(
            place=step.trace.place,
            action=step.trace.action,
            holds=step.trace.holds,
            count=1,
            result=step.result,
            why=step.trace.why or step.reason,
            until=step.trace.until,
        )
        for step in steps
    ]


def merged(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Equal lines as one, in the order of the stores."""
    counts: Counter[Line] = Counter()
    for line in lines:
        counts[line.model_copy(update={"count": 1})] += line.count
    return tuple(line.model_copy(update={"count": number}) for line, number in counts.items())


def models(steps: Iterable[Step]) -> tuple[Model, ...]:
    """The copies of weights among them."""
    return tuple(Model(trace=step.trace, result=step.result) for step in steps if step.trace.holds is Holds.WEIGHTS)
