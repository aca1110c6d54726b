"""How often a model is right on the test split, which no model is trained on."""

from tmu.refs import DataRef, ModelRef
from tmu.steps.loading import examples, load_model, open_store
from tmu.train import logits_of
from tmu.workspace import Workspace


def measure_accuracy(workspace: Workspace, data: DataRef, model: ModelRef) -> float | None:
    """Per cent of the test records of revision `data`; None where it has none."""
    records = examples(open_store(workspace, data), "test")
    if not len(records):
        return None
    answers = logits_of(load_model(workspace, model)[0], records.images).argmax(1)
    return 100 * float((answers == records.labels).double().mean())
