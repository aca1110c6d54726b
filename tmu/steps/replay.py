"""Replay a deletion: compute its unlearned model anew from the manifest's inputs, and compare; or say what is gone.

Nothing that was computed before is used: the model goes to a store of its own, and snapshots to a folder of its own.
The table of the references loses the erased rows at a deletion's end, purged or not. As long as the data revision is
there, it is fitted again, and must be the one of the manifest.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from tmu.audit.moved import parameters_moved
from tmu.compute.threads import AUTO, Measured, keep
from tmu.config import Config
from tmu.errors import StorageError, TmuError
from tmu.evidence.manifest import Manifest, read_manifest
from tmu.files import scratch_folder
from tmu.provenance import code_digest
from tmu.refs import ModelRef
from tmu.steps.cases import UnlearnCase
from tmu.steps.fit_references import fit_references
from tmu.steps.keep_evidence import environment_here, environment_of
from tmu.steps.loading import load_model
from tmu.steps.remains import Gone, gone, remains
from tmu.steps.stored_certificate import folder_of
from tmu.steps.unlearn_model import code_of, unlearn_model
from tmu.stores.artifacts import Artifacts, LocalArtifacts
from tmu.train.engine import Progress
from tmu.workspace import Workspace, untouched

TOLERANCE = 0.2
"""Elsewhere than on the device class of the manifest: largest distance between replayed and recorded parameters, as a
share of the distance that unlearning moved them. Set after one measurement (docs/evidence.md): it is no bound."""

_REFERENCES = "references"  # as the manifest calls them
State = Literal["equal", "within tolerance", "different", "not replayable"]


class Replayed(Config):
    """What a replay found.

    state: `equal`: bit for bit. weights: SHA-256 of the replayed model's. distance: to the recorded parameters, as a
    share of what unlearning moved (None: equal, or not comparable). differences: from the manifest's device class and
    code. gone: inputs that are not there any more. checked: what still holds, in sentences.
    """

    request: str
    state: State
    weights: str | None = None
    recorded: str
    distance: float | None = None
    tolerance: float = TOLERANCE
    differences: tuple[str, ...] = ()
    gone: tuple[Gone, ...] = ()
    checked: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """In one sentence."""
        if self.state == "equal":
            return "The unlearned model was computed again: equal bit for bit."
        if self.state == "not replayable":
            names = ", ".join(each.name for each in self.gone)
            are = "are" if len(self.gone) > 1 else "is"
            return f"The unlearned model cannot be computed again: {names} {are} gone."
        if self.distance is None:
            return "The unlearned model was computed again: it has other weights, and cannot be compared further."
        share = f"{100 * self.distance:.2g} % of what unlearning moved, {100 * self.tolerance:.2g} % are tolerated"
        if self.state == "within tolerance":
            return f"The unlearned model was computed again on another device class: it is apart by {share}."
        elsewhere = "" if self.differences else ", and on the same device class none is"
        return f"The unlearned model was computed again: it is another one, apart by {share} elsewhere{elsewhere}."


def replay(workspace: Workspace, request: str, *, progress: Progress | None = None) -> Replayed:
    """Compute a deletion's unlearned model again; `not replayable` where an input is gone.

    Raises DataError where there is no manifest, or where what remains does not agree with it.
    """
    manifest = read_manifest(folder_of(workspace, request))
    missing = gone(workspace, manifest)
    refit = [each.name for each in missing] == [_REFERENCES]
    if missing and not refit:
        return _without(workspace, manifest, missing)
    with scratch_folder(workspace.root / ".tmu" / "replays") as scratch:
        apart = untouched(workspace, scratch)
        apart.artifacts = _Apart(workspace.artifacts, scratch / "artifacts", workspace.root)
        if workspace.settings.threads == AUTO:  # where a number is set, another one is told as a difference
            keep(apart, Measured(threads=manifest.environment.threads))
        case = _refitted(apart, manifest, progress) if refit else manifest.case
        if case is None:
            return _without(workspace, manifest, missing)
        return _computed(workspace, manifest, apart, case, progress)


def _without(workspace: Workspace, manifest: Manifest, missing: list[Gone]) -> Replayed:
    """What is to be said where inputs are gone."""
    checked = tuple(remains(workspace, manifest, folder_of(workspace, manifest.request)))
    facts = {"request": manifest.request, "recorded": manifest.made.unlearned.weights}
    return Replayed(state="not replayable", gone=tuple(missing), checked=checked, **facts)


def _refitted(apart: Workspace, manifest: Manifest, progress: Progress | None) -> UnlearnCase | None:
    """The case with references that were fitted again; None where they are others than those of the manifest.

    So it is with a table that came down from an earlier revision. On another device class they may differ.
    """
    case = manifest.case
    found = fit_references(apart, case.data, case.params, progress=progress)
    same = case.references is not None and found.digest == case.references.digest
    elsewhere = manifest.environment.differences(environment_here(apart, case.params))
    return case.model_copy(update={"references": found}) if same or elsewhere else None


def _computed(
    workspace: Workspace, manifest: Manifest, apart: Workspace, case: UnlearnCase, progress: Progress | None
) -> Replayed:
    model = unlearn_model(apart, case, progress=progress)
    found = apart.artifacts.find(*model.uri.split("/", 1))
    if found is None:
        raise StorageError("The replayed model is not where it was written.", "Run the same command again.")
    differences = (*manifest.environment.differences(environment_of(found)), *_other_code(manifest))
    facts = {"request": manifest.request, "weights": model.weights, "recorded": manifest.made.unlearned.weights}
    if model.weights == manifest.made.unlearned.weights:
        return Replayed(state="equal", differences=differences, **facts)
    distance = _distance(workspace, manifest, apart, model)
    near = bool(differences) and distance is not None and distance <= TOLERANCE
    return Replayed(
        state="within tolerance" if near else "different", distance=distance, differences=differences, **facts
    )


def _other_code(manifest: Manifest) -> list[str]:
    code = code_digest(*code_of(manifest.case.params))
    return [] if code == manifest.code else [f"code: {manifest.code[:12]} then, {code[:12]} now"]


def _distance(workspace: Workspace, manifest: Manifest, apart: Workspace, replayed: ModelRef) -> float | None:
    """Of the parameters, as a share of what unlearning moved; None where the recorded model is gone or none moved."""
    try:
        recorded = load_model(workspace, manifest.made.unlearned)[0]
    except TmuError:
        return None
    apart_by = parameters_moved(recorded, load_model(apart, replayed)[0])
    return apart_by / manifest.moved if manifest.moved else None


class _Apart(LocalArtifacts):
    """A store of its own for what is made; what is referred to and was not made here comes from another store."""

    def __init__(self, inputs: Artifacts, root: Path, workspace: Path) -> None:
        super().__init__(root, workspace)
        self._inputs = inputs

    def fetch(self, uri: str, digest: str, only: Collection[str] | None = None) -> Path:
        """Of what was made here that; else the input."""
        here = not uri.startswith("file:") and self.find(*uri.split("/", 1)) is not None
        return super().fetch(uri, digest, only) if here else self._inputs.fetch(uri, digest, only)
