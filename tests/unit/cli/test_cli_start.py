"""What the verbs import: those that need no network do not wait for torch, those that look at versions neither."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tmu.cli import installation
from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.data.readers import get_reader
from tmu.files import write_json
from tmu.workspace import Workspace

HEAVY = {"torch", "torchvision", "mlflow", "dvc", "sklearn", "scipy", "pandas", "matplotlib", "prefect", "boto3"}
LIGHT = [
    ["--help"],
    ["show", "params"],
    ["show", "requests"],
    ["show", "methods"],
    ["show", "readers"],
    ["data", "readers"],
    ["request", "list"],
    ["token", "list"],
    ["ledger", "--help"],
    ["doctor", "--help"],
    ["delete", "--help"],
    ["purge", "--help"],
]
WITHOUT_TORCH = [
    ["show", "versions"],
    ["data", "show"],
    ["data", "verify"],
    ["data", "show", "--subject", "contributor-001"],
    ["lineage", "--subject", "contributor-001"],
    ["purge"],
    ["register"],
]
WITH_TORCH_ALONE = [["plan", "--subject", "contributor-001"], ["doctor"]]
CALLS = """
import json, sys
from typer.testing import CliRunner
from tmu.cli import app
found = {}
for verb in json.loads(sys.argv[2]):
    done = CliRunner().invoke(app, ["--home", sys.argv[1], *verb])
    assert done.exit_code == 0, (verb, done.output)
    found[" ".join(verb)] = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps(found))
"""


def _imported(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_verbs_that_need_no_network_import_nothing_heavy(tmp_path: Path) -> None:
    home = Workspace.create(tmp_path / "w").root
    found = json.loads(_imported(CALLS, str(home), json.dumps(LIGHT)))
    assert {verb: HEAVY & set(modules) for verb, modules in found.items() if HEAVY & set(modules)} == {}
    assert "typer" in found["--help"]  # the list is one of modules that were imported


def test_verbs_that_look_at_data_do_not_wait_for_torch_nor_a_plan_for_anything_else(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    import_records(get_reader("digits"), workspace.data, Keys(DEMO_SECRET), n_buckets=2)
    workspace.versions.commit(workspace.data)
    code = {name: installation._files(name) for name in installation._IMPORTED}
    write_json(workspace.state("imports.json"), {"imported": installation._stamp(code)})
    verbs = json.dumps(WITHOUT_TORCH + WITH_TORCH_ALONE)
    found = json.loads(_imported(CALLS, str(workspace.root), verbs))
    others = {verb: (HEAVY - {"scipy"}) & set(modules) for verb, modules in found.items()}
    assert {verb: modules for verb, modules in others.items() if modules} == {
        " ".join(verb): {"torch"} for verb in WITH_TORCH_ALONE
    }


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("tmu.stores.mlflow", {"torch", "mlflow", "pandas"}),  # `tmu show versions`, `tmu compare`
        ("tmu.data.store", {"torch", "pandas", "sklearn"}),  # `tmu data show`
        ("tmu.steps.plan", {"sklearn", "mlflow", "matplotlib", "prefect"}),  # `tmu delete --dry-run`
        ("tmu.steps.loading", {"torch"}),  # who looks at a revision or a forget set
        ("tmu.steps.purge_ended", {"torch", "mlflow"}),  # `tmu purge`
        ("tmu.steps.write_letter", {"torch", "mlflow"}),  # `tmu letter`
        ("tmu.steps.reissue_certificate", {"torch", "mlflow"}),  # `tmu certificate issue`
        ("tmu.steps.pull", {"torch", "mlflow"}),  # `tmu pull`
    ],
)
def test_what_a_verb_needs_does_not_drag_the_rest_in(module: str, spared: set[str]) -> None:
    code = f"import sys, json, {module}\nprint(json.dumps(sorted(name for name in sys.modules if '.' not in name)))"
    found = set(json.loads(_imported(code)))
    assert module.partition(".")[0] in found
    assert not spared & found
