"""What a model said of the records that audits look at, kept until the model goes: the next audit asks it about others.

The unlearned model of one deletion is the original of the next, and is not asked again about the records that stay.
"""

import contextlib
from pathlib import Path
from typing import Any

from torch import nn

from tmu.audit.answers import Answers, ask
from tmu.config import Params, TrainConfig
from tmu.errors import DataError, StorageError
from tmu.models.registry import module_of
from tmu.refs import ModelRef
from tmu.steps.cases import TableAuditCase
from tmu.steps.making import identity_of, lane_of, make
from tmu.stores.artifacts import Held
from tmu.train import Examples
from tmu.train.lane import pick_device
from tmu.workspace import Workspace

FILE = "answers.safetensors"


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step."""
    return (__name__, "tmu.steps.table_sets", module_of(params.model.name))


def answers_of(
    workspace: Workspace, case: TableAuditCase, model: ModelRef, net: nn.Module, sample: Examples, forget: Examples
) -> Answers:
    """The answers of `model`, whose network is `net`, on the sample and on the forget set of a case with references.

    Those on the sample are kept as an artifact, with the records' keys; those on the forget set are not. The identity
    outlives the purge, in a note. So it tells what the sample follows from, and no digest of keys: with a list of keys
    alone nobody can test a guess against it.
    """
    lane = lane_of(workspace, TrainConfig(precision="fp32"))
    size, device = case.params.audit.batch_size, pick_device(workspace.settings.device)
    said = {"model": model.weights, "batch_size": size, "lane": lane}
    drawn = {name: getattr(case, name).digest for name in ("data", "forget", "references")}
    drawn |= {"sample": case.params.audit.sample, "seed": case.params.seed}
    identity = identity_of("answers", code_of(case.params), **said, drawn=drawn)

    def build(folder: Path, _: dict[str, Any]) -> None:
        known = _earlier(workspace, identity)
        ask(net, sample, known, batch_size=size, device=device).save(folder / FILE)

    _, folder = make(workspace, "answers", identity, build)
    known = Answers.load(folder / FILE)
    return known.joined(ask(net, forget, batch_size=size, device=device)) if len(forget) else known


def _earlier(workspace: Workspace, identity: dict[str, Any]) -> Answers | None:
    """What the same network said in the same way of other records; None where it was never asked."""
    wanted = {name: value for name, value in identity.items() if name != "drawn"}
    found: Answers | None = None
    for held in workspace.artifacts.manifests("answers"):
        if {name: held.manifest["identity"].get(name) for name in wanted} == wanted:
            with contextlib.suppress(StorageError, DataError):  # what is damaged is asked again
                more = read_answers(workspace, held)
                found = more if found is None else found.joined(more.of(more.keys[found.lacks(more.keys)]))
    return found


def read_answers(workspace: Workspace, held: Held) -> Answers:
    """Kept answers. Raises StorageError where they are not what their manifest says."""
    return Answers.load(workspace.artifacts.fetch(held.uri, held.digest, [FILE]) / FILE)
