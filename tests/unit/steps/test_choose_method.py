"""`auto`: every rule of the decision, the forecast behind it, and the history it is read from."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tmu.config import AuditConfig, AutoConfig, Params, ReferencesConfig, TrainConfig, TwinConfig, UnlearnConfig
from tmu.data.records import SPLITS
from tmu.deletion.plan import Cost
from tmu.errors import ConfigError
from tmu.files import write_json
from tmu.provenance import code_digest, hardware
from tmu.refs import DataRef, ReferencesRef
from tmu.settings import Settings
from tmu.steps import forecast as forecasting
from tmu.steps.choose_method import MAY_WAIT, Chooser, decide
from tmu.steps.forecast import Forecast, Forecaster, Sizes, Table, shown
from tmu.steps.history import OF_TWIN, History
from tmu.steps.making import lane_of
from tmu.steps.preflight import check_parameters
from tmu.steps.problem_visits import visits_of_problems
from tmu.steps.references_table import recipe_of
from tmu.steps.unlearn_model import code_of
from tmu.stores.artifacts import LocalArtifacts
from tmu.twin.class_mix import class_shift
from tmu.unlearn import get_method, read_options

FEW, MANY = Cost(1000, 1.0, True), Cost(9000, 9.0, True)
NOTHING = Cost(0, 0.0, True)
ALIKE = class_shift(np.array([10, 10]), np.array([90, 90]), np.array([50, 50]))
WHOLE_CLASS = class_shift(np.array([10, 0]), np.array([0, 90]), np.array([50, 50]))
PASSED, FAILED, UNSURE = "passed", "failed", "inconclusive"
SIZES = Sizes(forget=20, kept=180, held=100)
DATA = DataRef(uri="data", digest="d")
PARAMS = Params(
    references=ReferencesConfig(pairs=2),
    train=TrainConfig(epochs=10, batch_size=20),
    twin=TwinConfig(curriculum_nets=1, curriculum_epochs=2, cross_fit=False),
)


def choice(asked: str = "auto", *, retrain: Cost = MANY, alone: Cost = FEW, twin: Cost = NOTHING, mix=ALIKE, audits=()):
    return decide(asked, "tmu-soft" if asked == "auto" else asked, Forecast(retrain, alone, twin), mix, list(audits))


@pytest.fixture
def by_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tmu-soft` works with references, `tmu` with a twin."""
    monkeypatch.setattr(forecasting, "needs_references", lambda name: name == "tmu-soft")
    monkeypatch.setattr(forecasting, "needs_twin", lambda name: name == "tmu")


@pytest.mark.parametrize(
    ("case", "method", "reason", "risk"),
    [
        ({}, "tmu-soft", "not more expensive than retraining: 9.0 s against 1.0 s", "unknown"),
        ({"audits": [PASSED, FAILED, PASSED]}, "tmu-soft", "measured here", "low"),
        ({"audits": [FAILED, FAILED, PASSED, PASSED]}, "tmu-soft", "not more expensive", "low"),
        ({"audits": [PASSED, FAILED, FAILED]}, "retrain", "`tmu-soft` failed 2 of its last 3 audits", "low"),
        ({"audits": [FAILED, FAILED]}, "retrain", "failed 2 of its last 2 audits", "low"),
        ({"audits": [FAILED]}, "tmu-soft", "not more expensive", "low"),
        ({"audits": [UNSURE] * 3}, "tmu-soft", "not more expensive", "unknown"),
        ({"audits": [UNSURE, PASSED, UNSURE]}, "tmu-soft", "not more expensive", "low"),
        ({"audits": [FAILED, UNSURE, FAILED]}, "retrain", "`tmu-soft` failed 2 of its last 3 audits", "low"),
        ({"mix": WHOLE_CLASS}, "retrain", "cannot be used here: the request takes 100 %", "low"),
        ({"mix": WHOLE_CLASS, "audits": [FAILED, FAILED]}, "retrain", "cannot be used here", "low"),
        (
            {"twin": Cost(20000, 20.0, True)},
            "retrain",
            "against 21 s with `tmu-soft` and its audit, 20 s of it",
            "low",
        ),
        ({"alone": Cost(5000, 5.0, False)}, "tmu-soft", "an estimate from numbers of records", "unknown"),
        ({"mix": "they hold no rows"}, "retrain", "The references cannot be used here: they hold no rows.", "low"),
        ({"asked": "tmu-soft", "mix": "they hold no rows"}, "tmu-soft", "was requested", "high"),
        ({"retrain": FEW}, "tmu-soft", "not more expensive than retraining: 1.0 s against 1.0 s", "unknown"),
        ({"alone": Cost(9001, None, False)}, "retrain", "9.0 s against 9,001 record visits", "low"),
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
    kind = stage if stage in ("twin", "audit", "references") else "model"
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
        identity |= {"data": "d"} | {to: getattr(PARAMS, part).model_dump(mode="json") for to, part in OF_TWIN.items()}
    if stage == "references":
        identity |= recipe_of(PARAMS) | {"data": "an earlier revision"}
    verdict = {"passed": more.pop("passed", None), "conclusive": more.pop("conclusive", True)}
    with workspace.artifacts.create(kind, key, identity | more, run) as folder:
        (folder / "weights.safetensors").write_text(key)
        write_json(folder / "audit.json", {"verdict": verdict | {"row": "tmu-soft"}})


def weights(workspace: SimpleNamespace, key: str) -> str:
    from tmu.manifest import read

    return read(workspace.artifacts.folder("model", key))["files"]["weights.safetensors"]


def forecast(workspace: SimpleNamespace, method: str, params: Params = PARAMS, sizes: Sizes = SIZES) -> Forecast:
    return Forecaster(workspace, params, method, DATA).forecast(sizes)


def sampled(sample: int) -> Params:
    return PARAMS.model_copy(update={"audit": AuditConfig(sample=sample)})


def test_a_table_pays_from_the_deletion_on_at_which_it_has_cost_less_than_retraining() -> None:
    made = Forecast(Cost(100, 10.0, True), Cost(1, 1.0, True), audit=Cost(1, 1.0, True), networks=Cost(400, 41.0, True))
    assert made.pays_from == 6  # 41 / (10 - 2), rounded up
    assert Forecast(MANY, MANY, problems=FEW).pays_from is None  # never
    assert Forecast(MANY, FEW).pays_from is None  # there are none
    unknown = Forecast(Cost(100, None, False), Cost(10, None, False), networks=Cost(400, 41.0, True))
    assert unknown.pays_from == 5  # by visits: 400 / 90


def test_what_is_paid_already_does_not_count_against_a_method() -> None:
    parts = {"networks": Cost(3000, 30.0, True), "problems": Cost(1000, 10.0, True), "among": 4, "audit": FEW}
    unpaid = {"to_fit": True, "problems_to_fit": True}
    assert Forecast(MANY, FEW, **parts).whole == FEW + FEW
    assert Forecast(MANY, FEW, **parts, **unpaid).whole == FEW + FEW + Cost(1000, 10.0, True)
    assert decide("auto", "tmu-soft", Forecast(MANY, FEW, **parts), None, []).method == "tmu-soft"
    found = decide("auto", "tmu-soft", Forecast(MANY, FEW, **parts, **unpaid, deletions=2), None, [])
    assert (found.method, found.pays_from, found.deletions, found.to_fit) == ("retrain", 6, 2, True)
    assert "10 s of it as its part of the references" in found.reason
    assert (found.among, found.problems_to_fit) == (4, True)
    assert Forecast(MANY, FEW, **parts, problems_to_fit=True).left == Cost(1000, 10.0, True)


def test_without_history_the_forecast_counts_visits(workspace: SimpleNamespace, by_references: None) -> None:
    found = forecast(workspace, "tmu")
    assert found.retrain == Cost(10 * 180, None, False)
    assert found.twin == Cost((5 + 1 * 2) * 300, None, False)
    assert found.audit == Cost(20 + 2 * 180, None, False)  # all there are, by both models at half a visit each
    assert found.once == Cost(2 * 10 * 200, None, False) and found.to_fit  # for the audit
    assert forecast(workspace, "finetune").twin == NOTHING
    assert forecast(workspace, "ssd").alone.visits == 400
    soft = forecast(workspace, "tmu-soft")
    assert soft.alone.visits == 24 * (10 + 32)  # not one pass over D
    assert soft.networks == Cost(2 * 10 * 200, None, False) and soft.once == soft.networks + soft.problems
    assert soft.problems == Cost(visits_of_problems(200, 100, 1), None, False) and soft.problems_to_fit
    assert soft.part.visits == round(soft.once.visits / 20)
    assert soft.alone == forecast(workspace, "tmu-soft", sizes=Sizes(20, 10**6, 100)).alone
    assert forecast(workspace, "retrain") == Forecast(found.retrain, found.retrain)


def test_golds_are_paid_by_whoever_wants_them(workspace: SimpleNamespace, by_references: None) -> None:
    golds = PARAMS.model_copy(update={"audit": AuditConfig(golds=True)})
    found = forecast(workspace, "finetune", golds)
    assert found.audit == Cost(2 * 1800, None, False) and found.once == NOTHING and not found.to_fit
    assert forecast(workspace, "tmu-soft", golds).once.visits  # the method itself needs them


def test_requests_share_what_serves_them_all(workspace: SimpleNamespace, by_references: None) -> None:
    few = PARAMS.model_copy(update={"auto": AutoConfig(requests_per_references=2)})
    found = forecast(workspace, "tmu-soft", few)
    assert found.part.visits == found.once.visits / 2
    named = ["retrain", "tmu-soft alone", "audit", "references", "networks", "twin problems", "tmu-soft"]
    assert list(shown(found, "tmu-soft")) == named
    assert shown(found, "tmu-soft")["twin problems"] == found.problems  # as a whole: no share hides it
    assert shown(found, "tmu-soft")["tmu-soft"] == found.own + found.part
    assert list(shown(forecast(workspace, "retrain"), "retrain")) == ["retrain"]


def test_an_original_tells_how_fast_a_visit_is(workspace: SimpleNamespace, by_references: None) -> None:
    add(workspace, "a", "original", 10.0)  # 10 epochs of 100 records
    add(workspace, "b", "gold", 30.0)
    add(workspace, "c", "gold", 20.0)
    add(workspace, "cut", "gold", 0.1, run={"resumed_at": 5})
    add(workspace, "elsewhere", "gold", 0.1, machine="another")
    add(workspace, "other", "gold", 0.1, model={"name": "resnet18", "options": {}})
    found = forecast(workspace, "tmu")
    assert found.retrain == Cost(1800, pytest.approx(36.0), True)  # the median, 20 s for 1,000 visits
    assert found.twin == Cost(2100, pytest.approx(42.0), False)
    assert not found.whole.measured


def test_a_training_that_stopped_early_made_fewer_visits(workspace: SimpleNamespace, by_references: None) -> None:
    add(workspace, "a", "gold", 20.0, run={"best_epoch": 2, "history": [{}] * 4})
    assert forecast(workspace, "tmu").retrain.seconds == pytest.approx(1800 * 20 / 400)


def test_the_same_work_done_before_is_the_best_forecast(workspace: SimpleNamespace, by_references: None) -> None:
    add(workspace, "a", "original", 10.0)
    add(workspace, "u", "unlearned", 3.0, method="tmu", options=read_options("tmu", {}).model_dump(mode="json"))
    add(workspace, "v", "unlearned", 500.0, method="tmu", options={"steps": 1})
    add(workspace, "t", "twin", 4.0, data="an earlier revision")
    add(workspace, "longer", "twin", 40.0, twin={"train": {"epochs": 100}})
    add(workspace, "e", "audit", 0.5, models={}, forget="f", references="r", passed=True)
    add(workspace, "gold-audit", "audit", 50.0, models={}, forget="f", passed=True)
    add(workspace, "r", "references", 70.0)
    add(workspace, "r-cut", "references", 7.0, run={"resumed_at": 3})
    found = forecast(workspace, "tmu")
    seconds = (found.alone.seconds, found.twin.seconds, found.audit.seconds, found.once.seconds)
    assert seconds == (3.0, 4.0, 0.5, 70.0) and found.whole.measured
    add(workspace, "t2", "twin", 4.0)
    assert forecast(workspace, "tmu").twin == NOTHING


def test_only_twin_problems_of_this_recipe_and_architecture_tell_what_they_take(
    workspace: SimpleNamespace, by_references: None
) -> None:
    same = {"references": "t", "recipe": PARAMS.train.model_dump(mode="json"), "lane": lane_of(workspace, PARAMS.train)}
    add(workspace, "large", "original", 900.0, model={"name": "resnet18", "options": {}})
    add(workspace, "a", "twin", 180.0, **same)
    add(workspace, "b", "twin", 9.0, **same | {"recipe": TrainConfig(epochs=1).model_dump(mode="json")})
    add(workspace, "c", "twin", 7.0, **same, original=weights(workspace, "large"))
    assert forecast(workspace, "tmu-soft").problems.seconds == 180.0


def test_a_table_that_is_there_is_not_paid_again_unless_it_is_due(
    workspace: SimpleNamespace, by_references: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = ReferencesRef(uri="references/r", digest="e")
    facts = {"deletions": 3, "erased": 9, "n_train": 200, "buckets": frozenset({1}), "seconds": 33.0, "twin": True}
    for due, paid in (((), True), (("It is old.",), False)):
        monkeypatch.setattr(Table, "of", lambda *_, due=due: Table(ref=ref, **facts, due=due))
        found = forecast(workspace, "finetune")
        assert (found.to_fit, found.deletions, found.once.seconds) == (not paid, 3 * paid, 33.0)
        assert found.left == (NOTHING if paid else found.once)
    monkeypatch.setattr(Table, "of", lambda *_: Table(ref=ref, **facts | {"twin": False}, due=()))
    soft = forecast(workspace, "tmu-soft")
    assert not soft.to_fit and soft.left == soft.problems  # its twin problems are still to be paid


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
    after = {"original": weights(workspace, "u"), "retrain": "r"}  # it took over from a model of the method
    add(workspace, "5", "audit", 1.0, "2026-01-05", models=after, forget="g", passed=True)
    assert History(workspace, PARAMS).audited("tmu_soft", {}) == [FAILED, PASSED]
    add(workspace, "6", "audit", 1.0, "2026-01-06", models=mine, forget="h", passed=True, conclusive=False)
    assert History(workspace, PARAMS).audited("tmu_soft", {}) == [FAILED, PASSED, UNSURE]


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
        check_parameters(None, Params(auto=AutoConfig(method=name)), "auto")
    assert Params().method_of_auto == "tmu-soft"


def test_options_go_with_the_method_that_auto_weighs() -> None:
    params = Params(unlearn=UnlearnConfig(method="auto", options={"steps": 7}))
    assert params.with_method("tmu-soft").unlearn == UnlearnConfig(method="tmu-soft", options={"steps": 7})
    assert params.with_method("retrain").unlearn.options == {}


def looked_at(method: str, *, shards=(1, 2), held=50, unseen=99, pairs=2, table=None, n_train=10, **limits) -> Chooser:
    """A chooser whose table and store are given; what a request of these shards meets."""
    chooser = object.__new__(Chooser)
    params = PARAMS.model_copy(update={"references": ReferencesConfig(pairs=pairs, **limits)})
    facts = {"ref": ReferencesRef(uri="references/r", digest="e"), "deletions": 0, "erased": 5, "n_train": 100}
    facts |= {"buckets": frozenset({1, 2}), "seconds": 1.0, "twin": True, "due": ()} | (table or {})
    chooser._params, chooser._method = params, method
    chooser._forecaster = SimpleNamespace(table=None if table is None else Table(**facts))
    info = SimpleNamespace(live=("a", "b"), classes=("a", "b"), outputs=np.array([0, 1]))
    index = SimpleNamespace(splits=np.full(unseen, SPLITS.index("holdout")), labels=np.zeros(unseen, int))
    index.find_records = lambda keys: (np.arange(0), [])
    chooser._store = SimpleNamespace(info=info, index=lambda: index)
    chooser.resolved = SimpleNamespace(shards=shards, n_train=n_train, records=())
    chooser.counts = [np.array([5, 5]), np.array([40, 40]), np.array([held, 0])]
    return chooser


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"table": {}}, None),
        ({}, None),  # there is no table yet: it will be fitted
        ({"table": {}, "shards": (1, 3)}, "they hold no rows of 1 shard of the 2 that it touches"),
        ({"held": 3}, "the hold-out has 3 records, and their twin problems need 4"),
        ({"pairs": 1}, "their twin problems need 2 pairs of networks"),
        ({"unseen": 98}, "an audit needs 99 records of test set and hold-out, and 98 stay"),
    ],
)
def test_what_the_references_cannot_serve_is_known_from_the_plan(given: dict, refused: str | None) -> None:
    chooser = looked_at("tmu-soft", **given)
    found = chooser._against(chooser.resolved, chooser.counts)
    assert (found is None) if refused is None else found.startswith(refused)


def test_a_method_that_only_its_audit_needs_references_for_is_not_held_to_the_twin_problems() -> None:
    chooser = looked_at("finetune", held=3, pairs=1)
    assert chooser._against(chooser.resolved, chooser.counts) is None


def test_the_plan_says_who_serves_where_an_inconclusive_audit_makes_the_model_wait() -> None:
    chooser = looked_at("tmu-soft", table={}, renew_erased=0.5)
    for golds, said in ((False, (MAY_WAIT,)), (True, ())):
        audit = AuditConfig(inconclusive="wait", golds=golds)
        chooser._params = chooser._params.model_copy(update={"audit": audit})
        assert chooser._notes(chooser.resolved) == said
    assert "the model stays in service that learned these records" in MAY_WAIT


def test_an_audit_costs_what_audits_took_here_and_before_one_what_it_looks_at(
    workspace: SimpleNamespace, by_references: None
) -> None:
    add(workspace, "a", "original", 10.0)  # .01 s a visit
    few, many = (forecast(workspace, "tmu", sampled(sample)).audit for sample in (100, 1000))
    assert few == Cost(20 + 50 + 100, pytest.approx(1.7), False) and many.visits == 20 + 2 * 180
    add(workspace, "e", "audit", 0.5, models={}, forget="f", references="r", passed=True)
    add(workspace, "e2", "audit", 0.7, models={}, forget="g", references="r", passed=True)
    assert forecast(workspace, "tmu").audit == Cost(380, pytest.approx(0.6), True)


def test_without_an_audit_by_references_few_records_forbid_nothing() -> None:
    assert looked_at("retrain", unseen=5)._unaudited(SimpleNamespace(records=())) is None
    by_golds = looked_at("tmu-soft", unseen=5)
    by_golds._params = by_golds._params.model_copy(update={"audit": AuditConfig(golds=True)})
    assert by_golds._against(by_golds.resolved, by_golds.counts) is None


def test_the_plan_says_when_the_references_must_be_renewed() -> None:
    assert looked_at("tmu-soft")._notes(looked_at("tmu-soft").resolved) == ()
    fine = looked_at("tmu-soft", table={}, renew_erased=0.5)
    assert fine._notes(fine.resolved) == ()
    soon = looked_at("tmu-soft", table={}, renew_erased=0.15)
    assert "After this request the references are due: 15.0 % of D" in soon._notes(soon.resolved)[0]
    due = looked_at("tmu-soft", table={"due": ("It is old.",)})
    assert due._notes(due.resolved) == ("The references are fitted anew first: It is old.",)


def test_the_plan_says_what_a_recipe_may_not_have_been_meant_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser = looked_at("tmu-soft")
    chooser._asked, chooser._configured, chooser._audits = "tmu-soft", True, []
    chooser._totals = (np.array([40, 40]), np.array([50, 0]))
    chooser.resolved.retires = ()
    monkeypatch.setattr(Chooser, "_counts", lambda self, resolved: self.counts)
    monkeypatch.setattr(Chooser, "_forecast", lambda self, counts: Forecast(MANY, FEW))
    assert chooser.choose(chooser.resolved).notes == ()
    odd = TrainConfig(backbone_lr=0.0, early_stop=2)
    chooser._params = chooser._params.model_copy(update={"train": odd})
    frozen, few = chooser.choose(chooser.resolved).notes
    assert "begins with random weights" in frozen
    assert "decides by 50 hold-out records" in few
