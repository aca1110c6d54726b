"""`auto`: every rule of the decision, the forecast behind it, and the history it is read from."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tmu.config import AutoConfig, Params, TrainConfig, TwinConfig, UnlearnConfig
from tmu.deletion.plan import Cost
from tmu.errors import ConfigError
from tmu.files import write_json
from tmu.provenance import code_digest, hardware
from tmu.settings import Settings
from tmu.steps.choose_method import Forecast, _forecast, decide
from tmu.steps.history import _TWIN, History
from tmu.steps.making import lane_of
from tmu.steps.preflight import _approximate
from tmu.steps.unlearn_model import code_of
from tmu.stores.artifacts import LocalArtifacts
from tmu.twin.class_mix import class_shift
from tmu.unlearn import get_method, read_options

FEW, MANY = Cost(1000, 1.0, True), Cost(9000, 9.0, True)
NOTHING = Cost(0, 0.0, True)
ALIKE = class_shift(np.array([10, 10]), np.array([90, 90]), np.array([50, 50]))
WHOLE_CLASS = class_shift(np.array([10, 0]), np.array([0, 90]), np.array([50, 50]))
COUNTS = [np.array([10, 10]), np.array([90, 90]), np.array([50, 50])]  # forget, retain, hold-out
PARAMS = Params(
    train=TrainConfig(epochs=10, batch_size=20),
    twin=TwinConfig(curriculum_nets=1, curriculum_epochs=2, cross_fit=False),
)


def choice(asked: str = "auto", *, retrain: Cost = MANY, alone: Cost = FEW, twin: Cost = NOTHING, mix=ALIKE, audits=()):
    return decide(asked, "tmu-soft" if asked == "auto" else asked, Forecast(retrain, alone, twin), mix, list(audits))


@pytest.mark.parametrize(
    ("case", "method", "reason", "risk"),
    [
        ({}, "tmu-soft", "not more expensive than retraining: 9.0 s against 1.0 s", "unknown"),
        ({"audits": [True, False, True]}, "tmu-soft", "measured here", "low"),
        ({"audits": [False, False, True, True]}, "tmu-soft", "not more expensive", "low"),
        ({"audits": [True, False, False]}, "retrain", "`tmu-soft` failed 2 of its last 3 audits", "high"),
        ({"audits": [False, False]}, "retrain", "failed 2 of its last 2 audits", "high"),
        ({"audits": [False]}, "tmu-soft", "not more expensive", "low"),
        ({"mix": WHOLE_CLASS}, "retrain", "cannot be used here: the request takes 100 %", "high"),
        ({"mix": WHOLE_CLASS, "audits": [False, False]}, "retrain", "cannot be used here", "high"),
        ({"twin": Cost(20000, 20.0, True)}, "retrain", "9.0 s against 21 s with `tmu-soft`, 20 s of it", "unknown"),
        ({"alone": Cost(5000, 5.0, False)}, "tmu-soft", "an estimate from numbers of records", "unknown"),
        ({"retrain": FEW}, "tmu-soft", "not more expensive than retraining: 1.0 s against 1.0 s", "unknown"),
        ({"alone": Cost(9001, None, False)}, "retrain", "9.0 s against 9,001 record visits", "unknown"),
        ({"mix": None, "asked": "finetune"}, "finetune", "was requested", "unknown"),
        ({"asked": "tmu-soft", "mix": WHOLE_CLASS}, "tmu-soft", "was requested", "high"),
        ({"asked": "tmu", "retrain": FEW, "alone": MANY}, "tmu", "was requested", "unknown"),
    ],
)
def test_every_rule(case: dict, method: str, reason: str, risk: str) -> None:
    found = choice(**case)
    assert (found.method, found.risk.level) == (method, risk)
    assert reason in found.reason
    assert json.loads(found.model_dump_json())["forecast"]["retrain"]["visits"] == case.get("retrain", MANY).visits


def test_costs_add_up_and_are_shared() -> None:
    assert Cost(10000, 10.0, True) == FEW + MANY
    assert FEW + Cost(1, None, False) == Cost(1001, None, False)
    assert MANY.shared(3) == Cost(3000, 3.0, True)
    assert Cost(9, None, False).shared(2) == Cost(4, None, False)
    assert FEW.below(MANY) and not MANY.below(FEW) and not FEW.below(FEW)
    assert Cost(5, None, False).below(Cost(6, 0.1, True))  # without a speed, visits decide


@pytest.fixture
def workspace(tmp_path: Path) -> SimpleNamespace:
    artifacts = LocalArtifacts(tmp_path / "artifacts", tmp_path)
    return SimpleNamespace(settings=Settings(device="cpu", threads=1), artifacts=artifacts, params=PARAMS)


def add(workspace: SimpleNamespace, key: str, stage: str, seconds: float, at: str = "2026-01-01", **more) -> None:
    """A finished artifact of a stage, made on this machine unless `machine` says otherwise."""
    kind = {"twin": "twin", "audit": "audit"}.get(stage, "model")
    here = hardware() | ({"processor": more.pop("machine")} if "machine" in more else {})
    run = {
        "seconds_total": seconds,
        "hardware": here,
        "at": at,
        "n_records": 100,
        "resumed_at": 0,
        **more.pop("run", {}),
    }
    recipe = PARAMS.twin.train if stage == "twin" else PARAMS.train
    identity = {"stage": stage, "key": key, "lane": lane_of(workspace, recipe), "code": code_digest(*code_of(PARAMS))}
    if stage in ("original", "gold"):
        identity |= {part: getattr(PARAMS, part).model_dump(mode="json") for part in ("train", "model")}
    if stage == "unlearned":
        identity |= {"method": "tmu-soft", "options": read_options("tmu-soft", {}).model_dump(mode="json")}
    if stage == "twin":
        identity |= {"data": "d"} | {to: getattr(PARAMS, part).model_dump(mode="json") for to, part in _TWIN.items()}
    passed = more.pop("passed", None)
    with workspace.artifacts.create(kind, key, identity | more, run) as folder:
        (folder / "weights.safetensors").write_text(key)
        write_json(folder / "audit.json", {"verdict": {"passed": passed}})


def weights(workspace: SimpleNamespace, key: str) -> str:
    from tmu.manifest import read

    return read(workspace.artifacts.folder("model", key))["files"]["weights.safetensors"]


def test_without_history_the_forecast_counts_visits(workspace: SimpleNamespace) -> None:
    found = _forecast(History(workspace, PARAMS), PARAMS, "tmu-soft", {"steps": 95}, COUNTS, "d")
    assert found.retrain == Cost(10 * 180, None, False)
    assert found.alone == Cost(10 * 200, None, False)  # 95 steps of 20: ten epochs in whole numbers
    assert found.twin == Cost((5 + 1 * 2) * 300, None, False)
    shared = PARAMS.model_copy(update={"auto": AutoConfig(requests_per_twin=3)})
    assert _forecast(History(workspace, shared), shared, "tmu-soft", {}, COUNTS, "d").twin.visits == 700
    more = PARAMS.model_copy(update={"twin": PARAMS.twin.model_copy(update={"cross_fit": True})})
    assert _forecast(History(workspace, more), more, "tmu-soft", {}, COUNTS, "d").twin.visits == 2100 + 10 * 200
    assert _forecast(History(workspace, PARAMS), PARAMS, "finetune", {}, COUNTS, "d").twin == NOTHING
    assert _forecast(History(workspace, PARAMS), PARAMS, "ssd", {}, COUNTS, "d").alone.visits == 400


def test_an_original_tells_how_fast_a_visit_is(workspace: SimpleNamespace) -> None:
    add(workspace, "a", "original", 10.0)  # 10 epochs of 100 records
    add(workspace, "b", "gold", 30.0)
    add(workspace, "c", "gold", 20.0)
    add(workspace, "cut", "gold", 0.1, run={"resumed_at": 5})
    add(workspace, "elsewhere", "gold", 0.1, machine="another")
    add(workspace, "other", "gold", 0.1, model={"name": "resnet18", "options": {}})
    found = _forecast(History(workspace, PARAMS), PARAMS, "tmu-soft", {}, COUNTS, "d")
    assert found.retrain == Cost(1800, pytest.approx(36.0), True)  # the median, 20 s for 1,000 visits
    assert found.twin == Cost(2100, pytest.approx(42.0), False)
    assert not found.whole.measured


def test_the_same_work_done_before_is_the_best_forecast(workspace: SimpleNamespace) -> None:
    add(workspace, "a", "original", 10.0)
    add(workspace, "u", "unlearned", 3.0)
    add(workspace, "v", "unlearned", 500.0, options={"steps": 1})
    add(workspace, "t", "twin", 4.0, data="an earlier revision")
    add(workspace, "longer", "twin", 40.0, recipe={"epochs": 100})
    found = _forecast(History(workspace, PARAMS), PARAMS, "tmu-soft", {}, COUNTS, "d")
    assert (found.alone.seconds, found.twin.seconds, found.whole.measured) == (3.0, 4.0, True)
    add(workspace, "t2", "twin", 4.0)
    assert _forecast(History(workspace, PARAMS), PARAMS, "tmu-soft", {}, COUNTS, "d").twin == NOTHING


def test_audits_count_once_a_request_and_only_for_the_method_as_it_is(
    workspace: SimpleNamespace,
) -> None:
    for key, more in {"u": {}, "old": {"code": "earlier"}, "other": {"options": {"steps": 1}}}.items():
        add(workspace, key, "unlearned", 1.0, **more)
    mine = {"original": "o", "tmu-soft": weights(workspace, "u")}
    add(workspace, "1", "audit", 1.0, "2026-01-02", models=mine, forget="f", passed=False)
    add(workspace, "2", "audit", 1.0, "2026-01-03", models=mine, forget="g", passed=False)
    add(workspace, "3", "audit", 1.0, "2026-01-04", models=mine, forget="f", passed=True)  # the same request again
    for key in ("old", "other"):
        models = {"tmu-soft": weights(workspace, key)}
        add(workspace, f"a-{key}", "audit", 1.0, models=models, forget=key, passed=False)
    assert History(workspace, PARAMS).audited("tmu_soft", {}) == [False, True]


def test_what_cannot_be_read_is_passed_over(workspace: SimpleNamespace) -> None:
    add(workspace, "a", "original", 10.0)
    add(workspace, "b", "gold", 1.0)
    (workspace.artifacts.folder("model", "b") / "run.json").write_text("{")
    add(workspace, "c", "something new", 1.0)
    assert [run.identity["key"] for run in History(workspace, PARAMS).models] == ["a"]


def test_auto_is_no_method_of_a_single_step() -> None:
    with pytest.raises(ConfigError, match="single step"):
        get_method("auto")


@pytest.mark.parametrize("name", ["auto", "retrain"])
def test_auto_weighs_an_approximate_method(name: str) -> None:
    with pytest.raises(ConfigError, match=r"auto\.method"):
        _approximate(Params(auto=AutoConfig(method=name)))
    assert _approximate(Params()) == "tmu-soft"


def test_options_go_with_the_method_that_auto_weighs() -> None:
    params = Params(unlearn=UnlearnConfig(method="auto", options={"steps": 7}))
    assert params.with_method("tmu-soft").unlearn == UnlearnConfig(method="tmu-soft", options={"steps": 7})
    assert params.with_method("retrain").unlearn.options == {}
