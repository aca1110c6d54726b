"""The house rules that a reader of one file cannot see: who imports whom, and what no file may do.

The source is read as a syntax tree, never by searching its text, so that a word in a comment breaks nothing.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = ("train", "twin", "unlearn", "audit", "models", "references", "data")
GROUND = ("config", "files", "refs", "errors")
SERVICES = {"prefect", "mlflow", "dvc", "boto3"}
UPSTAIRS = {"flows", "tasks"}
STOREYS = ("tmu.service", "tmu.cli")  # above all other rooms of tmu, in this order
PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
# CIFAR is published as pickles; this one file reads them, with an unpickler that builds nothing but arrays of numbers
UNPICKLER = "tmu/data/readers/pickled_batches.py"
# `tmu model convert` reads a state dict by PyTorch's restricted unpickler, in a process of its own
STATE_DICTS = "tmu/models/state_dict.py"


def _imports(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports: by statement, or by `import_module` and `__import__` with a literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node).rpartition(".")[2] in ("import_module", "__import__"):
            yield from (part.value for part in node.args if isinstance(part, ast.Constant) and part.value)


def _calls_up(path: str, name: str) -> bool:
    """Whether a room imports one above it: nothing below the service knows it, and it knows no command line."""
    parts, target = Path(path).parts, ".".join(name.split(".")[:2])
    if parts[0] != "tmu" or target not in STOREYS:
        return False
    room = f"tmu.{parts[1]}"
    return room not in STOREYS or STOREYS.index(room) < STOREYS.index(target)


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def _forbidden(path: str) -> set[str]:
    """The packages that the file at `path` (relative, posix) must not import."""
    parts = Path(path).with_suffix("").parts
    if parts[0] != "tmu":
        return set()
    pure = parts[1] in PURE + GROUND
    return UPSTAIRS | {"prefect"} | (SERVICES if pure else set())


def faults(path: str, source: str) -> list[str]:
    """What in a file breaks the house's rules, one line each."""
    tree, found = ast.parse(source), []
    imported = list(_imports(tree))
    for name in imported:
        if name.split(".")[0] in _forbidden(path) or _calls_up(path, name):
            found.append(f"{path} imports {name}")
        if name.split(".")[0] in PICKLES and path != UNPICKLER:
            found.append(f"{path} imports {name}")
        if name in ("torch.load", "builtins.eval", "builtins.exec"):
            found.append(f"{path} imports {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{path}:{node.lineno} has a bare except")
        if isinstance(node, ast.Call):
            found.extend(_call_faults(path, node))
    return found


def _call_faults(path: str, node: ast.Call) -> Iterator[str]:
    name = _called(node)
    module, _, function = name.rpartition(".")
    restricted = path == STATE_DICTS and any(
        word.arg == "weights_only" and getattr(word.value, "value", None) is True for word in node.keywords
    )
    unsafe = name in ("eval", "exec", "builtins.eval", "builtins.exec") or (name == "torch.load" and not restricted)
    pickled = module in PICKLES and function in ("load", "loads", "Unpickler")
    # numpy reads pickled arrays where it is told to, and pandas always
    arrays = any(word.arg == "allow_pickle" and getattr(word.value, "value", True) for word in node.keywords)
    if unsafe or pickled or arrays or function == "read_pickle":
        yield f"{path}:{node.lineno} calls {name}"


def _files() -> list[str]:
    return sorted(
        file.relative_to(ROOT).as_posix()
        for top in ("tmu", "flows", "tasks", "infra")
        for file in (ROOT / top).rglob("*.py")
    )


def test_the_house_is_found():
    files = _files()
    assert {UNPICKLER, STATE_DICTS} <= set(files)
    assert all(any(file.startswith((f"tmu/{room}/", f"tmu/{room}.py")) for file in files) for room in PURE + GROUND)
    assert any(file.startswith("flows/") for file in files)
    assert any(file.startswith("tasks/") for file in files)


def test_no_file_breaks_the_rules():
    assert [fault for file in _files() for fault in faults(file, (ROOT / file).read_text())] == []


def test_the_one_unpickler_is_restricted():
    """It may import pickle, but only to overrule the part that finds classes."""
    tree = ast.parse((ROOT / UNPICKLER).read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [[ast.unparse(base) for base in node.bases] for node in classes] == [["pickle.Unpickler"]]
    assert "find_class" in {part.name for part in classes[0].body if isinstance(part, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tmu/train/x.py", "import mlflow"),
        ("tmu/twin/features/x.py", "from prefect import task"),
        ("tmu/data/x.py", "def f():\n    import dvc.repo"),
        ("tmu/audit/x.py", "import numpy, boto3"),
        ("tmu/models/x.py", "import importlib\nimportlib.import_module('mlflow.pytorch')"),
        ("tmu/files.py", "from mlflow.tracking import MlflowClient as C"),
        ("tmu/config/params.py", "import boto3"),
        ("tmu/refs.py", "import dvc"),
        ("tmu/steps/x.py", "import prefect"),
        ("tmu/cli/x.py", "from flows.commands import delete"),
        ("tmu/stores/x.py", "from tasks import train_gold"),
        ("tmu/x.py", "__import__('flows')"),
        ("tmu/ledger/x.py", "from tmu.service.roles import Role"),
        ("tmu/steps/x.py", "import tmu.cli.workspace"),
        ("tmu/service/x.py", "def f():\n    from tmu.cli import output"),
        ("tmu/service/x.py", "import prefect"),
        ("flows/x.py", "import pickle"),
        ("tasks/x.py", "from pickle import loads"),
        ("tmu/data/readers/x.py", "import pickle\nclass A(pickle.Unpickler): ..."),
        (UNPICKLER, "import pickle\npickle.load(open('x', 'rb'))"),
        (UNPICKLER, "import pickle\npickle.Unpickler(open('x', 'rb')).load()"),
        ("flows/x.py", "import torch\ntorch.load('x')"),
        ("tasks/x.py", "from torch import load"),
        ("tmu/models/x.py", "import torch\ntorch.load('x', weights_only=True)"),
        (STATE_DICTS, "import torch\ntorch.load('x')"),
        (STATE_DICTS, "import torch\ntorch.load('x', weights_only=False)"),
        (STATE_DICTS, "import torch\ntorch.load('x', weights_only=given)"),
        ("tmu/steps/x.py", "import numpy as np\nnp.load('x', allow_pickle=True)"),
        ("tmu/steps/x.py", "eval('1')"),
        ("flows/x.py", "exec('1')"),
        ("tasks/x.py", "try:\n    f()\nexcept:\n    pass"),
    ],
)
def test_the_scan_finds_a_planted_fault(path, source):
    assert faults(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tmu/stores/x.py", "import mlflow, boto3, dvc.repo"),
        ("tmu/service/x.py", "from tmu.service import roles\nfrom tmu.ledger import views\nimport tmu.steps.loading"),
        ("tmu/cli/x.py", "from tmu.service.app import create_app"),
        ("flows/x.py", "from prefect import flow\nfrom tasks.models import unlearn"),
        ("tmu/train/x.py", "# import mlflow\nmodel.eval()\nload_file('weights.safetensors')"),
        ("tmu/train/x.py", "text = 'pickle.load, torch.load, eval(x)'\nimport tmu.data.tasks"),
        ("tasks/x.py", "try:\n    f()\nexcept Exception:\n    raise\nnp.load('x', allow_pickle=False)"),
        (UNPICKLER, "import pickle\nclass _ArraysOnly(pickle.Unpickler): ..."),
        (STATE_DICTS, "import torch\ntorch.load('x', weights_only=True)"),
    ],
)
def test_the_scan_leaves_good_code_alone(path, source):
    assert faults(path, source) == []
