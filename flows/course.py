"""Who is told how far a deletion has come: nobody but the journal, or the ledger's batch that it serves."""

from typing import Any

from tasks.promote import promote
from tasks.record import prove, reach
from tmu.ledger.states import State
from tmu.refs import DataRef
from tmu.steps.batch import Work
from tmu.steps.verify_deletion import content_digest
from tmu.workspace import Workspace


class Course:
    """A deletion in the workspace alone. `work`: the batch that it serves, here none."""

    work: Work | None = None

    def reach(self, state: State) -> None:
        """A stage begins."""

    def data_erased(self, data: DataRef) -> None:
        """The data have moved on to this revision."""

    def cut_over(self, home: str, data: DataRef, outcome: dict[str, Any]) -> dict[str, Any]:
        """Put the version that the audit decided for into service, if the data have not moved on; what came of it."""
        service = promote(home, data, outcome["champion"], self.work)
        if service.version is None:
            return outcome | {"service": "Nothing goes into service: the data have moved on since this request."}
        return outcome


class InBatch(Course):
    """A deletion that serves a batch of the ledger: states, evidence and cut-over carry its fencing token."""

    def __init__(self, home: str, work: Work):
        self.home, self.work = home, work

    def reach(self, state: State) -> None:
        """Record the state of all requests of the batch."""
        reach(self.home, self.work, state)

    def data_erased(self, data: DataRef) -> None:
        """Attach the revision without the records."""
        prove(self.home, self.work, "data_revision", f"dvc:{data.digest}", content_digest(Workspace.open(self.home)))

    def cut_over(self, home: str, data: DataRef, outcome: dict[str, Any]) -> dict[str, Any]:
        """Attach audit and model, then put the model into service."""
        prove(home, self.work, "audit", outcome["audit"]["uri"], outcome["audit"]["digest"])
        prove(home, self.work, "model", outcome["serves"]["uri"], outcome["serves"]["weights"])
        return super().cut_over(home, data, outcome)
