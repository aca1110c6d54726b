"""Which models learned whom: by revision, forget set and descent; what was refused has unlearned nothing."""

from tmu.deletion.plan import RETRAIN
from tmu.lineage.learned import Rule
from tmu.lineage.learners import Learner
from tmu.lineage.revisions import Held

REVISIONS = {
    "A": Held(train=frozenset({"anna", "bert"}), holdout=frozenset({"held"}), test=frozenset({"tested"})),
    "B": Held(train=frozenset({"bert"}), holdout=frozenset({"held"})),  # after anna
}
FORGOTTEN = {"anna's": frozenset({"anna"}), "bert's": frozenset({"bert"})}


class Fake:
    def held(self, digest: str) -> Held:
        return REVISIONS[digest]


def learned(*models: Learner, accepted: dict[str, frozenset[str]] | None = None) -> dict[str, set[str]]:
    rule = Rule(Fake(), models, FORGOTTEN, accepted or {})
    return {each.address: set(rule.learned(each)) for each in models}


def model(name: str, stage: str = "original", revision: str = "A", **facts: str | bool) -> Learner:
    return Learner(address=name, weights=f"w-{name}", stage=stage, revision=revision, **facts)


ORIGINAL = model("original")


def test_an_original_learned_the_training_records_of_its_revision_alone():
    assert learned(ORIGINAL, model("later", revision="B")) == {"original": {"anna", "bert"}, "later": {"bert"}}


def test_a_gold_and_a_retrained_model_did_without_their_forget_set_and_learned_all_others():
    gold = model("gold", "gold", forget="anna's")
    exact = model("exact", "unlearned", forget="anna's", original="w-original", method=RETRAIN)
    assert learned(ORIGINAL, gold, exact) | {"original": set()} == {
        "original": set(),
        "gold": {"bert"},
        "exact": {"bert"},
    }


def test_an_unlearned_model_unlearned_its_own_forget_set_if_its_audit_accepted_it():
    tuned = model("tuned", "unlearned", forget="anna's", original="w-original", method="finetune")
    assert learned(ORIGINAL, tuned)["tuned"] == {"anna", "bert"}  # refused, or a control
    assert learned(ORIGINAL, tuned, accepted={"anna's": frozenset({"w-tuned"})})["tuned"] == {"bert"}
    assert learned(ORIGINAL, tuned, accepted={"bert's": frozenset({"w-tuned"})})["tuned"] == {"anna", "bert"}


def test_what_the_original_had_learned_passes_on_though_the_revision_lacks_it():
    first = model("first", "unlearned", forget="anna's", original="w-original", method="finetune")
    second = model("second", "unlearned", "B", forget="bert's", original="w-first", method="finetune")
    both = {"anna's": frozenset({"w-first"}), "bert's": frozenset({"w-second"})}
    assert learned(ORIGINAL, first, second, accepted=both)["second"] == set()
    refused = {"bert's": frozenset({"w-second"})}
    assert learned(ORIGINAL, first, second, accepted=refused)["second"] == {"anna"}
    gone = ORIGINAL.model_copy(update={"purged": True})  # its purge note still tells the descent
    assert learned(gone, first, second, accepted=refused)["second"] == {"anna"}


def test_a_twin_learned_the_hold_out_too_and_nobody_learned_the_test_set():
    twin = model("twin", "twin", original="w-original")
    assert learned(ORIGINAL, twin)["twin"] == {"anna", "bert", "held"}


def test_a_model_that_names_itself_as_its_original_ends_the_descent():
    odd = model("odd", "unlearned", "B", forget="bert's", original="w-odd", method="finetune")
    assert learned(odd)["odd"] == {"bert"}


def test_statistics_learned_what_the_model_did_that_was_solved_from_them():
    before = model("before", identity="one")
    sums = model("sums", "statistics", identity="one")
    after = model("after", "unlearned", forget="anna's", original="w-before", method="exact-head", identity="two")
    left = model("left", "statistics", identity="two")
    found = learned(before, sums, after, left, accepted={"anna's": frozenset({"w-after"})})
    assert (found["sums"], found["left"]) == ({"anna", "bert"}, {"bert"})
    refused = learned(before, sums, after, left)
    assert refused["left"] == {"anna", "bert"}
    assert learned(left)["left"] == {"anna", "bert"}  # no model tells: all of the revision
