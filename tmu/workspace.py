"""A workspace: the folder in which one dataset, its models and its deletions live.

params.yaml  dvc.yaml  data.dvc  tmu.toml     what you edit and commit
data/                                         the record store, tracked by data.dvc
.tmu/                                         keys, artifacts, snapshots, requests, MLflow's embedded store
"""

import os
import secrets
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from tmu.config import Params, load_params
from tmu.errors import ConfigError
from tmu.files import storage_errors, write_atomic
from tmu.settings import Settings, load_settings
from tmu.stores.artifacts import Artifacts, open_artifacts
from tmu.stores.s3_keys import s3_keys

if TYPE_CHECKING:
    from tmu.data.keys import Keys
    from tmu.stores.dvc import DvcVersions
    from tmu.stores.mlflow import ModelRegistry

# images, keys and models never belong into git; what DVC makes for this machine alone does not either
_UNTRACKED = b"/data/\n/out/\n/.tmu/\n/.dvc/cache/\n/.dvc/tmp/\n/.dvc/config.local\n"


class Workspace:
    """The stores of one folder, each opened when first used."""

    def __init__(self, root: Path, settings: Settings):
        self.root, self.settings = root, settings

    @classmethod
    def open(cls, root: Path | str | None = None) -> "Workspace":
        """The workspace at `root`, else at TMU_HOME, else here. Raises ConfigError where there is none."""
        folder = Path(root or os.environ.get("TMU_HOME") or ".").resolve()
        if not (folder / "params.yaml").is_file():
            raise ConfigError(
                f"{folder} is not a workspace: it has no params.yaml.",
                "Go to your workspace or name it with --home; `tmu init` makes a new one.",
            )
        return cls(folder, load_settings(folder))

    @classmethod
    def create(cls, root: Path | str) -> "Workspace":
        """Make a workspace (or complete one): defaults, DVC, a private `.tmu/`, `.gitignore`."""
        folder = Path(root).resolve()
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".tmu").mkdir(mode=0o700, exist_ok=True)
        for name in ("params.yaml", "dvc.yaml"):
            if not (folder / name).exists():
                write_atomic(folder / name, resources.files("tmu").joinpath("defaults", name).read_bytes())
        if not (folder / ".gitignore").exists():
            write_atomic(folder / ".gitignore", _UNTRACKED)
        workspace = cls(folder, load_settings(folder))
        workspace.versions.init()
        return workspace

    @property
    def data(self) -> Path:
        """The record store that `data.dvc` tracks."""
        return self.root / "data"

    def state(self, *parts: str) -> Path:
        """A path under `.tmu/`."""
        return self.root.joinpath(".tmu", *parts)

    @cached_property
    def params(self) -> Params:
        """`params.yaml`."""
        return load_params(self.root / "params.yaml")

    @cached_property
    def artifacts(self) -> Artifacts:
        """Bundles, twins, forget sets, audits."""
        return open_artifacts(self.settings.artifacts, self.root, self.settings.s3_endpoint, s3_keys(self.settings))

    @cached_property
    def versions(self) -> "DvcVersions":
        """Data revisions."""
        from tmu.stores.dvc import DvcVersions

        settings = self.settings
        return DvcVersions(self.root, settings.dvc_remote, settings.s3_endpoint, s3_keys(settings))

    @cached_property
    def registry(self) -> "ModelRegistry":
        """MLflow."""
        from tmu.stores.mlflow import ModelRegistry
        from tmu.stores.mlflow_login import log_in

        log_in(self.settings)
        return ModelRegistry(self.settings.mlflow_uri, self.root, self.settings.mlflow_artifacts)

    def keys(self, *, simulated: bool) -> "Keys":
        """The HMAC keys: the public demonstration secret for simulated people, this workspace's own for real ones."""
        from tmu.data.keys import DEMO_SECRET, Keys

        return Keys(DEMO_SECRET if simulated else self._secret())

    def _secret(self) -> bytes:
        path = self.settings.key_file or self.state("hash.key")
        if not path.exists():
            write_atomic(path, secrets.token_bytes(32), private=True)
        return path.read_bytes()


def untouched(place: Workspace, scratch: Path) -> Workspace:
    """The same workspace for looking only: what is derived while looking goes to `scratch`."""

    class Untouched(Workspace):
        def state(self, *parts: str) -> Path:
            return scratch.joinpath(*parts)

    return Untouched(place.root, place.settings)
