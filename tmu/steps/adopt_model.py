"""Adopt a model that was trained elsewhere on the records of this workspace: it becomes the original.

From then on a deletion unlearns from it as from one that was trained here. Two things differ, and the plan and the
audit say so (`tmu/steps/adopted.py`): its order and seeds are unknown, so that no gold is paired with it; and
references follow the recipe that params.yaml states for it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tmu.config import Config, Params, Seeds
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import ConfigError, ModelError, RequestError
from tmu.files import digest_of
from tmu.manifest import digest
from tmu.models.bundle import Arch, save_bundle
from tmu.models.bundle_files import weights_digest
from tmu.models.fitting import refuse_misfit
from tmu.models.registry import head_of
from tmu.models.start import Start, begin
from tmu.refs import DataRef, ModelRef
from tmu.steps.adopted import own_weights
from tmu.steps.loading import open_store
from tmu.steps.making import identity_of, lane_of, make
from tmu.steps.starts import keep_start, read_start
from tmu.steps.suppress import refuse_suppressed
from tmu.steps.train_model import arch_of, code_of
from tmu.words import counted
from tmu.workspace import Workspace


class Adoption(Config):
    """What is known of a model that was trained elsewhere.

    classes: names in the order of its outputs; empty: in the dataset's order. recipe: whether params.yaml states how it
    was trained. records: whether somebody listed what it learned, or all of the training set is assumed.
    """

    weights: Path
    classes: tuple[str, ...] = ()
    recipe: Literal["stated", "unknown"] = "stated"
    records: Literal["listed", "assumed"] = "assumed"


def adopt_model(workspace: Workspace, data: DataRef, params: Params, adoption: Adoption) -> ModelRef:
    """The bundle of an adopted model, which counts as an original of the data revision.

    Raises ModelError where the weights do not fit the architecture tensor by tensor, head included, or are those that
    training starts from; ConfigError where its classes are not the dataset's, or params.yaml asks for a ridge head;
    RequestError for weights that were trained or adopted here before.
    """
    _refuse_ridge(params)
    start = _weights(adoption.weights, params)
    keep_start(workspace, params)
    store = open_store(workspace, data)
    refuse_suppressed(workspace, store)
    arch = arch_of(store, params)
    refuse_misfit(arch)
    order = _order(adoption.classes, arch.classes)
    known = {"sha256": start.sha256, "recipe": adoption.recipe, "records": adoption.records, "order": order}
    identity = identity_of(
        "original",
        (__name__, *code_of(params)),
        data=data.digest,
        forget=None,
        model=params.model.made_of(),
        train=params.train.model_dump(mode="json"),
        seeds=Seeds.all(params.seed).model_dump(mode="json"),
        lane=lane_of(workspace, params.train),
        adopted=known,
    )
    _refuse_again(workspace, start.sha256, identity)

    def build(folder: Path, run: dict[str, Any]) -> None:
        save_bundle(folder, _network(arch, start, order), arch, identity)
        run.update(n_records=int((store.index().splits == SPLITS.index("train")).sum()))

    uri, folder = make(workspace, "model", identity, build)
    return ModelRef(uri=uri, digest=digest(folder), weights=weights_digest(folder), role="original")


def refuse_other_records(store: RecordStore, subjects: Sequence[str], records: Sequence[str]) -> None:
    """Check what an adopted model learned, by keys (HMAC), against the training set.

    Raises RequestError where the two differ: a record that it learned outside of the training set would never be
    unlearned, and one of the training set that it did not learn would be looked for in vain.
    """
    index = store.index()
    rows, missing = index.find_records(list(records))
    found = np.concatenate([rows, *(index.find_subject(key) for key in subjects)]).astype(np.int64)
    unknown = len(missing) + sum(not len(index.find_subject(key)) for key in subjects)
    listed, train = np.zeros(len(index), bool), index.splits == SPLITS.index("train")
    listed[found] = True
    outside, unseen = int((listed & ~train).sum()), int((train & ~listed).sum())
    if unknown or outside or unseen:
        raise RequestError(
            f"What the model learned is not the training set: {unknown} unknown here, {outside} in hold-out or test, "
            f"{unseen} of the training set that it did not learn.",
            "Import the dataset with a `split` that says `train` for exactly what the model learned.",
        )


def _refuse_again(workspace: Workspace, sha256: str, identity: dict[str, Any]) -> None:
    """What was erased meanwhile must not come back; and what was said of a model once, plans and audits rest on."""
    if sha256 in own_weights(workspace) and workspace.artifacts.find("model", digest_of(identity)) is None:
        raise RequestError(
            "These weights were trained or adopted in this workspace before, from other data or with other statements.",
            "They may hold what was erased since: adopt a model of the training set as it is now.",
        )


def _refuse_ridge(params: Params) -> None:
    """Its network may have learned the records; `exact-head` would call exact what changes the head alone."""
    if params.ridge_head:
        raise ConfigError(
            "A model with a ridge head cannot be adopted: nobody here can tell that its network never learned records.",
            "State its recipe with `train.head: sgd`; or start from weights that never saw the records (`model.init`), "
            "and train the ridge head here.",
        )


def _weights(path: Path, params: Params) -> Start:
    """The weights of a file that are not those which training starts from."""
    if not path.is_file():
        raise ConfigError(f"There is no file {path}.", "Name the model's weights as safetensors.")
    start = read_start(path)
    assert start is not None  # a path was given
    if start.sha256 == params.model.init_sha256:
        raise ModelError(
            "These are the weights that training starts from (`model.init`).", "Name those of the trained model."
        )
    return start


def _network(arch: Arch, start: Start, order: list[int]) -> nn.Module:
    """The network with these weights, its outputs in the dataset's order."""
    with torch.random.fork_rng(devices=[]):
        model = arch.build()
    if begin(model, start):
        raise ModelError(
            f"The weights have no head for the dataset's {counted(len(arch.classes), 'class', 'classes')}.",
            "Adopt a model that was trained on these classes; `model.init` starts from any other.",
        )
    _reorder(head_of(model), order)
    return model


def _order(theirs: tuple[str, ...], ours: tuple[str, ...]) -> list[int]:
    """Where each of our classes is among the model's outputs."""
    if not theirs:
        return list(range(len(ours)))
    if sorted(theirs) != sorted(ours):
        raise ConfigError(
            f"The model's classes are not the dataset's: {len({*theirs} - {*ours})} of them are unknown here, and "
            f"{len({*ours} - {*theirs})} of the dataset's are not among them.",
            "Name each class of `tmu data show` once, in the order of the model's outputs.",
        )
    return [theirs.index(name) for name in ours]


def _reorder(head: nn.Linear, order: list[int]) -> None:
    def moved(tensor: Tensor) -> Tensor:
        return tensor.detach()[order].clone()

    with torch.no_grad():
        head.weight.copy_(moved(head.weight))
        if head.bias is not None:
            head.bias.copy_(moved(head.bias))
