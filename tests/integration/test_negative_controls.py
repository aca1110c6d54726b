"""What the audit must not let pass, and what it must: real models of a small world, judged as a deletion is.

Digits with every fifth label drawn anew, so that a model which saw a record can be told from one that did not. One
original, two golds, and for each control a model that somebody might take for unlearned.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tmu.audit.gate import Verdict, judge
from tmu.audit.moved import parameters_moved
from tmu.audit.outputs import Outputs, Sets
from tmu.audit.people import people_report
from tmu.audit.probes.probe import probe
from tmu.audit.table import AuditResult, audit_table
from tmu.config import AuditConfig, Seeds, TrainConfig
from tmu.errors import DataError
from tmu.models.registry import build, head_of
from tmu.train import Examples, fit, logits_of
from tmu.train.examples import as_probabilities, join
from tmu.train.lane import exact
from tmu.train.predict import predict

CLASSES, SHAPE = 10, (1, 8, 8)
RECIPE = TrainConfig(epochs=20, batch_size=64, precision="fp32")
CONFIG = AuditConfig(bootstrap=200, relearn_steps=10)
GOLDS = ["gold", "second gold"]


def _digits() -> tuple[Examples, Examples]:
    """480 training and 480 test records; a fifth of all labels is drawn anew."""
    from sklearn.datasets import load_digits

    digits, rng = load_digits(), np.random.default_rng(0)
    order = rng.permutation(len(digits.target))[:960]
    labels = np.where(rng.random(960) < 0.2, rng.integers(0, CLASSES, 960), digits.target[order])
    images = (digits.images[order] * 15).astype(np.uint8)[:, None]
    keys = rng.integers(-(2**63), 2**63 - 1, 960)
    both = Examples(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(keys))
    return both.take(torch.arange(480)), both.take(torch.arange(480, 960))


@dataclass(frozen=True)
class World:
    """Sets, original, golds, and outputs of the two; `judged` audits one more model."""

    parts: dict[str, Examples]
    models: dict[str, nn.Module]
    outputs: dict[str, Outputs]
    probes: dict

    def outputs_of(self, model: nn.Module) -> Outputs:
        return Outputs({name: logits_of(model, part.images).numpy() for name, part in self.parts.items()})

    @property
    def sets(self) -> Sets:
        return Sets({name: part.labels.numpy() for name, part in self.parts.items()})

    def audit(self, model: nn.Module, outputs: Outputs | None = None) -> AuditResult:
        found = probe(model, self.models["original"], self.parts["forget"], self.parts["retain"], CONFIG, 0, fit)
        outputs = {**self.outputs, "asked": outputs or self.outputs_of(model)}
        probes = {**self.probes, "asked": found}
        return audit_table(self.sets, outputs, GOLDS, {}, 0, resamples=CONFIG.bootstrap, probes=probes)

    def judged(self, model: nn.Module, outputs: Outputs | None = None) -> Verdict:
        """The verdict on a model whose bytes differ from the original's."""
        moved = parameters_moved(self.models["original"], model)
        return judge(self.audit(model, outputs), "asked", CONFIG, weights_changed=True, parameters_moved=moved)


def _net(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build("small_resnet", SHAPE, CLASSES, {"width": 8})


def _trained(examples: Examples, seed: int) -> nn.Module:
    model = _net(seed)
    fit(model, examples, RECIPE, Seeds.all(seed), threads=1)
    return model


@pytest.fixture(scope="session")
def world() -> World:
    train, test = _digits()
    forgotten = torch.zeros(len(train), dtype=torch.bool)
    forgotten[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:96]] = True
    parts = {"forget": train.take(forgotten), "retain": train.take(~forgotten), "test": test}
    with exact(1):
        models = {"original": _trained(train, 0)}
        models |= {name: _trained(parts["retain"], seed) for name, seed in zip(GOLDS, (0, 10_000), strict=True)}
        made = World(parts, models, {}, {})
        for name, model in models.items():
            made.outputs[name] = made.outputs_of(model)
            made.probes[name] = probe(model, models["original"], parts["forget"], parts["retain"], CONFIG, 0, fit)
    return made


@pytest.fixture(scope="session")
def retrained(world: World) -> nn.Module:
    """Another retrain by the same recipe, none of the golds: other seeds."""
    return _trained(world.parts["retain"], 20_000)


def _failures(verdict: Verdict) -> list[str]:
    return [reason for reason in verdict.reasons if reason.startswith("failed: ")]


def _said(verdict: Verdict, *words: str) -> bool:
    return any(all(word in reason for word in words) for reason in _failures(verdict))


def _distilled_head(world: World) -> nn.Module:
    """The original with a last layer that gives the gold's answers; its body stays as it was."""
    model, gold = copy.deepcopy(world.models["original"]), world.models["gold"]
    taught = [world.parts[name].images for name in ("forget", "retain")]
    features = [predict(model, images)[1] for images in taught]
    answers = [logits_of(gold, images).softmax(1) for images in taught]
    optimiser = torch.optim.LBFGS(head_of(model).parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        losses = [cross_entropy(head_of(model)(x), p) for x, p in zip(features, answers, strict=True)]
        total = sum(losses) + 1e-4 * head_of(model).weight.square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    return model


def _never_stepped(world: World) -> nn.Module:
    """The optimiser holds the teacher while the loss flows through the student (as in a published SCRUB)."""
    teacher, student = copy.deepcopy(world.models["original"]), copy.deepcopy(world.models["original"]).train()
    optimiser, retain = torch.optim.SGD(teacher.parameters(), lr=0.1), world.parts["retain"]
    for rows in torch.arange(len(retain)).split(64):
        loss = cross_entropy(student(retain.images[rows].float() / 255), retain.labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return student.eval()


def _continued(world: World, *, wrong: bool, epochs: int) -> nn.Module:
    """The original, trained on: with the next class's label on the forget set, or with the true ones and no decay."""
    model, forget = copy.deepcopy(world.models["original"]), world.parts["forget"]
    if wrong:
        forget = forget.taught(as_probabilities((forget.labels + 1) % CLASSES, CLASSES))
    recipe = RECIPE.model_copy(update={"epochs": epochs, "lr": 0.05, "weight_decay": 0.0})
    fit(model, join(forget, world.parts["retain"], CLASSES), recipe, Seeds.all(5), threads=1)
    return model


def test_an_honest_retrain_with_other_seeds_passes_every_rule(world: World, retrained: nn.Module) -> None:
    verdict = world.judged(retrained)
    assert verdict.passed and verdict.conclusive, verdict.reasons


def test_every_gold_passes_its_own_audit(world: World) -> None:
    result = world.audit(world.models["second gold"])
    verdict = judge(result, "second gold", CONFIG, weights_changed=True)
    assert verdict.passed and verdict.conclusive, verdict.reasons


def test_doing_nothing_fails_even_where_the_bytes_differ(world: World) -> None:
    verdict = world.judged(world.models["original"])
    assert verdict.conclusive
    assert _said(verdict, "trained parameters are the original's")
    assert _said(verdict, "not distinguishable from doing nothing", "activation distance")
    assert _said(verdict, "inner layers") and _said(verdict, "still recognised as members")


def test_an_optimiser_that_never_steps_fails_for_that_very_reason(world: World) -> None:
    student = _never_stepped(world)
    drifted = [
        not torch.equal(a, b) for a, b in zip(student.buffers(), world.models["original"].buffers(), strict=True)
    ]
    assert any(drifted)  # so that a comparison of bytes sees a change
    verdict = world.judged(student)
    assert _said(verdict, "only batch normalisation's statistics drifted")
    assert _said(verdict, "activation distance")


def test_a_distilled_head_deceives_every_rule_but_that_of_the_inner_layers(world: World) -> None:
    verdict = world.judged(_distilled_head(world))
    failures = _failures(verdict)
    assert any("inner layers, with fresh heads" in reason and "doing nothing" in reason for reason in failures)
    for word in ("nothing was unlearned", "over-unlearned"):
        assert not any(word in reason for reason in failures), verdict.reasons
    by_outputs = [reason for reason in verdict.reasons if "activation distance" in reason and "inner" not in reason]
    assert by_outputs[0].startswith("passed: ")


def test_over_unlearning_fails_on_both_sides_of_it(world: World) -> None:
    verdict = world.judged(_continued(world, wrong=True, epochs=8))
    assert _said(verdict, "over-unlearned") and _said(verdict, "Streisand")


def test_an_over_fitted_model_fails(world: World) -> None:
    verdict = world.judged(_continued(world, wrong=False, epochs=8))
    assert _said(verdict, "doing nothing") or _said(verdict, "asked for")
    assert _said(verdict, "still recognised as members") and _said(verdict, "inner layers")


def test_outputs_of_other_sets_are_refused_or_flagged(world: World, retrained: nn.Module) -> None:
    outputs = world.outputs_of(retrained)
    swapped = {**outputs.logits, "forget": outputs.logits["test"], "test": outputs.logits["forget"]}
    with pytest.raises(DataError, match="`asked` has outputs for 480 forget records, the audit has 96"):
        world.judged(retrained, Outputs(swapped))
    same_size = {**outputs.logits, "forget": outputs.logits["test"][:96]}
    assert _said(world.judged(retrained, Outputs(same_size)), "over-unlearned")


def _elsewhere(world: World, change: Callable[[Sets], Sets], models: dict[str, Outputs]) -> Verdict:
    result = audit_table(change(world.sets), models, GOLDS, {}, 0, resamples=200)
    return judge(result, "asked", CONFIG, weights_changed=True)


def test_a_whole_audit_on_wrong_labels_or_sets_is_flagged(world: World, retrained: nn.Module) -> None:
    models = {**world.outputs, "asked": world.outputs_of(retrained)}
    rolled = _elsewhere(world, lambda sets: Sets({**sets.labels, "forget": (sets.labels["forget"] + 1) % 10}), models)
    assert _said(rolled, "mixed up")
    never_seen = {name: Outputs({**each.logits, "forget": each.logits["test"][:96]}) for name, each in models.items()}
    verdict = _elsewhere(world, lambda sets: Sets({**sets.labels, "forget": sets.labels["test"][:96]}), never_seen)
    assert not verdict.conclusive  # an audit that could not have failed puts nothing into service


def test_persons_are_known_to_the_original_and_not_to_a_retrain(world: World, retrained: nn.Module) -> None:
    subjects = [f"{number % 12:032x}" for number in range(96)]
    models = {**world.outputs, "asked": world.outputs_of(retrained)}
    report = people_report(subjects, world.sets, models, GOLDS, "asked", 0)
    assert report["passed"] and report["found"]["asked"]["member"] <= 1
    assert report["found"]["original"]["member"] >= 6
    still_there = people_report(subjects, world.sets, {**models, "asked": models["original"]}, GOLDS, "asked", 0)
    assert not still_there["passed"]
