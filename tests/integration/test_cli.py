"""The verbs in the order of a user's way, on the embedded digits with quick parameters."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.cli_tools import bad, good, listing, names, tmu
from tmu.cli import flow, output
from tmu.config import WHOLE, Params
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.steps.acknowledge import written_down
from tmu.steps.plan import plan_deletion
from tmu.workspace import Workspace

KEYS = Keys(DEMO_SECRET)
QUICK = {
    "model": {"options": {"width": 8}},
    "train": {"epochs": 4},
    "references": {"pairs": 2, "inner": False},
    "twin": {
        "train": {"epochs": 4, "batch_size": 64, "lr": 0.05},
        "attack_steps": 1,
        "curriculum_nets": 1,
        "curriculum_epochs": 1,
        "predictor_epochs": 40,
    },
    "audit": {"bootstrap": 100},
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with digits, made by the command line. Not to be changed: see `home`."""
    root = tmp_path_factory.mktemp("template") / "w"
    assert good(root, "init", root)["made"] == [
        "params.yaml",
        "dvc.yaml",
        ".dvc",
        ".tmu",
        ".tmu/hash.key",
        ".tmu/suppression",
    ]
    params = Params.model_validate(QUICK).model_dump(mode="json")
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    imported = good(root, "data", "import", "digits", "--holdout", "0.35", "--test", "0.35")
    assert imported["records"] == 1797
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A copy to be changed at will."""
    return Path(shutil.copytree(template, tmp_path / "w", symlinks=True))


def test_init_again_changes_nothing(template: Path) -> None:
    before = listing(template)
    assert good(template, "init", template)["made"] == []
    assert listing(template) == before
    assert (template / ".tmu" / ".gitignore").read_text() == "*\n"


def test_data_show_counts_and_verify_agree(home: Path) -> None:
    shown, checked = good(home, "data", "show"), good(home, "data", "verify")
    assert {split: sum(counts.values()) for split, counts in shown["counts"].items()} == checked["records_by_split"]
    assert (shown["records"], shown["subjects"], shown["erased"]) == (1797, 100, 0)
    assert shown["key_id"] == KEYS.id
    assert "image-folder" in tmu(home, "data", "readers").stdout


def test_data_show_of_an_id_tells_about_that_id_alone(home: Path) -> None:
    people = good(home, "data", "show", "--subject", "contributor-007", "--record", "nobody")
    assert [(each["state"], each["train"] + each["holdout"] + each["test"]) for each in people] == [
        ("known", 22),
        ("unknown", 0),
    ]
    assert "nobody" not in json.dumps(people)


def test_a_dry_run_and_a_plan_change_nothing_at_all(home: Path) -> None:
    shutil.rmtree(home / ".tmu" / "index", ignore_errors=True)  # not even the cache of the index may come back
    before = names(home), listing(home)
    dry = good(home, "delete", "--subject", "contributor-007", "--dry-run")
    assert dry == good(home, "plan", "--subject", "contributor-007")
    assert (
        dry["n_records"] == good(home, "data", "erase", "--subject", "contributor-007", "--dry-run")["n_records"] == 22
    )
    assert tmu(home, "plan", "--record", "digit-0001", "--keys-only").exit_code == 0
    assert set(names(home)) ^ set(before[0]) == set()
    assert set(listing(home).items()) ^ set(before[1].items()) == set()


def test_keys_of_a_plan_are_a_request_file_without_ids(home: Path, tmp_path: Path) -> None:
    printed = tmu(home, "plan", "--subject", "contributor-007", "--keys-only").stdout
    assert json.loads(printed) == {"subject_keys": [KEYS.subject("contributor-007")], "record_keys": []}
    (tmp_path / "request.json").write_text(printed)
    by_id = good(home, "plan", "--subject", "contributor-007")
    assert good(home, "plan", "--file", tmp_path / "request.json") == by_id
    assert good(home, "plan", "--file", "-", input="contributor-007\n") == by_id


def test_delete_writes_the_confirmed_plan_down_and_runs_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def run(**arguments: Any) -> dict[str, Any]:
        given.update(arguments)
        return {"request": given["request"], "verdict": None, "ui": "mlflow server"}

    monkeypatch.setattr(flow, "load", {"delete": run}.__getitem__)
    chosen = ["--subject", "contributor-007", "--record", "digit-0001", "--method", "finetune", "--no-audit"]
    plan = good(home, "delete", *chosen[:-1], "--dry-run")
    result = tmu(home, "delete", *chosen, "--yes")
    assert result.exit_code == 0
    request = given["request"]
    assert f"Request {request} is completed." in result.stdout
    assert request != plan["id"]  # the plan's is a digest of keys, which nothing may keep
    assert "There was no audit: nothing was measured" in result.stdout
    assert given == {"home": str(home), "request": request}
    deletion = Journal(Workspace.open(home)).find(request)
    written = deletion.plan.model_copy(update={"id": plan["id"]})
    assert (written.hash, deletion.method, deletion.audited) == (plan["hash"], "finetune", False)
    assert deletion.asked == Asked.of([KEYS.subject("contributor-007")], [KEYS.record("digit-0001")])
    given.clear()
    assert good(home, "delete", "--resume", request)["request"] == request == given["request"]
    assert "no request of that id" in bad(home, "delete", "--resume", "abc", code=3)


def test_delete_asks_and_takes_no_for_an_answer(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = listing(home)
    assert "--yes" in _last_line(tmu(home, "delete", "--subject", "contributor-007"), 2)
    monkeypatch.setattr(output, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    refused = tmu(home, "delete", "--subject", "contributor-007", input="n\n")
    assert "Erase 22 records of 1 subject from data and model? This cannot be undone." in refused.stderr
    assert "Nothing was changed" in _last_line(refused, 3)
    assert listing(home) == before


def test_the_same_request_goes_on_without_a_new_plan(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, key = Workspace.open(home), KEYS.subject("contributor-007")
    plan = plan_deletion(place, Asked.of([key], []))
    deletion = written_down(place, plan, Asked.of([key], []))
    monkeypatch.setattr(flow, "load", lambda name: lambda **arguments: {"request": deletion.id})
    result = tmu(home, "delete", "--subject", "contributor-007")  # no --yes: it was given when it was acknowledged
    assert result.exit_code == 0
    assert "resuming it" in result.stderr


def test_resume_takes_no_second_request(home: Path) -> None:
    assert "--resume abc" in bad(home, "delete", "--resume", "abc", "--subject", "contributor-007", code=2)


def test_data_erase_goes_beyond_what_a_deletion_may_take(home: Path) -> None:
    most = [word for number in range(70) for word in ("--subject", f"contributor-{number:03d}")]
    assert "more than half" in bad(home, "plan", *most, code=3)
    erased = good(home, "data", "erase", *most, "--yes")
    assert good(home, "data", "show")["erased"] == erased["plan"]["n_records"]
    assert good(home, "data", "verify")["erased"] == erased["plan"]["n_records"]
    live = {path.name for path in (home / ".tmu" / "index").iterdir()}
    assert len(live) == len(list((home / "data" / "shards").iterdir()))  # no part of the old index is left


def test_data_erase_is_completed_by_the_same_command_after_a_crash(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tmu.stores.dvc import DvcVersions

    erase = ("data", "erase", "--subject", "contributor-007", "--yes")
    with monkeypatch.context() as crash:
        crash.setattr(DvcVersions, "commit", _crash)
        assert tmu(home, *erase).exit_code == 1
    assert tmu(home, "data", "verify").exit_code == 4  # the shards moved on, data.dvc did not
    assert good(home, *erase)["plan"]["n_records"] == 22
    assert good(home, "data", "verify")["erased"] == 22


@pytest.mark.slow
def test_the_steps_of_dvc_yaml(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage's command as it stands in dvc.yaml, in order, without DVC around it."""
    monkeypatch.chdir(home)
    (home / "request.json").write_text(tmu(home, "plan", "--subject", "contributor-007", "--keys-only").stdout)
    stages = yaml.safe_load((home / "dvc.yaml").read_text())["stages"]
    audit = stages.pop("audit")["cmd"].split()[1:]
    for stage in stages.values():
        assert good(home, *stage["cmd"].split()[1:])
    shown = tmu(home, *audit)
    assert shown.exit_code == 0
    written = json.loads((home / "out" / "audit" / "audit.json").read_text())
    method = Params().unlearn.method
    assert [row["name"] for row in written["result"]["rows"]] == ["original", method]
    assert f"Audit of the model `{method}`: {written['verdict']['outcome']}." in shown.stdout
    assert good(home, "twin", "show", "out/twin")["kind"] == "twin"
    assert good(home, "data", "show")["erased"] == 0  # the stages leave the workspace's own data alone
    both = ["--forget", "out/forget", "--original", "out/original", "--control", "--method", "tmu"]
    assert "Leave out --method" in bad(home, "unlearn", *both, code=2)


@pytest.mark.slow
def test_a_registered_original_can_be_compared_and_shown(home: Path) -> None:
    assert good(home, "compare") == good(home, "show", "versions") == []
    assert not (home / ".tmu" / "mlflow.db").exists()  # looking makes nothing
    trained = good(home, "train", "original", "--set", "train.epochs=1", "--register")
    assert trained["version"] == 1
    assert 10 < trained["accuracy_test_pct"] < trained["accuracy_train_pct"] + 15  # of 1797 digits, after one epoch
    [row] = good(home, "compare", "@champion")
    assert (row["version"], row["aliases"], row["weights"]) == (1, ["original", "champion"], trained["weights"])
    assert row["metrics"]["seconds_total"] > 0
    assert good(home, "show", "1")["tags"]["role"] == "original"
    assert "version 1" in tmu(home, "compare").stdout
    bad(home, "show", "7", code=3)
    bad(home, "show", "@blocked", code=3)


def test_views_that_need_no_registry(home: Path) -> None:
    assert good(home, "show", "params") == Params.model_validate(QUICK).model_dump(mode="json", context=WHOLE)
    for kind, name in {"methods": "tmu", "models": "resnet18", "readers": "digits", "metrics": "ua"}.items():
        assert (name, "built in") in {(each["name"], each["source"]) for each in good(home, "show", kind)}
    assert good(home, "show", "requests") == []
    bad(home, "show", "request", "0123", code=3)
    bad(home, "show", "request", code=2)
    bad(home, "show", "params", "x", code=2)


def _last_line(result: Any, code: int) -> str:
    """The last line on stderr of a call that failed with `code`."""
    assert result.exit_code == code
    return result.stderr.splitlines()[-1]


def _crash(*_: Any) -> None:
    raise RuntimeError
