"""The deletion as a value: stages go forwards, the plan's hash covers what is shown, parameters are resolved once."""

import json

import pytest

from tmu.config import Params, UnlearnConfig
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.plan import Asked, Choice, Plan, rules_of
from tmu.refs import DataRef, ForgetRef

DATA = DataRef(uri="data", digest="1.dir")
FORGET = ForgetRef(uri="forget/1", digest="2", data_digest="1.dir")
PARAMS = Params(unlearn=UnlearnConfig(method="auto", options={}))


def planned(**changes: object) -> Plan:
    fields = {
        "id": "0" * 16, "data": DATA, "subjects": ("a", "b"), "records": ("r1", "r2"), "records_digest": "d",
        "n_records": 2, "by_split": {"train": 2}, "by_class": {"x": 2}, "shards": (1,), "n_train": 2,
        "choice": Choice(asked="auto", method="retrain", reason="Cheaper."), "rules": "r",
    }  # fmt: skip
    return Plan(**fields | changes)


def acknowledged(**changes: object) -> Deletion:
    return Deletion.acknowledged(planned(**changes), Asked.of(["b", "a", "b"], []), PARAMS, FORGET)


def test_the_parameters_hold_the_chosen_method_and_the_plan_no_record_keys() -> None:
    deletion = acknowledged()
    assert (deletion.method, deletion.exact, deletion.plan.choice.asked) == ("retrain", True, "auto")
    assert deletion.asked == Asked(subjects=("a", "b"))
    assert deletion.plan.records == ()
    assert Deletion.model_validate_json(deletion.model_dump_json()) == deletion
    assert "r1" not in deletion.model_dump_json()


def test_stages_go_forwards_only_and_keep_when_they_were_first_reached() -> None:
    deletion = acknowledged()
    erased = deletion.reached(Stage.ERASING).reached(Stage.ERASED, data=DATA)
    assert deletion.stage is Stage.ACKNOWLEDGED  # a value: the old one stays
    assert (erased.stage, erased.data) == (Stage.ERASED, DATA)
    assert erased.reached(Stage.ERASING) == erased  # not taken back
    assert erased.has_reached(Stage.ERASING) and not erased.has_reached(Stage.UNLEARNED)
    again = erased.reached(Stage.ERASED, refused="why")
    assert (again.refused, again.times) == ("why", erased.times)
    taken = deletion.withdrawn()
    assert not taken.open and not taken.has_reached(Stage.ACKNOWLEDGED)


def test_a_fact_that_no_deletion_has_is_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        acknowledged().reached(Stage.ERASED, dat=DATA)
    with pytest.raises(ValueError, match="validation error"):
        acknowledged().reached(Stage.ERASED, data="1.dir")


def test_the_hash_covers_what_is_shown_and_no_key_is_shown() -> None:
    plan = planned()
    assert plan.body == json.loads(json.dumps(plan.body))
    assert not {"subjects", "records"} & plan.body.keys()
    assert plan.body["n_subjects_named"] == 2
    assert planned(records=()).hash == plan.hash  # read back, it is the same plan
    other = [{"records_digest": "e"}, {"data": DATA.model_copy(update={"digest": "2.dir"})}, {"stays": ("One stays.",)}]
    other += [{"rules": "s"}, {"choice": plan.choice.model_copy(update={"method": "tmu"})}, {"subjects": ("a",)}]
    assert len({plan.hash, *(planned(**each).hash for each in other)}) == 1 + len(other)


def test_rules_are_those_of_the_method_that_was_chosen() -> None:
    assert rules_of(acknowledged().params) == rules_of(PARAMS.with_method("retrain")) != rules_of(PARAMS)
