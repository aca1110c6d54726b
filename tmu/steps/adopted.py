"""What is said of a model that was adopted, and of those that were unlearned from it."""

from collections.abc import Iterator
from typing import Any

from tmu.deletion.plan import RETRAIN
from tmu.export.kept import exports_of
from tmu.models.bundle_files import WEIGHTS
from tmu.steps.cut_over import last_cut_over
from tmu.workspace import Workspace

POSSIBLE = (
    "The model was adopted: it was trained elsewhere, in an order and by seeds that are unknown. No gold is paired "
    "with it; every retrained model differs from it by chance as well."
)
STATED = "References and golds are trained by the recipe that was stated for it."
UNKNOWN = (
    "Its recipe is unknown: references and golds are trained by the one in params.yaml, and a difference of the "
    "recipes looks like a difference of what was learned. The audit measures both together."
)
ELSEWHERE = "the file that the model was adopted from, and every copy where it was trained: destroy them there"


def adoption_of(workspace: Workspace, weights: str) -> dict[str, Any] | None:
    """What is known of the adopted model behind some weights (`Adoption`); None where it was trained here."""
    made, seen = _made(workspace), set[str]()
    while weights in made and weights not in seen:
        seen.add(weights)
        identity = made[weights]
        if "adopted" in identity:
            return dict(identity["adopted"])
        if identity.get("stage") != "unlearned" or identity.get("method") == RETRAIN:
            return None
        weights = identity.get("original") or ""
    return None


def said_of(adoption: dict[str, Any] | None) -> tuple[str, ...]:
    """In sentences; none where the model was trained here."""
    if adoption is None:
        return ()
    return (POSSIBLE, STATED if adoption["recipe"] == "stated" else UNKNOWN)


def adoption_in_words(workspace: Workspace, weights: str) -> dict[str, str]:
    """The same as an entry of a report's provenance; empty where the model was trained here."""
    said = said_of(adoption_of(workspace, weights))
    return {"original": " ".join(said)} if said else {}


def adoption_in_service(workspace: Workspace, dataset: str) -> dict[str, Any] | None:
    """What is known of the adopted model behind the one in service; reads the record of the last cut-over."""
    own = Workspace(workspace.root, workspace.settings)  # planning looks with a scratch folder for its state
    last = last_cut_over(own, dataset)
    return None if last is None else adoption_of(workspace, last.weights)


def own_weights(workspace: Workspace) -> frozenset[str]:
    """SHA-256 of all weights that learned records here: of models, purged ones too, of files they came from, and of
    files of exports.
    """
    made = _made(workspace)
    came = {each["adopted"]["sha256"] for each in made.values() if "adopted" in each}
    went = {digest for export in exports_of(workspace) for digest in export.files.values()}
    return frozenset({*made, *came, *went})


def _made(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Identities by weights."""
    return {files[WEIGHTS]: identity for files, identity in _manifests(workspace) if WEIGHTS in files}


def _manifests(workspace: Workspace) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    held = [each.manifest for each in workspace.artifacts.manifests("model")]
    for each in (*held, *(note.manifest for note in workspace.artifacts.purged.of("model"))):
        yield each["files"], each["identity"]
