"""The demonstration: one simulated contributor, then nineteen more, ask to be deleted from a digit classifier.

Everything is real but the people: import, training, references, two deletion requests through the `delete` flow with
their audits, MLflow versions. One gold is retrained at the end, for comparison alone: no deletion needs it. It runs in
a folder of its own, which each run makes anew.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import yaml

from flows.runtime import prepare, run_flow
from flows.tell import tell
from tmu.errors import ConfigError
from tmu.files import write_atomic
from tmu.steps.import_data import import_data
from tmu.steps.purge_ended import purge_ended
from tmu.steps.reissue_certificate import issue_of
from tmu.workspace import Workspace

MARK = ".tmu-demo"
PEOPLE = [f"contributor-{number:03d}" for number in range(20)]


def run(home: str | None = None) -> dict[str, Any]:
    """What `tmu demo` calls; returns the summary that is printed. Raises ConfigError for a folder that is not ours."""
    started = time.perf_counter()
    folder = _anew(Path(home or "demo"))
    workspace = Workspace.create(folder)
    tell("Importing 1,797 handwritten digits of 100 simulated contributors")
    data, imported = import_data(workspace, "digits", {})
    prepare(str(folder))
    tell("The first request: one person")
    first = _deleted(workspace, PEOPLE[:1])
    tell("The second request: nineteen more. Its purge waits for the comparison with a gold, which needs the old data")
    _purge_later(folder)
    outcome = _deleted(workspace, PEOPLE[1:])
    beside = _beside_gold(workspace, outcome["request"])
    outcome |= _purged(workspace, outcome)
    audit = workspace.artifacts.fetch(outcome["audit"]["uri"], outcome["audit"]["digest"])
    return {
        **outcome,
        "first": first,
        "home": str(folder),
        "records": imported.records,
        "data_before": data.digest,
        "table": json.loads((audit / "audit.json").read_text())["result"],
        "beside_gold": beside,
        "report": str(audit / "report.html"),
        "pictures": sorted(str(path) for path in audit.glob("*.png")),
        "seconds": time.perf_counter() - started,
    }


def _deleted(workspace: Workspace, people: list[str]) -> dict[str, Any]:
    from flows.delete_local import delete_local_flow

    keys = workspace.keys(simulated=True)
    return run_flow(delete_local_flow, home=str(workspace.root), subjects=[keys.subject(name) for name in people])


def _purge_later(folder: Path) -> None:
    path = folder / "params.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["purge"]["act"] = False
    write_atomic(path, yaml.safe_dump(raw, sort_keys=False).encode())


def _purged(workspace: Workspace, outcome: dict[str, Any]) -> dict[str, Any]:
    """Purge what waited, as `tmu purge REQUEST --yes` and `tmu certificate issue` do; what changes of the outcome."""
    sentence = purge_ended(workspace, outcome["request"]).summary().sentence
    tell(sentence)
    issued = issue_of(workspace, outcome["request"])
    tell(f"The certificate: {issued.path}")
    return {"why": [*outcome["why"][:-1], sentence], "certificates": [issued.model_dump(mode="json")]}


def _beside_gold(workspace: Workspace, request: str) -> list[dict[str, Any]]:
    """The model before a request and what the method made of it, beside one that is retrained without its records."""
    from tasks.models import train_gold
    from tmu.deletion.journal import Journal
    from tmu.steps.beside_gold import beside_gold, unlearned_for

    deletion = Journal(workspace).find(request)
    data, forget, gold = deletion.plan.data, deletion.forget, deletion.unlearned
    if not deletion.retrained:
        tell("Retraining without the nineteen people, for comparison alone")
        gold = train_gold(workspace, data, forget, deletion.params, 0)
    tried = unlearned_for(workspace, forget)
    refused = ", refused" if deletion.retrained else ""
    models = {"original": deletion.base, "gold": gold, **{f"{name}{refused}": model for name, model in tried.items()}}
    return [row.model_dump() for row in beside_gold(workspace, data, forget, models, gold)]


def _anew(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise ConfigError(f"{folder} is not empty and no demo folder.", "Name another folder with --home.")
    shutil.rmtree(folder, ignore_errors=True)
    write_atomic(folder / MARK, b"tmu demo makes this folder anew on each run\n")
    return folder.resolve()
