"""A deletion of the planted person by the command line, as a user would do it, with the search before and after."""

import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.erasure.planted import PERSON, pictures_of_digits, quick_parameters

_TMU = (sys.executable, "-c", "from tmu.cli import main; main()")
_LOAD = (
    "import sys, tempfile, mlflow\n"
    "mlflow.set_tracking_uri(sys.argv[1])\n"
    "mlflow.artifacts.download_artifacts('models:/tmu-faces/1', dst_path=tempfile.mkdtemp())"
)


@dataclass(frozen=True)
class Ground:
    """Where it happens. name: as the lists call it. settings: TMU_… of the workspace, such as its remote."""

    name: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Of every command: no temporary folder, Prefect or DVC of this machine is touched or searched."""
        own = {"TMPDIR": self.folder / "tmp", "TMU_SEARCH_TEMPORARY": self.folder / "tmp"}
        own |= {"PREFECT_HOME": self.folder / "prefect", "TMU_HOME": self.folder / "w"}
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("TMU_", "AWS_", "MLFLOW_"))}
        quiet = {
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "OMP_NUM_THREADS": "1",
        }
        return plain | {name: str(value) for name, value in own.items()} | quiet | self.settings


@dataclass(frozen=True)
class Lists:
    """The reports of both searches, as JSON."""

    ground: str
    before: dict[str, Any]
    after: dict[str, Any]


def searched(ground: Ground) -> Lists:
    """Import, delete, search, purge, search. Raises RuntimeError with the output of a command that failed."""
    workspace, pictures = ground.folder / "w", ground.folder / "pictures"
    for folder in (ground.folder / "tmp", ground.folder / "prefect"):
        folder.mkdir(parents=True)
    who = pictures_of_digits(pictures)
    tmu(ground, "init", str(workspace))
    quick_parameters(workspace)
    tmu(ground, "data", "import", "image-folder", "--root", str(pictures), "--subjects-csv", str(who),
        "--dataset", "faces", "--holdout", "0.35", "--test", "0.35")  # fmt: skip
    _deleted(ground)
    _loaded(ground)
    inventory, planted = str(ground.folder / "inventory.json"), str(pictures / "planted")
    before = tmu(ground, "verify-erasure", "--subject", PERSON, "--pictures", planted, "--before", inventory)
    tmu(ground, "purge", "--yes", accepted=(0, 7))
    after = tmu(ground, "verify-erasure", "--subject", PERSON, "--pictures", planted, "--after", inventory,
                accepted=(0, 6, 7))  # fmt: skip
    return Lists(ground.name, before, after)


def tmu(ground: Ground, *arguments: str, accepted: tuple[int, ...] = (0,)) -> Any:
    """A command's JSON. accepted: exit codes that are no failure."""
    command = [*_TMU, "--json", *arguments]
    done = subprocess.run(command, env=ground.environment, capture_output=True, text=True, check=False)
    if done.returncode not in accepted:
        raise RuntimeError(
            f"tmu {arguments[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return json.loads(done.stdout)


def _deleted(ground: Ground) -> None:
    """The deletion through the ledger: asked for, approved by somebody else, carried out."""
    request = f"planted-{secrets.token_hex(4)}"
    tmu(ground, "request", "receive", "--id", request, "--subject", PERSON)
    tmu(ground, "delete", "--subject", PERSON, "--yes", accepted=(8,))
    approve = [sys.executable, "-m", "bench.erasure.approve"]
    subprocess.run(approve, env=ground.environment, check=True)
    tmu(ground, "delete", "--subject", PERSON, "--yes")


def _loaded(ground: Ground) -> None:
    """Somebody fetches version 1 to use it, and leaves the copy in the temporary folder."""
    address = f"sqlite:///{ground.folder / 'w' / '.tmu' / 'mlflow.db'}"
    subprocess.run([sys.executable, "-c", _LOAD, address], env=ground.environment, check=True, capture_output=True)
