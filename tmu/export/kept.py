"""The record of exports: copies of models that lie elsewhere."""

from collections.abc import Iterator

from tmu import manifest
from tmu.config import Config
from tmu.files import read_json
from tmu.workspace import Workspace

KIND, RECORD = "export", "export.json"


class Export(Config):
    """One export. weights: SHA-256 of the model's. files: SHA-256 by name. at, withdrawn: ISO 8601; withdrawn: when its
    holder said that it is destroyed; empty: not yet.
    """

    id: str
    dataset: str
    version: int
    weights: str
    forms: tuple[str, ...]
    files: dict[str, str]
    at: str
    withdrawn: str = ""


def exports_of(workspace: Workspace) -> Iterator[Export]:
    """All exports of the workspace, oldest first."""
    folders = [workspace.artifacts.fetch(held.uri, held.digest) for held in workspace.artifacts.manifests(KIND)]
    withdrawn = {}
    found = []
    for folder in folders:
        kept = read_json(folder / RECORD)
        if manifest.read(folder)["identity"]["stage"] == KIND:
            found.append(Export.model_validate(kept))
        else:
            withdrawn[kept["id"]] = kept["at"]
    for export in sorted(found, key=lambda each: (each.at, each.id)):
        yield export.model_copy(update={"withdrawn": withdrawn.get(export.id, "")})
