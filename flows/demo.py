"""The demonstration: twenty simulated contributors ask to be deleted from a digit classifier.

Everything is real but the people: import, training, a deletion request through the `delete` flow with its audit, MLflow
versions. It runs in a folder of its own, which each run makes anew.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from flows.runtime import prepare, run_flow
from flows.tell import tell
from tmu.errors import ConfigError
from tmu.files import write_atomic
from tmu.steps.import_data import import_data
from tmu.workspace import Workspace

MARK = ".tmu-demo"
CONTRIBUTORS = [f"contributor-{number:03d}" for number in range(20)]


def run(home: str | None = None) -> dict[str, Any]:
    """What `tmu demo` calls; returns the summary that is printed. Raises ConfigError for a folder that is not ours."""
    started = time.perf_counter()
    folder = _anew(Path(home or "demo"))
    workspace = Workspace.create(folder)
    tell("Importing 1,797 handwritten digits of 100 simulated contributors")
    data, imported = import_data(workspace, "digits", {}, holdout=0.35, test=0.35)
    keys = workspace.keys(simulated=True)
    prepare(str(folder))
    from flows.delete_local import delete_local_flow

    outcome = run_flow(delete_local_flow, home=str(folder), subjects=[keys.subject(name) for name in CONTRIBUTORS])
    audit = workspace.artifacts.fetch(outcome["audit"]["uri"], outcome["audit"]["digest"])
    return {
        **outcome,
        "home": str(folder),
        "records": imported.records,
        "data_before": data.digest,
        "table": json.loads((audit / "audit.json").read_text())["result"],
        "report": str(audit / "report.html"),
        "pictures": sorted(str(path) for path in audit.glob("*.png")),
        "seconds": time.perf_counter() - started,
    }


def _anew(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise ConfigError(f"{folder} is not empty and no demo folder.", "Name another folder with --home.")
    shutil.rmtree(folder, ignore_errors=True)
    write_atomic(folder / MARK, b"tmu demo makes this folder anew on each run\n")
    return folder.resolve()
