"""Who is told how far a deletion has come: nobody but the journal, or the ledger's batch that it serves."""

from tasks.ledger import begin_erasing, prove, reach
from tasks.registry import promote
from tmu.deletion.deletion import Outcome
from tmu.ledger.states import State
from tmu.refs import DataRef, ModelRef
from tmu.steps.ledger.batch import Work
from tmu.steps.verify_deletion import content_digest
from tmu.workspace import Workspace


class Observer:
    """Of a deletion in the workspace alone. work: the batch that it serves, here none."""

    work: Work | None = None

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @property
    def requests(self) -> tuple[str, ...]:
        """The ledger's requests that the deletion serves; none: the deletion is the request."""
        return tuple(self.work.requests) if self.work else ()

    def reach(self, state: State) -> None:
        """A stage begins."""

    def erasing(self) -> None:
        """The first byte is about to be erased. Raises HeldError where a legal hold came first."""

    def data_erased(self, data: DataRef) -> None:
        """The data have moved on to this revision."""

    def put_into_service(self, data: DataRef, outcome: Outcome) -> str:
        """Put the version that the audit decided for into service, if the data have not moved on; what came of it."""
        if outcome.waits:
            return outcome.service
        return self.put_version_into_service(data, outcome.serves, outcome.champion, outcome.service)

    def put_version_into_service(self, data: DataRef, model: ModelRef, version: int, sentence: str) -> str:
        """The same for a version of a model that no audit had to decide for. sentence: which one and why."""
        service = promote(self.workspace, data, version, self.work)
        if service.version is None:
            return "Nothing goes into service: the data have changed since this request."
        return sentence


class BatchObserver(Observer):
    """Of a deletion that serves a batch of the ledger: states, evidence and cut-over carry its fencing token."""

    def __init__(self, workspace: Workspace, work: Work) -> None:
        super().__init__(workspace)
        self.work = work

    def reach(self, state: State) -> None:
        """Record the state of all requests of the batch."""
        reach(self.workspace, self.work, state)

    def erasing(self) -> None:
        """The ledger's last look at its legal holds; from now on a hold comes too late."""
        begin_erasing(self.workspace, self.work)

    def data_erased(self, data: DataRef) -> None:
        """Attach the revision without the records."""
        self._prove("data_revision", f"dvc:{data.digest}", content_digest(self.workspace))

    def put_into_service(self, data: DataRef, outcome: Outcome) -> str:
        """Attach the audit, then go on."""
        self._prove("audit", outcome.audit.uri, outcome.audit.digest)
        return super().put_into_service(data, outcome)

    def put_version_into_service(self, data: DataRef, model: ModelRef, version: int, sentence: str) -> str:
        """Attach the model, then put it into service."""
        self._prove("model", model.uri, model.weights)
        return super().put_version_into_service(data, model, version, sentence)

    def _prove(self, kind: str, uri: str, digest: str) -> None:
        prove(self.workspace, self.work, kind, uri, digest)
