"""What a certificate says of the deletion itself: grounds, scope, how the model was made, what serves, what is kept."""

from tmu import __version__
from tmu.certificate.audited import audit_of
from tmu.certificate.parts import Audit, DerivedModel, Group, Making, Mark, Scope, Served
from tmu.data.info import read_info
from tmu.deletion.deletion import Deletion, Stage
from tmu.errors import StorageError
from tmu.files import digest_of, read_json
from tmu.manifest import MANIFEST
from tmu.provenance import git_state, hardware, lock_digest
from tmu.purge.summary import PurgeSummary
from tmu.refs import ModelRef
from tmu.start_file import said_of_start, start_in_words
from tmu.steps.adopted import ELSEWHERE, adoption_of
from tmu.steps.cut_over import last_cut_over
from tmu.workspace import Workspace

GROUND = "the person asked for erasure (GDPR 17(1)); whether another ground applied is on record with the issuer"
HELD = "a legal hold came after the erasing had begun: what is left is kept until it is released"
MARK = Mark(
    kept="a keyed hash (HMAC) of each erased record and person, without any content",
    why="an import of the same records or person is refused (GDPR 17(3)(b), 32)",
    until="the record store itself is deleted",
)


def grounds_of(deletion: Deletion, late_holds: tuple[str, ...] = ()) -> tuple[Group, ...]:
    """The records by split with their ground, and what stays, with the reason."""
    plan = deletion.plan
    exception = HELD if late_holds else ""
    groups = [
        Group(what=split, records=count, ground=GROUND, exception=exception)
        for split, count in plan.by_split.items()
        if count
    ]
    named = (said_of_start(deletion.params.model), ELSEWHERE)  # no records of the store: `not_reached_by` names them
    others = [each for each in plan.stays if each not in named]
    return (*groups, *(Group(what="not asked for", records=None, ground="none", exception=each) for each in others))


def not_reached_by(workspace: Workspace, deletion: Deletion) -> tuple[str, ...]:
    """What lies outside of the deletion: what a start learned elsewhere; other copies of a model that was adopted."""
    adopted = deletion.base and adoption_of(workspace, deletion.base.weights)
    copies = (f"The model was adopted. No deletion reaches {ELSEWHERE}.",) if adopted else ()
    return (*start_in_words(deletion.params.model).values(), *copies)


def scope_in_numbers(deletion: Deletion, purge: PurgeSummary | None) -> Scope:
    """Counts, commitments, the plan's hash."""
    plan = deletion.plan
    return Scope(
        records=plan.n_records,
        subjects=len(plan.subjects) if purge is None else purge.n_subjects,
        shards=len(plan.shards),
        by_split=dict(plan.by_split),
        commitments={} if purge is None else dict(purge.commitments),
        plan=plan.hash,
    )


def making_of(workspace: Workspace, deletion: Deletion) -> Making:
    """Method, code, environment, seeds."""
    params, git, model = deletion.params, git_state(workspace.root), serving_model(deletion)
    return Making(
        method=deletion.method if deletion.learned else "none: no model had learned the records",
        options={name: str(value) for name, value in params.unlearn.options.items()},
        exact=deletion.exact,
        why=tuple(deletion.why),
        tool=f"tmu {__version__}",
        commit=git["commit"],
        dirty=git["dirty"],
        code=_code_of(workspace, model),
        lock=lock_digest(),
        parameters=digest_of(params.model_dump(mode="json")),
        seeds={"seed": params.seed},
        hardware={name: str(value) for name, value in hardware().items()},
        data_before=deletion.plan.data.digest,
        data_after=deletion.data.digest,
    )


def serving_model(deletion: Deletion) -> ModelRef | None:
    """The model that goes into service by this deletion; None where the one before stays."""
    return deletion.outcome.serves if deletion.outcome else deletion.unlearned


def forgot(deletion: Deletion) -> tuple[DerivedModel, ...]:
    """The model that took the place of those that learned the records."""
    model = serving_model(deletion)
    if model is None:
        return ()
    retrained = deletion.retrained or model.role == "gold"
    why = "trained without the records" if retrained else f"made to forget them by {deletion.method}"
    if deletion.exact and not retrained:
        why = f"its head was solved without the records by {deletion.method}: exact, equal to a retraining"
    fate = "retrained" if retrained else "unlearnt"
    return (DerivedModel(name=f"{model.uri}, weights {model.weights}", fate=fate, why=why),)


def served_here(workspace: Workspace, deletion: Deletion) -> tuple[Served, ...]:
    """What serves by the journal's record, where no ledger has the cut-overs."""
    last = last_cut_over(workspace, read_info(workspace.data).dataset)
    since = deletion.times.get(Stage.AUDITED) or deletion.times.get(Stage.UNLEARNED) or deletion.times[Stage.ERASED]
    return () if last is None else (Served(version=last.version, weights=last.weights, since=since),)


def audited(workspace: Workspace, deletion: Deletion) -> Audit | None:
    """The audit's numbers; None where there was none. Raises StorageError, DataError where it is out of reach."""
    if deletion.outcome is None:
        return None
    return audit_of(workspace.artifacts.fetch(deletion.outcome.audit.uri, deletion.outcome.audit.digest))


def _code_of(workspace: Workspace, model: ModelRef | None) -> str:
    """The digest of the sources that made a model, by its manifest; `unknown` where that is out of reach."""
    if model is None:
        return "unknown"
    try:
        folder = workspace.artifacts.fetch(model.uri, model.digest)
        return str(read_json(folder / MANIFEST)["identity"].get("code", "unknown"))
    except (StorageError, OSError, ValueError, KeyError):
        return "unknown"
