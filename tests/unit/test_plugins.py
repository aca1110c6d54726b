"""Plugins: another distribution adds a method, metrics, a reader, an architecture; a broken one harms nobody."""

import copy
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import tmu
from tests.synthetic import CLASSES, SHAPE
from tmu import provenance, unlearn
from tmu.audit.metrics import registry as metrics
from tmu.cli import app
from tmu.cli.catalogue import BUILT_IN, broken, entries
from tmu.config import Params
from tmu.data import readers
from tmu.errors import ConfigError, ModelError
from tmu.models import registry as models
from tmu.steps import unlearn_model
from tmu.workspace import Workspace

METHOD = """
\"\"\"Forget nothing, quickly.\"\"\"
from tmu.config import Config
from tmu.unlearn.problem import Outcome, Problem
from acme_forget.helper import STEPS

NEEDS_TWIN = False
NEEDS_HOLDOUT = False

class Options(Config):
    lr: float = 0.01

def unlearn(problem: Problem, options: Options) -> Outcome:
    recipe = problem.recipe.model_copy(update={"epochs": STEPS, "lr": options.lr})
    return Outcome(problem.model, problem.fit(problem.model, problem.retain, recipe, problem.seeds))
"""
METRIC = """
from tmu.audit.bootstrap import Value
from tmu.audit.metrics import metric

@metric("acme_number", title="acme", unit="share", better="lower", meaning="Always a half.")
def acme_number(case):
    return Value(0.5, 0.5, 0.5)
"""
READER = """
\"\"\"Two white pictures.\"\"\"
from collections.abc import Iterator
import numpy as np
from tmu.config import Config
from tmu.data.readers import Reader, reader
from tmu.data.records import Record

class Nothing(Config):
    pass

@reader("acme-set")
class Acme(Reader):
    \"\"\"Two white pictures.\"\"\"
    simulated = True
    Options = Nothing

    def classes(self) -> list[str]:
        return ["a", "b"]

    def shape(self) -> tuple[int, int, int]:
        return 1, 8, 8

    def records(self) -> Iterator[Record]:
        for n in (0, 1):
            yield Record(f"r{n}", f"p{n}", n, np.full((1, 8, 8), 255, np.uint8))
"""
MODEL = """
from torch import nn
from tmu.models.registry import architecture

@architecture("acme_net")
def acme_net(shape, classes, width: int = 3) -> nn.Module:
    \"\"\"One layer.\"\"\"
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))
"""
ENTRIES = {
    "tmu.methods": {"acme": "acme_forget.method"},
    "tmu.metrics": {"acme": "acme_forget.metric"},
    "tmu.readers": {"acme-set": "acme_forget.reader"},
    "tmu.models": {"acme_net": "acme_forget.model"},
}
FILES = {"__init__.py": "", "helper.py": "STEPS = 1\n", "method.py": METHOD, "metric.py": METRIC, "reader.py": READER,
         "model.py": MODEL}  # fmt: skip


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that lays a distribution into a folder of the path; all that it registers is taken back."""
    tables = (metrics._METRICS, readers._READERS, models._BUILDERS)
    for warm in (metrics.built_in_metrics, readers.built_in_readers, models.built_in_architectures):
        warm()
    before = [dict(table) for table in tables]
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def lay(files=FILES, entries=ENTRIES, name="acme-forget", version="1.0", package="acme_forget") -> Path:
        folder = site / package
        folder.mkdir(exist_ok=True)
        for each, source in files.items():
            (folder / each).write_text(source)
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = (f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in given.items()) for group, given in entries.items())
        (info / "entry_points.txt").write_text("\n".join(lines))
        importlib.invalidate_caches()
        provenance.code_digest.cache_clear()
        return folder

    yield lay
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)
    for module in [each for each in sys.modules if each.partition(".")[0] in ("acme_forget", "other")]:
        del sys.modules[module]
    provenance.code_digest.cache_clear()


def test_without_plugins_everything_is_built_in():
    assert broken() == []
    assert {each.source for kind in ("methods", "metrics", "readers", "models") for each in entries(kind)} == {BUILT_IN}


def test_a_method_is_named_without_being_imported_and_runs_when_asked_for(install, make_problem):
    install()
    assert "acme" in unlearn.method_names() and "acme" not in unlearn.built_in_methods()
    assert unlearn.method_module("acme") == "acme_forget.method" and "acme_forget" not in sys.modules
    method, options = unlearn.get_method("acme"), unlearn.read_options("acme", {"lr": 0.02})
    problem = make_problem()
    before = copy.deepcopy(problem.model.state_dict())
    method.unlearn(problem, options)
    assert any(not torch.equal(value, before[name]) for name, value in problem.model.state_dict().items())
    with pytest.raises(ConfigError, match="Method `acme`, option `speed`"):
        unlearn.read_options("acme", {"speed": 1})


def test_listing_plugins_needs_no_torch(install, tmp_path):
    install()
    code = "import sys; from tmu.unlearn import method_names; print(*method_names()); print('torch' in sys.modules)"
    path = os.pathsep.join([str(Path(tmu.__file__).parents[1]), str(tmp_path / "site")])
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=60
    )
    assert "acme" in answer.stdout.split() and answer.stdout.split()[-1] == "False", answer.stderr


def test_metric_reader_and_architecture_are_there(install):
    install()
    found = metrics.all_metrics()
    assert list(found)[-1] == "acme_number" and found["acme_number"].compute(None).value == 0.5
    assert metrics.metric_modules()[-1] == "acme_forget.metric"
    assert "acme-set" in readers.known_readers()
    records = list(readers.get_reader("acme-set"))
    assert [record.label for record in records] == [0, 1] and np.all(records[0].image == 255)
    assert "acme_net" in models.names() and models.module_of("acme_net") == "acme_forget.model"
    assert models.build("acme_net", SHAPE, CLASSES)(torch.zeros(2, *SHAPE)).shape == (2, CLASSES)
    with pytest.raises(ConfigError, match="Known options: width"):
        models.build("acme_net", SHAPE, CLASSES, {"depth": 2})
    with pytest.raises(ModelError, match="acme_net"):
        models.build("acme_nets", SHAPE, CLASSES)


@pytest.mark.slow
def test_a_plugins_reader_is_imported_by_name(install, tmp_path):
    install()
    workspace = Workspace.create(tmp_path / "w")
    run = ["--home", str(workspace.root), "--json", "data"]
    assert "acme-set" in json.loads(CliRunner().invoke(app, [*run, "readers"]).stdout)
    done = CliRunner().invoke(app, [*run, "import", "acme-set", "--holdout", "0", "--test", "0", "--buckets", "2"])
    assert done.exit_code == 0 and json.loads(done.stdout)["records"] == 2
    shown = json.loads(CliRunner().invoke(app, [*run, "show"]).stdout)
    assert (shown["reader"], shown["records"], shown["subjects"]) == ("acme-set", 2, 2)


def test_show_tells_where_each_comes_from(install):
    install()
    for kind, name, words in (
        ("methods", "acme", "Forget nothing, quickly."),
        ("metrics", "acme_number", "Always a half."),
        ("readers", "acme-set", "Two white pictures."),
        ("models", "acme_net", "One layer."),
    ):
        found = {each.name: each for each in entries(kind)}
        assert (found[name].source, found[name].summary, found[name].error) == ("acme-forget 1.0", words, None)
        assert all(each.source == BUILT_IN and each.summary for each in found.values() if each.name != name)


def _unlearn_digest() -> str:
    provenance.code_digest.cache_clear()
    return provenance.code_digest(*unlearn_model.code_of(Params().with_method("acme")))


def test_the_plugins_own_code_and_version_count_in_the_digest(install):
    folder = install()
    before = _unlearn_digest()
    assert before == _unlearn_digest()
    (folder / "helper.py").write_text("STEPS = 2\n")
    code = _unlearn_digest()
    (folder / "table.json").write_text("{}")
    data = _unlearn_digest()
    (folder.parent / "acme_forget-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-forget\nVersion: 1.1\n"
    )
    assert len({before, code, data, _unlearn_digest()}) == 4


def test_what_a_plugin_imports_of_tmu_counts_and_the_rest_does_not(install):
    install(FILES | {"helper.py": "def f():\n    import tmu.unlearn.scrub\nSTEPS = 1\n"})
    found = provenance.sources(*unlearn_model.code_of(Params().with_method("acme")))
    assert {"tmu.unlearn.scrub", "acme_forget/helper.py", "acme_forget/model.py"} <= set(found)
    assert "tmu.unlearn.tmu_soft" not in found
    assert not [name for name in provenance.sources(*unlearn_model.code_of(Params())) if "acme" in name]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_broken_plugin_is_named_with_its_cause_and_all_else_works(install, source, cause):
    install({name: source for name in FILES if name != "__init__.py"} | {"__init__.py": ""})
    for ask in (
        lambda: unlearn.get_method("acme"),
        lambda: readers.get_reader("acme-set"),
        lambda: models.build("acme_net", SHAPE, CLASSES),
    ):
        with pytest.raises(ConfigError, match=r"The plugin `acme.*` of acme-forget 1\.0 .*cannot be used") as error:
            ask()
        assert cause in str(error.value)
    assert unlearn.get_method("tmu").NEEDS_TWIN and readers.get_reader("digits").count() == 1797
    with pytest.warns(UserWarning, match="`acme` of acme-forget"):
        assert list(metrics.all_metrics()) == list(metrics.built_in_metrics())
    assert set(metrics.broken_plugins()) == {"acme"}
    with pytest.warns(UserWarning):
        found = broken()
    assert sorted(each.name for each in found) == ["acme", "acme", "acme-set", "acme_net"]
    assert all(cause in each.error and each.source == "acme-forget 1.0" for each in found)


def test_where_there_is_no_plugin_none_is_broken_and_nothing_is_imported(monkeypatch):
    monkeypatch.setattr("tmu.cli.catalogue.claims", lambda group: {})
    monkeypatch.setattr("tmu.cli.catalogue.entries", lambda kind: pytest.fail(f"the {kind} were imported"))
    assert broken() == []


def test_a_module_that_is_no_method_is_refused_by_what_it_lacks(install):
    install(FILES | {"method.py": "NEEDS_TWIN = False\nNEEDS_HOLDOUT = False\n"})
    with pytest.raises(ConfigError, match="has no `Options` and no `unlearn`"):
        unlearn.get_method("acme")


@pytest.mark.parametrize("group", ["tmu.readers", "tmu.models"])
def test_a_module_that_does_not_register_its_name_is_refused(install, group):
    install(FILES | {"reader.py": "", "model.py": ""})
    ask = {
        "tmu.readers": lambda: readers.get_reader("acme-set"),
        "tmu.models": lambda: models.build("acme_net", SHAPE, 3),
    }
    with pytest.raises(ConfigError, match=r"registers no .* of that name"):
        ask[group]()


def test_what_tmu_has_itself_cannot_be_replaced(install):
    mine = {"tmu.methods": {"tmu_soft": "acme_forget.method", "auto": "acme_forget.method"},
            "tmu.readers": {"digits": "acme_forget.reader"}, "tmu.models": {"resnet9": "acme_forget.model"},
            "tmu.metrics": {"ua": "acme_forget.metric"}}  # fmt: skip
    install(FILES | {"metric.py": METRIC + METRIC.replace("acme_number", "ua")}, mine)
    assert unlearn.get_method("tmu-soft").__name__ == "tmu.unlearn.tmu_soft"
    assert type(readers.get_reader("digits")).__module__.startswith("tmu.")
    assert models.module_of("resnet9") == "tmu.models.resnet9"
    with pytest.warns(UserWarning, match="registered twice"):
        found = metrics.all_metrics()
    assert "acme_number" not in found  # of a module that fails nothing stays
    assert found["ua"].compute.__module__.startswith("tmu.")
    with pytest.warns(UserWarning):
        assert {each.name for each in broken()} == {"tmu-soft", "auto", "digits", "resnet9", "ua"}


def test_a_name_that_two_distributions_claim_is_nobodys(install):
    install()
    install({"__init__.py": METHOD}, {"tmu.methods": {"acme": "other"}}, name="other-forget", package="other")
    assert "acme" not in unlearn.method_names()
    with pytest.raises(ConfigError, match="There is no method `acme`"):
        unlearn.get_method("acme")
    (found,) = broken()
    assert "acme-forget 1.0 and other-forget 1.0 both claim the name" in found.error


def test_the_command_line_lists_them(install, tmp_path):
    install(FILES | {"model.py": "1 / 0"})
    path = os.pathsep.join([str(Path(tmu.__file__).parents[1]), str(tmp_path / "site")])

    def show(kind: str, *more: str) -> str:
        command = [sys.executable, "-c", "from tmu.cli import main; main()", "show", kind, *more]
        env = {**os.environ, "PYTHONPATH": path, "COLUMNS": "300"}
        answer = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    (line,) = [line for line in show("methods").splitlines() if "acme" in line]
    assert "Forget nothing, quickly." in line and "acme-forget 1.0" in line
    listed = {each["name"]: each for each in json.loads(show("models", "--json"))}
    assert listed["acme_net"]["source"] == "acme-forget 1.0" and "ZeroDivisionError" in listed["acme_net"]["error"]
    assert listed["resnet9"] == {
        "name": "resnet9",
        "summary": listed["resnet9"]["summary"],
        "source": BUILT_IN,
        "error": None,
    }
