"""Typed references as the user writes them: a folder that a step wrote, `file:PATH`, or `kind/key` of a store."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmu import manifest
from tmu.cli.workspace import inside
from tmu.errors import ConfigError
from tmu.refs import ForgetRef, ModelRef, ReferencesRef, TwinRef

if TYPE_CHECKING:
    from tmu.workspace import Workspace


def forget_ref(workspace: "Workspace", text: str) -> ForgetRef:
    """A forget set."""
    uri, folder, content = _find(workspace, text, "forget")
    return ForgetRef(uri=uri, digest=manifest.digest(folder), data_digest=content["identity"]["data"])


def twin_ref(workspace: "Workspace", text: str) -> TwinRef:
    """A fitted twin problem."""
    uri, folder, _ = _find(workspace, text, "twin")
    return TwinRef(uri=uri, digest=manifest.digest(folder))


def references_ref(workspace: "Workspace", text: str) -> ReferencesRef:
    """Fitted references."""
    uri, folder, _ = _find(workspace, text, "references")
    return ReferencesRef(uri=uri, digest=manifest.digest(folder))


def model_ref(workspace: "Workspace", text: str, role: str) -> ModelRef:
    """A model bundle of one role (original, gold, unlearned). ConfigError for another role."""
    uri, folder, content = _find(workspace, text, "model")
    found = content["identity"].get("stage")
    if found != role:
        raise ConfigError(f"{text} is a model of the role `{found}`, not `{role}`.", "Name another model.")
    weights = content["files"].get("weights.safetensors", "")
    return ModelRef(uri=uri, digest=manifest.digest(folder), weights=weights, role=role)


def identity(workspace: "Workspace", text: str, kind: str) -> dict[str, Any]:
    """What determined an artifact: the manifest's identity."""
    return _find(workspace, text, kind)[2]["identity"]


def _find(workspace: "Workspace", text: str, kind: str) -> tuple[str, Path, dict[str, Any]]:
    """(uri, local folder, manifest)."""
    uri, folder = _locate(workspace, text)
    content = manifest.read(folder, ConfigError)
    if content["kind"] != kind:
        raise ConfigError(f"{text} holds an artifact of kind `{content['kind']}`, not `{kind}`.", "Name another one.")
    return uri, folder, content


def _locate(workspace: "Workspace", text: str) -> tuple[str, Path]:
    if text.startswith("file:"):
        return text, workspace.root / text.removeprefix("file:")
    if Path(text).is_dir():
        return f"file:{inside(workspace, text)}", Path(text)
    kind, slash, key = text.partition("/")
    folder = workspace.artifacts.find(kind, key) if slash and "/" not in key else None
    if folder is None:
        raise ConfigError(
            f"There is no sound artifact `{text}`.", "Give a folder that a step wrote, or the kind/key that it printed."
        )
    return text, folder
