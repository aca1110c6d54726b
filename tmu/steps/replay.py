"""Replay: make the model of a deletion again, from its manifest, and compare; or say truthfully what is gone."""

from collections.abc import Iterator
from pathlib import Path

from safetensors.torch import load_file

from tmu.deletion.deletion import Deletion
from tmu.deletion.replay import Made, Outcome, Part, Replayed
from tmu.errors import DataError, RequestError, StorageError, TmuError
from tmu.files import discard, read_json, write_atomic
from tmu.models.bundle import WEIGHTS
from tmu.provenance import code_digest, hardware, lock_digest
from tmu.refs import Ref
from tmu.steps.cases import UnlearnCase
from tmu.steps.making import lane_of
from tmu.steps.unlearn_model import code_of, unlearn_model
from tmu.train.engine import Progress
from tmu.unlearn import needs_references, needs_twin
from tmu.workspace import Workspace

TOLERANCE = 1e-2
"""On another device class: the largest difference of a weight over the largest weight that still counts as close.

Sums in another order differ in the last bits, and training carries them on. Nothing smaller is promised.
"""


def manifest_path(workspace: Workspace, request: str) -> Path:
    """Where the manifest of a deletion lies."""
    return workspace.state("evidence", request, "manifest.json")


def write_manifest(workspace: Workspace, deletion: Deletion) -> Path | None:
    """Write the manifest of a deletion that led to a model; None where it led to none."""
    if deletion.unlearned is None or deletion.base is None or deletion.data is None:
        return None
    referring = needs_references(deletion.method)
    made = Made(
        request=deletion.id,
        before=deletion.plan.data,
        after=deletion.data,
        forget=deletion.forget,
        base=deletion.base,
        references=deletion.references if referring else None,
        twin=deletion.twin if referring or needs_twin(deletion.method) else None,
        params=deletion.params,
        code=code_digest(*code_of(deletion.params)),
        packages=lock_digest(),
        lane=lane_of(workspace, deletion.params.train),
        hardware=hardware(),
        unlearned=deletion.unlearned,
        audit=deletion.outcome and deletion.outcome.audit,
    )
    path = manifest_path(workspace, deletion.id)
    write_atomic(path, made.model_dump_json(indent=2).encode())
    return path


def read_manifest(workspace: Workspace, request: str) -> Made:
    """The manifest of a deletion. Raises RequestError where there is none, StorageError where it is damaged."""
    path = manifest_path(workspace, request)
    if not path.is_file():
        raise RequestError(
            f"Request {request} has no manifest.", "Only a completed deletion that led to a model has one: `tmu show`."
        )
    try:
        return Made.model_validate(read_json(path))
    except ValueError as error:
        raise StorageError(f"The manifest of request {request} is damaged.", "Take it from the bundle.") from error


def replay(workspace: Workspace, request: str, *, progress: Progress | None = None) -> Replayed:
    """Make the model of a deletion again, without what is kept of it, and compare the weights.

    Where an input was purged, nothing is made; the digests of all that is there are checked. Raises RequestError where
    the deletion has no manifest.
    """
    made = read_manifest(workspace, request)
    parts = tuple(_looked_at(workspace, made))
    again, apart = None, None
    if all(part.state == "sound" for part in parts if part.name in _INPUTS):
        again, apart = _made_again(workspace, made, progress)
    same_class = made.lane == lane_of(workspace, made.params.train)
    return Replayed(
        request=request,
        outcome=_outcome(made, again, apart, same_class=same_class),
        same_class=same_class,
        same_code=made.code == code_digest(*code_of(made.params)),
        apart=apart,
        weights=made.unlearned.weights,
        again=again,
        parts=parts,
    )


_INPUTS = ("data before", "forget set", "model before", "references", "twin")


def _outcome(made: Made, again: str | None, apart: float | None, *, same_class: bool) -> Outcome:
    if again is None:
        return "gone"
    if again == made.unlearned.weights:
        return "equal"
    return "close" if not same_class and apart is not None and apart <= TOLERANCE else "differs"


def _looked_at(workspace: Workspace, made: Made) -> Iterator[Part]:
    """All inputs and outputs, each compared with its digest."""
    for name, digest in (("data before", made.before.digest), ("data after", made.after.digest)):
        yield _data_part(workspace, name, digest)
    named: dict[str, Ref | None] = {
        "forget set": made.forget,
        "model before": made.base,
        "references": made.references,
        "twin": made.twin,
        "unlearned model": made.unlearned,
        "audit": made.audit,
    }
    for name, ref in named.items():
        if ref is not None:
            yield _artifact_part(workspace, name, ref)


def _data_part(workspace: Workspace, name: str, digest: str) -> Part:
    try:
        workspace.versions.linked(digest)
    except (DataError, StorageError) as error:
        return Part(name=name, state="gone", text=error.what)
    return Part(name=name, state="sound")


def _artifact_part(workspace: Workspace, name: str, ref: Ref) -> Part:
    try:
        workspace.artifacts.fetch(ref.uri, ref.digest)
    except TmuError as error:
        there = any(held.uri == ref.uri for held in workspace.artifacts.manifests(ref.kind))
        return Part(name=name, state="damaged" if there else "gone", text=error.what)
    return Part(name=name, state="sound")


def _made_again(workspace: Workspace, made: Made, progress: Progress | None) -> tuple[str, float | None]:
    """Digest of the weights as they come out now, and how far they are from those of then."""
    case = UnlearnCase(
        data=made.before,
        forget=made.forget,
        original=made.base,
        twin=made.twin,
        references=made.references,
        params=made.params,
    )
    folder = workspace.state("replay", made.request)
    try:
        out = folder.relative_to(workspace.root).as_posix()
        again = unlearn_model(workspace, case, progress=progress, out=out)
        return again.weights, _apart(workspace, made, folder)
    finally:
        if folder.exists():
            discard(folder)


def _apart(workspace: Workspace, made: Made, folder: Path) -> float | None:
    """Largest difference of a weight over the largest weight; None where it is gone or of another form."""
    try:
        then = load_file(workspace.artifacts.fetch(made.unlearned.uri, made.unlearned.digest) / WEIGHTS)
    except TmuError:
        return None
    now = load_file(folder / WEIGHTS)
    if then.keys() != now.keys() or any(then[name].shape != now[name].shape for name in then):
        return None
    scale = max((float(weight.abs().max()) for weight in then.values() if weight.numel()), default=0.0)
    gap = max(float((then[name].double() - now[name].double()).abs().max()) for name in then if then[name].numel())
    return gap / scale if scale else gap
