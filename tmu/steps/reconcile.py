"""Put right what a crash left between ledger and registry; which attempts nobody is at work on is the caller's to say.

The ledger is the truth: the registry's alias follows its last cut-over.
"""

from tmu.config import Config
from tmu.errors import TmuError
from tmu.files import write_atomic
from tmu.ledger import batches, serving
from tmu.ledger.actor import SYSTEM
from tmu.ledger.place import opened
from tmu.steps.ledger.batch import dataset_of
from tmu.workspace import Workspace

_ROOM = 1 << 20
"""Bytes that must fit onto the workspace's disk."""


class Righted(Config):
    """alias: the version that `champion` was put back to, or None. runs: abandoned MLflow runs that were ended."""

    alias: int | None
    runs: int


def reconcile(workspace: Workspace) -> Righted:
    """Put back the alias `champion` where it is not what the log says, and end runs that nobody works on.

    To be called while no deletion is at work.
    """
    name, registry = dataset_of(workspace), workspace.registry
    with opened(workspace) as ledger, ledger.write(SYSTEM) as tx:
        last = serving.serving(tx.connection, name)
        champion = registry.get_alias(name, "champion")
        restored = None
        if last is not None and (champion is None or champion.version != last["version"]):
            registry.set_alias(name, "champion", last["version"])
            tx.log("alias_restored", None, dataset=name, version=last["version"])
            restored = last["version"]
        batch = batches.open_batch(tx.connection, name)
    return Righted(alias=restored, runs=registry.end_abandoned(name, but_batch=batch))


def stores_answer(workspace: Workspace) -> str | None:
    """Why a deletion had better wait, in a sentence: a store that does not answer, a full disk; None where all is well.

    Attempts are counted: one that is bound to fail had better not begin.
    """
    try:
        workspace.registry.get_alias(dataset_of(workspace), "champion")
        workspace.artifacts.find("forget", "0" * 64)
        write_atomic(workspace.state("room"), bytes(_ROOM))
        workspace.state("room").unlink()
        with opened(workspace) as ledger, ledger.read():
            return None
    except TmuError as error:
        return error.what
