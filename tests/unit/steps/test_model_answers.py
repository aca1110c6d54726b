"""Answers that are kept: the next audit asks the same network about the others, and a purge finds them."""

import json
from pathlib import Path
from types import SimpleNamespace

import torch

from tests.synthetic import blobs, tiny_net
from tests.unit.steps.test_audit_steps import DATA, _model, _workspace
from tmu.audit import answers as room
from tmu.config import AuditConfig, Params
from tmu.files import digest_of
from tmu.lineage.outputs import answers_with
from tmu.refs import ForgetRef, ModelRef, ReferencesRef
from tmu.steps.cases import TableAuditCase
from tmu.steps.model_answers import answers_of
from tmu.train import Examples

EVERYONE = blobs(140, seed=4)
SAMPLE, FORGET = EVERYONE.take(torch.arange(130)), EVERYONE.take(torch.arange(130, 140))
CASE = TableAuditCase(
    data=DATA,
    forget=ForgetRef(uri="forget/1", digest="1", data_digest=DATA.digest),
    original=ModelRef(uri="model/o", digest="o", weights="o", role="original"),
    unlearned=ModelRef(uri="model/u", digest="u", weights="u", role="unlearned"),
    references=ReferencesRef(uri="references/r", digest="r"),
    params=Params(audit=AuditConfig(batch_size=32)),
)


def _said(workspace: SimpleNamespace, model: ModelRef, sample: Examples) -> room.Answers:
    """As of a revision from which just this sample is drawn."""
    data = DATA.model_copy(update={"digest": f"{sample.keys[0]}-{len(sample)}.dir"})
    return answers_of(workspace, CASE.model_copy(update={"data": data}), model, tiny_net(0), sample, FORGET)


def test_the_next_audit_asks_about_the_forgotten_and_the_missing_alone(tmp_path: Path, passed: list[int]) -> None:
    workspace = _workspace(tmp_path)
    model = _model(workspace, 0)
    first = _said(workspace, model, SAMPLE.take(torch.arange(100)))
    assert passed == [128, 32] and len(first) == 110
    second = _said(workspace, model, SAMPLE.take(torch.arange(20, 130)))
    assert passed == [128, 32, 32, 32]  # 30 new people of the sample, and the forgotten
    shared = SAMPLE.keys[20:100]
    assert second.of(shared).logits.equal(first.of(shared).logits)
    _said(workspace, _model(workspace, 1), SAMPLE)
    assert passed[-2:] == [160, 32]  # another network knows nothing
    for held in workspace.artifacts.manifests("answers"):
        (tmp_path / held.uri / "answers.safetensors").write_bytes(b"damaged")
    _said(workspace, model, SAMPLE.take(torch.arange(96)))
    assert passed[-2:] == [96, 32]  # what is damaged is asked again


def test_what_is_kept_holds_no_forgotten_record(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path)
    _said(workspace, _model(workspace, 0), SAMPLE)
    (held,) = workspace.artifacts.manifests("answers")
    kept = room.Answers.load(tmp_path / held.uri / "answers.safetensors")
    assert kept.keys.equal(SAMPLE.keys)
    assert digest_of(SAMPLE.keys.tolist()) not in json.dumps(held.manifest)  # a purge note keeps it: a guess's test


def _hex(part: Examples) -> list[str]:
    """Keys of records whose first 8 bytes are the given ones."""
    return [(int(key) % 2**64).to_bytes(8, "big").hex() + "0" * 16 for key in part.keys]


def test_a_purge_finds_answers_on_a_record_of_a_model_that_learned_it_and_such_as_are_damaged(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path)
    model = _model(workspace, 0)
    _said(workspace, model, SAMPLE)
    assert len(answers_with(workspace, _hex(SAMPLE)[3:5], ())) == 1
    assert not answers_with(workspace, _hex(FORGET), ())
    assert len(answers_with(workspace, _hex(FORGET), {model.weights})) == 1
    (held,) = workspace.artifacts.manifests("answers")
    (tmp_path / held.uri / "answers.safetensors").write_bytes(b"damaged")
    assert len(answers_with(workspace, _hex(FORGET), ())) == 1
