"""Provenance: digests follow the content, git is optional, nobody's name is in it."""

import getpass
import platform
import shutil
import subprocess

import pytest

from tmu import provenance
from tmu.config import Params
from tmu.steps import (
    audit_by_references,
    audit_models,
    fit_reference_twin,
    fit_references,
    fit_twin,
    probe_model,
    train_model,
    unlearn_model,
)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A function that gives the code digest of a step in a copy of the package, as a new process would see it."""
    shutil.copytree(provenance._PACKAGE, tmp_path / "tmu", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path / "tmu")

    def digest(step, method: str = "tmu-soft") -> str:
        provenance.code_digest.cache_clear()
        return provenance.code_digest(*step.code_of(Params().with_method(method)))

    yield tmp_path / "tmu", digest
    provenance.code_digest.cache_clear()


# words, start_file: of a report
ROOMS = {"steps", "train", "ridge", "models", "references", "twin", "unlearn", "audit", "words", "start_file"}
STEPS = (train_model, fit_twin, fit_references, fit_reference_twin, unlearn_model, audit_models, audit_by_references)
MADE = {"train_model", "fit_twin", "fit_references", "fit_reference_twin", "unlearn_model"}


def _changed(copied, path: str, text: str | None = None, method: str = "tmu-soft") -> set[str]:
    """The steps whose digest changes with a file of the package: with a comment more, or with new text."""
    folder, digest = copied
    before = [digest(step, method) for step in STEPS]
    file = folder / path
    file.write_text(file.read_text() + "# a word more\n" if text is None else text)
    after = [digest(step, method) for step in STEPS]
    names = [step.__name__.rpartition(".")[2] for step in STEPS]
    return {name for name, old, new in zip(names, before, after, strict=True) if old != new}


def test_a_new_metric_leaves_every_model_and_twin_as_it_is(copied):
    assert _changed(copied, "audit/metrics/new_metric.py", "VALUE = 1\n") == set()
    assert _changed(copied, "audit/metrics/accuracy.py") == {"audit_models"}
    assert _changed(copied, "audit/by_table/rules.py") == {"audit_by_references"}


def test_a_new_method_leaves_all_others_as_they_are(copied):
    assert _changed(copied, "unlearn/new_method.py", "NEEDS_TWIN = False\n") == set()
    assert _changed(copied, "unlearn/tmu.py") == set()  # tmu-soft does not import it


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("twin/margins.py", {"fit_reference_twin", "unlearn_model"}),  # imported by the twin of the references
        ("twin/rates.py", {"fit_reference_twin", "unlearn_model"}),
        ("references/halves.py", MADE - {"train_model", "fit_twin"} | {"audit_by_references"}),
        ("steps/train_references.py", {"fit_references"}),  # who reads a table names it by its digest
        ("twin/quality.py", {"fit_twin", "unlearn_model", "audit_models"}),
        ("twin/features/curriculum.py", {"fit_twin", "unlearn_model", "audit_models"}),  # found by its name
        ("twin/shift.py", {"unlearn_model"}),  # imported inside a function
        ("unlearn/tmu_soft.py", {"unlearn_model"}),  # the method, found by its name
        ("unlearn/finetune.py", set()),  # of another method
        ("compute/local.py", set()),  # how jobs share the cores
        ("deletion/plan.py", set()),
        ("models/small_resnet.py", MADE | {"audit_models", "audit_by_references"}),
        ("train/engine.py", MADE | {"audit_models", "audit_by_references"}),
        ("steps/loading.py", MADE | {"audit_models", "audit_by_references"}),
        ("audit/gate.py", {"audit_models", "audit_by_references"}),
        ("models/resnet18.py", set()),  # another architecture
        ("stores/artifacts_s3.py", set()),
        ("data/store.py", set()),
        ("config/train.py", set()),
        ("cli/show.py", set()),
    ],
)
def test_a_change_counts_where_it_can_change_a_number(copied, path, steps):
    assert _changed(copied, path) == steps


def test_the_method_that_is_used_counts(copied):
    assert _changed(copied, "unlearn/scrub.py", method="scrub") == {"unlearn_model"}


def test_what_a_step_rests_on_lies_in_the_rooms_that_compute():
    """A module that neither computes nor is known to only keep or hand over would be a hole, or a needless trigger."""
    for step in (*STEPS, probe_model):
        names = set(provenance.sources(*step.code_of(Params())))
        assert {name.split(".")[1] for name in names} <= ROOMS
        assert not [name for name in names if name.startswith("tmu.steps.ledger")], step.__name__
    assert all(provenance.closure([name], {"tmu": provenance._PACKAGE}) for name in provenance.HANDED_OVER)


def test_the_order_of_the_modules_does_not_matter():
    first, second = ("tmu.train", "tmu.audit.gate"), ("tmu.audit.gate", "tmu.train")
    assert provenance.code_digest(*first) == provenance.code_digest(*second) != provenance.code_digest("tmu.train")


@pytest.mark.parametrize("name", ["tmu.attic", "no_such_package_anywhere.x"])
def test_an_unknown_module_is_a_fault(name):
    with pytest.raises(ValueError, match="there is no module"):
        provenance.code_digest(name)


def test_git_state(tmp_path):
    unknown = {"commit": "unknown", "branch": "unknown", "dirty": "unknown"}
    (tmp_path / ".git").write_text("gitdir: nowhere\n")  # hides any repository above
    assert provenance.git_state(tmp_path) == unknown
    (tmp_path / ".git").unlink()
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for arguments in (["init", "-q", "-b", "main"], [*who, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    state = provenance.git_state(tmp_path)
    assert (len(state["commit"]), state["branch"], state["dirty"]) == (40, "main", "false")
    (tmp_path / "new").write_text("x")
    assert provenance.git_state(tmp_path)["dirty"] == "true"


def test_lock_digest_prefers_the_constraints(tmp_path, monkeypatch):
    (tmp_path / "tmu").mkdir()
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path / "tmu")
    installed = provenance.lock_digest.__wrapped__()
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    pinned = provenance.lock_digest.__wrapped__()
    assert len(installed) == len(pinned) == 64
    assert installed != pinned


def test_hardware_names_no_host_and_no_user():
    seen = provenance.hardware()
    assert set(seen) == {"machine", "processor", "capability", "cores", "memory_gib", "gpu", "threads", "torch"}
    assert seen["cores"] >= 1
    assert platform.node() not in map(str, seen.values())
    assert getpass.getuser() not in map(str, seen.values())


def test_now_is_utc():
    assert provenance.now().endswith("+00:00")
