"""A workspace: the folder in which one dataset, its models and its deletions live.

params.yaml  dvc.yaml  data.dvc  tmu.toml     what you edit and commit
data/                                         the record store, tracked by data.dvc
.tmu/                                         keys, artifacts, snapshots, requests, MLflow's embedded store
"""

import os
import stat
import tempfile
from contextlib import AbstractContextManager
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from tmu.config import Params, load_params
from tmu.errors import ConfigError
from tmu.files import digest_of, scratch_folder, storage_errors, write_atomic
from tmu.permissions import OTHERS, keep_private, tighten
from tmu.settings import Settings, load_settings
from tmu.start_file import pinned
from tmu.stores.artifacts import Artifacts
from tmu.stores.open_artifacts import open_artifacts
from tmu.stores.s3_access import s3_access

if TYPE_CHECKING:
    from tmu.data.digest import Memo
    from tmu.data.key_ring import KeyRing
    from tmu.data.keys import Keys
    from tmu.stores.dvc import DvcVersions
    from tmu.stores.mlflow import ModelRegistry

ONLY_HOME = "TMU_ONLY_HOME"
"""The variable that binds a process to the workspace at TMU_HOME; the worker of a stack sets it for its runs."""
_PARTS = (
    "params.yaml", "dvc.yaml", "dvc.lock", "data.dvc", "tmu.toml", ".gitignore", ".dvcignore", ".dvc", ".tmu", "data",
    "out",
)  # fmt: skip
# images, keys and models never belong into git; what DVC makes for this machine alone does not either
_UNTRACKED = b"/data/\n/out/\n/weights/\n/.tmu/\n/.dvc/cache/\n/.dvc/tmp/\n/.dvc/config.local\n"


class Workspace:
    """The stores of one folder, each opened when first used."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root, self.settings = root, settings

    @classmethod
    def open(cls, root: Path | str | None = None) -> "Workspace":
        """The workspace at `root`, else at TMU_HOME, else here. Raises ConfigError where there is none.

        Where TMU_ONLY_HOME is set, as in the runs of our worker, any folder but TMU_HOME's is refused (ConfigError).
        From here on the process makes files and folders for its owner alone (`tmu.permissions.keep_private`).
        """
        keep_private()
        folder = Path(root or os.environ.get("TMU_HOME") or ".").resolve()
        _refuse_foreign(folder)
        if not (folder / "params.yaml").is_file():
            raise ConfigError(
                f"{folder} is not a workspace: it has no params.yaml.",
                "Go to your workspace or name it with --home; `tmu init` makes a new one.",
            )
        return cls(folder, load_settings(folder))

    @classmethod
    def create(cls, root: Path | str) -> "Workspace":
        """Make a workspace (or complete one): defaults, DVC, `.tmu/`, `.gitignore`; its owner's alone.

        Raises ConfigError for a folder in which every account may write, such as `/tmp`.
        """
        keep_private()
        folder = Path(root).resolve()
        _refuse_shared(folder)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".tmu").mkdir(exist_ok=True)
        for name in ("params.yaml", "dvc.yaml"):
            if not (folder / name).exists():
                write_atomic(folder / name, resources.files("tmu").joinpath("defaults", name).read_bytes())
        if not (folder / ".gitignore").exists():
            write_atomic(folder / ".gitignore", _UNTRACKED)
        workspace = cls(folder, load_settings(folder))
        workspace.versions.init()
        workspace.tighten()
        return workspace

    def reread(self) -> "Workspace":
        """The same workspace with settings and parameters read anew: for a process that lives while they change."""
        return Workspace.open(self.root)

    def tighten(self) -> int:
        """Make the folder and what tmu and DVC keep in it their owner's alone; returns how much was not.

        Other files in the folder keep their modes; nobody else gets past the folder itself.
        """
        with storage_errors(self.root):
            return self._own_root() + tighten(*self.parts)

    @property
    def parts(self) -> list[Path]:
        """What tmu and DVC keep in the folder."""
        return [self.root / name for name in _PARTS]

    def _own_root(self) -> int:
        mode = stat.S_IMODE(self.root.stat().st_mode)
        if mode & OTHERS:
            self.root.chmod(mode & ~OTHERS)
        return int(bool(mode & OTHERS))

    @property
    def data(self) -> Path:
        """The record store that `data.dvc` tracks."""
        return self.root / "data"

    def state(self, *parts: str) -> Path:
        """A path under `.tmu/`."""
        return self.root.joinpath(".tmu", *parts)

    @property
    def scratch_name(self) -> str:
        """By which this workspace's scratch folders are known in the machine's temporary folder."""
        return f"tmu-{digest_of(str(self.root))[:12]}"

    def scratch(self) -> AbstractContextManager[Path]:
        """A scratch folder outside the workspace, for who only looks; what a kill leaves of it is purged."""
        return scratch_folder(Path(tempfile.gettempdir()), self.scratch_name)

    @property
    def contents(self) -> Path:
        """The cache of which records hold the same picture; also for looking only, because planning just reads it."""
        return self.root / ".tmu" / "contents"

    @property
    def decoded(self) -> Path:
        """The decoded pictures of sets that are larger than memory."""
        return self.root / ".tmu" / "decoded"

    @property
    def index_parts(self) -> Path:
        """The cache of where each record lies; also for looking only."""
        return self.root / ".tmu" / "index"

    @property
    def md5s(self) -> "Memo":
        """The MD5s of the data's files, as long as they are unchanged."""
        from tmu.data.digest import Memo

        return Memo(read=self.root / ".tmu" / "md5s.json", write=self.state("md5s.json"))

    @cached_property
    def params(self) -> Params:
        """`params.yaml`, with the digest of the weights that training starts from, where it names any."""
        return self.pinned(load_params(self.root / "params.yaml"))

    def pinned(self, params: Params) -> Params:
        """See `tmu.start_file.pinned`."""
        return pinned(self.root, params)

    @cached_property
    def artifacts(self) -> Artifacts:
        """Bundles, twins, forget sets, audits."""
        return open_artifacts(self.settings.artifacts, self.root, s3_access(self.settings))

    @cached_property
    def versions(self) -> "DvcVersions":
        """Data revisions."""
        from tmu.stores.dvc import DvcVersions

        return DvcVersions(self.root, self.settings.dvc_remote, s3_access(self.settings))

    @cached_property
    def registry(self) -> "ModelRegistry":
        """MLflow."""
        from tmu.stores.mlflow import ModelRegistry
        from tmu.stores.mlflow_login import log_in

        log_in(self.settings)
        return ModelRegistry(self.settings.mlflow_uri, self.root, self.settings.mlflow_artifacts)

    def keys(self, *, simulated: bool) -> "Keys":
        """The HMAC keys: the public demonstration secret for simulated people, the current of our own for real ones."""
        from tmu.data.keys import DEMO_SECRET, Keys

        return Keys(DEMO_SECRET) if simulated else self.key_ring.keys

    @property
    def key_file(self) -> Path:
        """Where the secrets of the keys of real people lie."""
        return self.settings.key_file or self.state("hash.key")

    @property
    def key_ring(self) -> "KeyRing":
        """The secrets, of which the first is made where there is none."""
        from tmu.data.key_ring import new_secret, read_ring

        if not self.key_file.exists():
            write_atomic(self.key_file, new_secret())
        return read_ring(self.key_file)


def _refuse_foreign(folder: Path) -> None:
    """A process that is bound to one workspace opens no other, whatever the parameters of its run say."""
    home = os.environ.get("TMU_HOME")
    if os.environ.get(ONLY_HOME) and (not home or folder != Path(home).resolve()):
        raise ConfigError(
            f"This process works in the workspace at TMU_HOME ({home or 'not set'}) alone, not in {folder}.",
            "Leave `home` empty in the run's parameters; another workspace has its own stack.",
        )


def _refuse_shared(folder: Path) -> None:
    """A workspace is its owner's alone: a folder that all accounts share must not become one."""
    if folder.is_dir() and folder.stat().st_mode & stat.S_ISVTX:
        raise ConfigError(f"{folder} is shared by all accounts.", "Name a folder of its own.")


def untouched(place: Workspace, scratch: Path) -> Workspace:
    """The same workspace for looking only: what is derived while looking goes to `scratch`."""

    class Untouched(Workspace):
        @property
        def params(self) -> Params:
            return place.params  # read once: a plan made here is acknowledged there

        @property
        def key_file(self) -> Path:
            return place.key_file  # nothing is derived of a secret: it is there, or the people are not known

        def state(self, *parts: str) -> Path:
            return scratch.joinpath(*parts)

    return Untouched(place.root, place.settings)
