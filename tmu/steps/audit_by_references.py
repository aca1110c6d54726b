"""Audit without golds: an unlearned model against the references' table (`tmu/audit/by_table/`)."""

from pathlib import Path
from typing import Any

import torch

from tmu.audit.answers import Answers, fresh_head
from tmu.audit.by_table import Part, TableCase, audit_by_table
from tmu.audit.by_table.report import write_table_audit
from tmu.audit.moved import parameters_moved
from tmu.config import Params
from tmu.errors import RequestError
from tmu.manifest import digest
from tmu.models.registry import module_of
from tmu.refs import AuditRef, ReferencesRef
from tmu.steps.adopted import adoption_in_words
from tmu.steps.audit_artifact import identity_of_audit, provenance_of, put_seconds, seconds_of
from tmu.steps.cases import TableAuditCase
from tmu.steps.loading import load_model
from tmu.steps.making import lane_of, make
from tmu.steps.model_answers import answers_of
from tmu.steps.read_references import find_references
from tmu.steps.table_sets import Drawn, table_sets
from tmu.train import Examples
from tmu.train.source import joined
from tmu.workspace import Workspace

_CONFIG = ("bootstrap", "batch_size", "utility_drop_pct", "share_closed", "share_left", "sample", "probes")
_PROOF = "the references' table; no model was retrained for this audit"


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step."""
    return (__name__, module_of(params.model.name))


def audit_by_references(workspace: Workspace, case: TableAuditCase, *, out: str | None = None) -> AuditRef:
    """Numbers, verdict, figures and report of one deletion, from the references' table and without a gold.

    Loads the forget set and about `audit.sample` staying and never-seen records (`table_sets`). The original is asked
    only about those that it was not asked about as the unlearned model of the deletion before. Raises RequestError
    where there are no references of this data revision, or where no training record was forgotten.
    """
    references = case.references or find_references(workspace, case.data, case.params)
    if references is None:
        raise RequestError("There are no references of this data revision.", "Run `tmu references fit`.")
    rows, params = {"original": case.original, case.method: case.unlearned}, case.params
    identity = identity_of_audit(
        code_of(params),
        case,
        rows,
        references=references.digest,
        config=params.audit.model_dump(mode="json", include={*_CONFIG, "head_records"}),
        lane=lane_of(workspace, params.train),
    )

    def build(folder: Path, run: dict[str, Any]) -> None:
        given = _case(workspace, case, references)
        audit = audit_by_table(given)
        put_seconds(audit.data["result"], run, seconds_of(workspace, rows))
        adopted = adoption_in_words(workspace, case.original.weights)
        own = {**adopted, "references": references.digest, "score": audit.outer.kind}
        write_table_audit(folder, given, audit, case.notes | provenance_of(case, rows, proof=_PROOF, **own))

    uri, folder = make(workspace, "audit", identity, build, out)
    return AuditRef(uri=uri, digest=digest(folder))


def _case(workspace: Workspace, case: TableAuditCase, references: ReferencesRef) -> TableCase:
    """Everything the pure room needs, as arrays."""
    params = case.params
    sets = table_sets(workspace, case.data, case.forget, references, params.audit.sample, params.seed)
    sample, forget = _joined([sets["retain"], sets["test"]]), sets["forget"].examples
    models = {"unlearned": case.unlearned, "original": case.original}
    nets = {name: load_model(workspace, model)[0] for name, model in models.items()}
    known = case.model_copy(update={"references": references})
    said = {name: answers_of(workspace, known, models[name], net, sample, forget) for name, net in nets.items()}
    return TableCase(
        **_parts(params, sets, said),
        config=params.audit,
        seed=params.seed,
        method=case.method,
        weights_changed=case.original.weights != case.unlearned.weights,
        parameters_moved=parameters_moved(nets["original"], nets["unlearned"]),
    )


def _parts(params: Params, sets: dict[str, Drawn], said: dict[str, Answers]) -> dict[str, Part]:
    """What both models and the references say, by part. Fresh heads are fitted on the staying people's records."""
    heads = {}
    if params.audit.probes and sets["forget"].rows.inner is not None:
        retain, config = sets["retain"].examples, params.audit
        heads = {name: fresh_head(each, retain, config.head_records, params.seed) for name, each in said.items()}
    parts = {}
    for name, drawn in sets.items():
        own = {model: answers.of(drawn.examples.keys) for model, answers in said.items()}
        logits = {model: each.logits.numpy() for model, each in own.items()}
        inner = {model: head.logits(own[model].features).numpy() for model, head in heads.items()}
        parts[name] = Part(logits, drawn.rows, drawn.subjects, inner or None, drawn.acquainted)
    return parts


def _joined(parts: list[Drawn]) -> Examples:
    each = [part.examples for part in parts]
    labels, keys = (torch.cat([getattr(one, name) for one in each]) for name in ("labels", "keys"))
    return Examples(joined([one.images for one in each]), labels, keys)
