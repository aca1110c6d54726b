"""The difference attack by the references' table: a retrain gives the deletion away, an unchanged model does not."""

import pytest

from tests.unit.audit.by_table.simulated import World, same_model
from tmu.audit.by_table import audit_by_table
from tmu.audit.by_table.difference import difference_of
from tmu.audit.by_table.layer import layer_of


def test_a_retrain_is_told_by_both_models_together_and_the_floor_says_so() -> None:
    case = World(lift=3.0).case(10, 30)
    found = difference_of(case, layer_of(case))
    assert found.drop.low > 60 and found.floor.low > 60 and found.learned.low > 60
    assert abs(found.drop.value - found.floor.value) < 20


def test_what_changed_nothing_tells_nothing() -> None:
    case = same_model(World(lift=3.0).case(10, 30))
    found = difference_of(case, layer_of(case))
    assert (found.drop.value, found.staying.value) == (50, 50) and found.floor.low > 60


@pytest.mark.parametrize("seed", range(3))
def test_where_learning_changes_no_answer_nobody_is_found(seed: int) -> None:
    case = World(seed, lift=0.0).case(10, 30)
    found = difference_of(case, layer_of(case))
    assert found.drop.low < 50 < found.drop.high and found.floor.low < 50 < found.floor.high


def test_the_audit_tells_the_rule_with_its_number() -> None:
    audit = audit_by_table(World().case(10, 30))
    row = audit.data["result"]["rows"][1]["metrics"]
    assert f"{row['difference_auc']['value']:.1f} %" in audit.data["old_versions"]
    assert audit.data["result"]["rows"][0]["metrics"]["difference_auc"] is None
    assert audit.data["result"]["floor"]["difference_auc"]["value"] > 50
    assert {"difference_auc", "difference_auc_staying", "difference_learned_auc"} <= {
        each["name"] for each in audit.data["result"]["metrics"]
    }
