"""What has learned from data: models and twins, by their manifests, wherever this machine can see one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tmu import manifest
from tmu.config import Config
from tmu.errors import StorageError
from tmu.files import digest_of
from tmu.stores.artifacts import Held
from tmu.workspace import Workspace

_KINDS = ("model", "twin", "statistics")
_NO_RECORD = ("reference-twin",)  # stages of twins that are of no single record
STATISTICS = "statistics"
"""The stage of a ridge head's statistics: they learned what the model learned that was solved from them."""
_WEIGHTS = ("weights.safetensors", "twin.safetensors", "statistics.safetensors")


class Learner(Config):
    """A model, the statistics of one, or a fine-tuned twin. address: `kind/key` or `file:PATH`. weights: SHA-256 of its
    weights' file.

    stage: `original`, `gold`, `unlearned`, `twin` or `statistics`. revision: of the data that it was trained on.
    forget: digest of the forget set that it does without, or was made to forget; None: of none. original: weights of
    the model that it was made of. method: of an unlearned one. identity: digest of all that determines it; a model and
    its statistics have the same. purged: it was destroyed; its purge note says what it was.
    """

    address: str
    weights: str
    stage: str
    revision: str
    forget: str | None = None
    original: str | None = None
    method: str | None = None
    identity: str = ""
    purged: bool = False


def learners(workspace: Workspace) -> list[Learner]:
    """All of them: in the artifact store, in the local cache of one in S3, in stage folders; and the purged ones."""
    found = [_learner(held.uri, held.manifest) for held in artifacts(workspace, *_KINDS)]
    for kind in _KINDS:
        for purged in workspace.artifacts.purged.of(kind):
            found.append(_learner(purged.uri, purged.manifest, purged=True))
    there = {each.address for each in found if each and not each.purged}
    return [each for each in found if each and not (each.purged and each.address in there)]


def artifacts(workspace: Workspace, *kinds: str) -> Iterator[Held]:
    """The artifacts of some kinds by their manifests, also those of `out/` and of the cache; no other file is read."""
    for kind in kinds:
        listed = workspace.artifacts.manifests(kind)
        yield from listed
        there = {held.uri for held in listed}
        cached = ((f"{kind}/{folder.name}", folder) for folder in workspace.artifacts.held(kind))
        yield from _read((uri, folder) for uri, folder in cached if uri not in there)
    for held in _read((f"file:{folder.relative_to(workspace.root)}", folder) for folder in stage_folders(workspace)):
        if held.manifest["kind"] in kinds:
            yield held


def stage_folders(workspace: Workspace) -> list[Path]:
    """What `dvc.yaml` stages left: folders of `out/` with a manifest, or a record store."""
    found = (path for path in sorted((workspace.root / "out").glob("*")) if path.is_dir())
    return [path for path in found if (path / manifest.MANIFEST).is_file() or (path / "store.json").is_file()]


def _read(folders: Iterator[tuple[str, Path]]) -> Iterator[Held]:
    for uri, folder in folders:
        try:
            yield Held(uri, manifest.digest(folder), manifest.read(folder))
        except (StorageError, OSError):
            continue  # a record store of a stage, or half a copy: no model can be loaded from it


def _learner(address: str, made: dict[str, Any], *, purged: bool = False) -> Learner | None:
    identity, files = made["identity"], made["files"]
    weights = next((files[name] for name in _WEIGHTS if name in files), None)
    if weights is None or identity.get("stage") in _NO_RECORD:
        return None
    facts = {name: identity.get(name) for name in ("stage", "forget", "original", "method")}
    facts |= {"stage": STATISTICS} if made["kind"] == STATISTICS else {}
    facts |= {"identity": digest_of(identity)}
    return Learner(address=address, weights=weights, revision=identity["data"], purged=purged, **facts)
