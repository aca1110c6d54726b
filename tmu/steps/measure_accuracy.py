"""How often a model is right on a split, as it answers once it is trained."""

from typing import Literal

from tmu.config import Config
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.loading import examples, forget_keys, load_model, open_store
from tmu.train import logits_of
from tmu.workspace import Workspace


class Accuracy(Config):
    """Per cent of records. right: of the model; largest_class: of answering the most frequent class every time."""

    right: float
    largest_class: float


def measure_accuracy(
    workspace: Workspace,
    data: DataRef,
    model: ModelRef,
    split: Literal["train", "test"] = "test",
    without: ForgetRef | None = None,
) -> Accuracy | None:
    """On the records of revision `data` but a forget set, without augmentation; None where the split has none."""
    left_out = forget_keys(workspace, without) if without else frozenset()
    records = examples(open_store(workspace, data), split, without=left_out)
    if not len(records):
        return None
    answers = logits_of(load_model(workspace, model)[0], records.images).argmax(1)
    return Accuracy(
        right=100 * float((answers == records.labels).double().mean()),
        largest_class=100 * float(records.labels.bincount().max()) / len(records),
    )
