"""Methods by name: found from their files, without torch; options refused by name."""

import ast
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tmu
from tmu import unlearn
from tmu.errors import ConfigError
from tmu.references.rows import ReferenceRows
from tmu.twin.reference_twin import ReferenceTwin
from tmu.twin.twin import Twin
from tmu.unlearn import get_method, method_names, read_options
from tmu.unlearn.problem import Lessons, Problem

FOLDER = Path(unlearn.__file__).parent


def _file(name: str) -> Path:
    return FOLDER / f"{name.replace('-', '_')}.py"


def test_methods_are_the_files_of_the_folder():
    assert {"tmu", "tmu-soft", "retrain", "finetune", "random-label"} <= set(method_names())
    assert all(_file(name).is_file() for name in method_names())
    assert not {"problem", "choose"} & set(method_names())


def test_a_new_file_is_a_new_method(tmp_path, monkeypatch):
    (tmp_path / "wishful_thinking.py").write_text("NEEDS_TWIN = False\n")
    monkeypatch.setattr(unlearn, "__path__", [*unlearn.__path__, str(tmp_path)])
    assert "wishful-thinking" in method_names()
    try:
        assert get_method("wishful_thinking") is get_method("wishful-thinking")
    finally:
        sys.modules.pop("tmu.unlearn.wishful_thinking", None)


def test_listing_needs_no_torch():
    code = "import sys; from tmu.unlearn import method_names; print(*method_names()); print('torch' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(Path(tmu.__file__).parents[1])}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60)
    assert answer.stdout.split() == [*method_names(), "False"], answer.stderr


@pytest.mark.parametrize("name", method_names())
def test_every_method_says_what_it_is(name):
    text = " ".join(ast.get_docstring(ast.parse(_file(name).read_text())).split())
    places = [text.find(word) for word in ("Formula:", "Reference:", "Cost:", "Failure mode:")]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("name", method_names())
def test_every_method_has_the_one_interface(name):
    module = get_method(name)
    assert isinstance(module.NEEDS_TWIN, bool)
    assert callable(module.unlearn)
    assert read_options(name, {}) == module.Options()


@pytest.mark.parametrize("name", ["guess", "problem", "choose", "", "os", "../tmu"])
def test_an_unknown_method_is_refused_by_name(name):
    with pytest.raises(ConfigError, match=r"There is no method .*Choose from .*retrain.*tmu"):
        get_method(name)


def test_underscore_and_hyphen_are_the_same():
    assert get_method("tmu_soft") is get_method("tmu-soft")


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("tmu", {"alpha": 1}, "Method `tmu`, option `alpha`.*Its options: steps, lr"),
        ("tmu", {"steps": 0}, "option `steps`"),
        ("tmu", {"hard_label": "any"}, "option `hard_label`"),
        ("tmu-soft", {"steps": 9}, "option `steps`.*Its options: none"),
        ("retrain", {"epochs": 3}, "Its options: none"),
    ],
)
def test_a_wrong_option_is_refused_by_name(method, options, message):
    with pytest.raises(ConfigError, match=message):
        read_options(method, options)


def test_a_problem_holds_no_gold_and_no_test_data():
    """What a method cannot reach it cannot be tuned on."""
    given = {field.name for field in dataclasses.fields(Problem)}
    assert given == {
        "model", "forget", "retain", "classes", "recipe", "seeds", "fit", "fresh", "twin", "holdout", "lessons",
        "statistics",
        "device",
    }  # fmt: skip
    assert {field.name for field in dataclasses.fields(Twin)} == {
        "model", "curriculum", "predictor", "easy_confidence", "hard_confidence", "config",
    }  # fmt: skip
    assert {field.name for field in dataclasses.fields(Lessons)} == {"forget", "replay", "twin", "lost"}
    assert {field.name for field in dataclasses.fields(ReferenceTwin)} == {"a", "b", "margins", "rates"}
    assert {field.name for field in dataclasses.fields(ReferenceRows)} == {
        "keys", "labels", "seen", "logp", "inner",
    }  # fmt: skip
