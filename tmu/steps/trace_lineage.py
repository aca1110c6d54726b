"""What a person's records reached, and what a model saw: see `docs/lineage.md`. Nothing is written."""

from collections.abc import Collection

from tmu.errors import RequestError
from tmu.lineage.closure import closure
from tmu.lineage.graph import Graph
from tmu.lineage.learners import learners
from tmu.lineage.wanted import NOTHING, wanted_of
from tmu.workspace import Workspace


def lineage_of_records(workspace: Workspace, subjects: Collection[str], records: Collection[str]) -> Graph:
    """Everything that came from the data, and which of it holds the records (keys). Raises RequestError."""
    return closure(workspace, wanted_of(workspace, subjects, records))


def lineage_of_model(workspace: Workspace, weights: str) -> Graph:
    """What a model (SHA-256 of its weights, or its beginning) came from, and what came from it. Raises RequestError."""
    found = {each.weights: each for each in learners(workspace) if each.weights.startswith(weights)}
    if len(found) != 1 or len(weights) < 8:
        raise RequestError(
            "What was named is no model here, or the beginning of several.",  # not repeated: it may be an id
            "Name a version (`3`, `@champion`), or eight digits or more of the weights' SHA-256.",
        )
    (model,) = found.values()
    graph = closure(workspace, NOTHING).around(model.address)
    return graph.model_copy(update={"asked": f"the model {model.address}"})


def purged_for(workspace: Workspace, graph: Graph) -> dict[str, str]:
    """The request by the address of each thing that a purge destroyed."""
    purged = workspace.artifacts.purged
    found = {node.id: purged.find(node.id) for node in graph.nodes if node.state == "destroyed"}
    return {address: each.request for address, each in found.items() if each is not None}
