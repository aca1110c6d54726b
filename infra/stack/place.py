"""Where one stack lives: its workspace, settings, state folder and the environment that its processes get."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tmu.errors import ConfigError
from tmu.prefect_api import PrefectApi
from tmu.settings import STACK, Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
MARK = "TMU_STACK_PROCESS"
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
_FAMILIES = ("LC_", "TMU_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "REQUESTS_", "CURL_")
_QUIET = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PYTHONUNBUFFERED": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_LONGEST_SOCKET = 90  # characters; the system allows 107, and supervisord appends its pid while it makes the file


@dataclass(frozen=True)
class Stack:
    """The servers of one workspace. `home`: absolute path of the workspace."""

    home: Path
    settings: Settings

    @classmethod
    def open(cls, home: Path) -> "Stack":
        """The stack of a workspace. Raises ConfigError where none was ever started."""
        if not (home / STACK).is_file():
            raise ConfigError(f"No stack was started in {home} yet.", f"Start it: `make up WORKSPACE={home}`.")
        return cls(home, load_settings(home))

    def need(self, name: str) -> Any:
        """A setting that the servers cannot do without; secrets as plain text. Raises ConfigError if it is missing."""
        value = getattr(self.settings, name)
        if value is None:
            hint = f"`make up` makes what an earlier version lacked; else restore {self.home / STACK} from your backup."
            raise ConfigError(f"Setting `{name}` is missing.", hint)
        return value.get_secret_value() if isinstance(value, SecretStr) else value

    @property
    def prefect(self) -> PrefectApi:
        """The stack's Prefect server, with its login."""
        return PrefectApi(self.need("prefect_api_url"), self.need("prefect_login"))

    def state(self, *parts: str) -> Path:
        """A path below `.tmu/stack/`."""
        return self.home.joinpath(".tmu", "stack", *parts)

    @property
    def socket(self) -> Path:
        """Supervisord's socket: in the state folder, or, where that path is too long for one, below /tmp."""
        usual = self.state("supervisor.sock")
        if len(str(usual)) <= _LONGEST_SOCKET:
            return usual
        short = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir(), f"tmu-{short}", "supervisor.sock")

    def mark(self, name: str) -> str:
        """What tells a process of this stack from any other: the value of its variable TMU_STACK_PROCESS."""
        return f"{self.need('stack_id')}:{name}"

    def variables(self, name: str, **more: str) -> dict[str, str]:
        """What the process `name` gets beside the variables that all have, which supervisord passes on."""
        return {"TMU_HOME": str(self.home), MARK: self.mark(name), **more}

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """All variables of the process `name`: few of the shell's, so that no stray setting gets in."""
        ours = {key: value for key, value in os.environ.items() if _passes(key)}
        nowhere = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1", "localhost")))
        local = {"NO_PROXY": nowhere, "no_proxy": nowhere}
        return {**ours, **local, **_QUIET, **self.variables(name, **more)}


def secrets_of(stack: Stack) -> list[Path]:
    """The files that a worker has no need to read."""
    key = stack.settings.key_file or stack.home / ".tmu" / "hash.key"
    return [key, stack.home / ".tmu" / "tokens.json", stack.home / STACK]


def _passes(name: str) -> bool:
    return name in _PASSED or name.startswith(_FAMILIES) or name.lower().endswith("_proxy")
