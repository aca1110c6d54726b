"""The difference attack finds who was deleted where that can be told, and nobody where it cannot."""

import numpy as np
import pytest

from tests.unit.audit.conftest import World
from tmu.audit.difference import Pair, composition, drop_auc, learned_auc, learned_possible, sentence
from tmu.audit.metrics.registry import built_in_metrics
from tmu.audit.view import Case, View

CLASSES, RESAMPLES = 5, 400


def logits(margins: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Answers with about these margins."""
    found = rng.normal(0, 0.3, (len(labels), CLASSES))
    found[np.arange(len(labels)), labels] += margins
    return found.astype(np.float32)


def pair(count: int, drop: float, seed: int, noise: float = 0.3) -> Pair:
    """Records whose margin falls by `drop` from the model before to the model after."""
    rng = np.random.default_rng(seed)
    labels, ease = rng.integers(0, CLASSES, count), rng.normal(3, 2, count)
    before = logits(ease + drop + rng.normal(0, noise, count), labels, rng)
    return Pair(before, logits(ease + rng.normal(0, noise, count), labels, rng), labels)


def test_what_lost_confidence_is_found_by_both_attacks() -> None:
    deleted, never = pair(300, 4.0, 0), pair(400, 0.0, 1)
    plain, learned = drop_auc(deleted, never, RESAMPLES), learned_auc(deleted, never, RESAMPLES, 0)
    assert plain.value > 97 and plain.low > 95 and learned.value > 97


def test_each_model_alone_tells_nothing_of_it() -> None:
    """The pair is the attack: after the deletion the records look like all others."""
    deleted, never = pair(300, 4.0, 0), pair(400, 0.0, 1)
    alone = Pair(deleted.after, deleted.after, deleted.labels), Pair(never.after, never.after, never.labels)
    assert drop_auc(*alone, RESAMPLES).value == 50


@pytest.mark.parametrize("seed", range(5))
def test_an_honest_null_is_one_half_within_its_interval(seed: int) -> None:
    deleted, never = pair(200, 0.0, 10 + seed), pair(300, 0.0, 20 + seed)
    for found in (drop_auc(deleted, never, RESAMPLES), learned_auc(deleted, never, RESAMPLES, seed)):
        assert found.low < 50 < found.high
        assert 40 < found.value < 60


def test_a_trained_attack_finds_what_moved_to_either_side() -> None:
    """Half gain and half lose confidence: the drop's rank tells nothing, the distance of the answers does."""
    up, down, never = pair(200, -4.0, 4), pair(200, 4.0, 5), pair(400, 0.0, 6)
    both = Pair(
        *(np.concatenate([getattr(each, name) for each in (up, down)]) for name in ("before", "after", "labels"))
    )
    assert drop_auc(both, never, RESAMPLES).low < 55
    assert learned_auc(both, never, RESAMPLES, 0).value > 75


def test_too_few_records_to_learn_from() -> None:
    assert [learned_possible(*sizes) for sizes in ((9, 500), (500, 9), (10, 10))] == [False, False, True]


def sequence(steps: int, each: int, never: int, drop: float) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(steps)
    deleted = np.repeat(np.arange(steps + 1), [never, *[each] * steps])
    labels, ease = rng.integers(0, CLASSES, len(deleted)), rng.normal(3, 2, len(deleted))
    known = [ease + drop * ((deleted > version) & (deleted > 0)) for version in range(steps + 1)]
    return [logits(margins + rng.normal(0, 0.3, len(deleted)), labels, rng) for margins in known], labels, deleted


def test_over_twenty_deletions_every_one_is_found_and_dated() -> None:
    found = composition(*sequence(20, 15, 400, 5.0), RESAMPLES)
    assert len(found.steps) == 20 and min(step.value for step in found.steps) > 95
    assert found.together.value > 95 and found.placed > 0.9


def test_twenty_versions_that_forgot_nothing_tell_nothing() -> None:
    found = composition(*sequence(20, 15, 400, 0.0), RESAMPLES)
    assert found.together.low < 50 < found.together.high and found.placed < 0.15
    assert np.mean([step.low < 50 < step.high for step in found.steps]) >= 0.85


@pytest.mark.parametrize("deleted", [[0, 0, 0], [1, 1, 1], [0, 2, 2]])
def test_a_sequence_without_its_parts_is_refused(deleted: list[int]) -> None:
    answers = [np.zeros((3, CLASSES), np.float32)] * 2
    with pytest.raises(ValueError, match="each deletion needs"):
        composition(answers, np.zeros(3, np.int64), np.array(deleted), RESAMPLES)


def test_the_audits_rows_show_it_with_the_golds_as_floor() -> None:
    world = World()
    models = {name: View(world.sets, each, 0) for name, each in world.models().items()}
    metrics = {name: each for name, each in built_in_metrics().items() if name.startswith("difference_")}
    assert sorted(metrics) == ["difference_auc", "difference_auc_staying", "difference_learned_auc"]
    found = {}
    for row in ("original", "gold"):
        case = Case(models[row], (models["second gold"],), models["original"], 0, RESAMPLES)
        assert all(each.possible(case) for each in metrics.values())
        found[row] = {name: each.compute(case) for name, each in metrics.items()}
    assert found["original"]["difference_auc"].value == 50
    assert found["gold"]["difference_auc"].value > 90 and found["gold"]["difference_learned_auc"].value > 90
    assert found["gold"]["difference_auc_staying"].value > 90
    without = Case(models["gold"], (), None, 0, RESAMPLES)
    assert not any(each.possible(without) for each in metrics.values())


def test_the_rule_is_told_with_its_number() -> None:
    deleted, never = pair(300, 4.0, 0), pair(400, 0.0, 1)
    found = drop_auc(deleted, never, RESAMPLES)
    text = sentence(found, None)
    assert text.startswith("Old versions are not to be handed out") and f"{found.value:.1f} %" in text
    assert "exact retrain" not in text and "exact retrain" in sentence(found, found)
