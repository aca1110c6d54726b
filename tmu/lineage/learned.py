"""Which models learned which of some records: the one rule that scope, certificate and search share.

A model learned the training records of the revision that it was trained on. A gold did without its forget set. An
unlearned model was made of another one, and has learned all that that one had, but for its own forget set: nothing else
was unlearned. A fine-tuned twin learned the hold-out as well. A model that its audit refused has unlearned nothing.
The statistics of a ridge head learned what the model did that was solved from them.
"""

import json
from collections.abc import Collection, Iterable, Mapping

from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.deletion.plan import RETRAIN
from tmu.errors import StorageError
from tmu.lineage.learners import STATISTICS, Learner, artifacts
from tmu.lineage.revisions import Revisions
from tmu.workspace import Workspace


def accepted(deletion: Deletion) -> frozenset[str]:
    """Weights of the models that a deletion's own audit did not refuse: what serves, or is still to be judged."""
    if deletion.outcome is not None:
        return frozenset({deletion.outcome.serves.weights})
    return frozenset({deletion.unlearned.weights}) if deletion.unlearned else frozenset()


class Rule:
    """What each model learned of some records.

    learners: all that are known, also purged ones, for the descent. forgotten: those of the records in each forget set,
    by its digest. accepted: weights by the digest of the forget set that they were accepted for.
    """

    def __init__(
        self,
        revisions: Revisions,
        learners: Iterable[Learner],
        forgotten: Mapping[str, frozenset[str]],
        accepted: Mapping[str, frozenset[str]],
    ) -> None:
        self._revisions, self._forgotten, self._accepted = revisions, forgotten, accepted
        self._by_weights: dict[str, list[Learner]] = {}
        self._solved: dict[str, list[Learner]] = {}  # models by their identity
        for each in learners:
            self._by_weights.setdefault(each.weights, []).append(each)
            if each.identity and each.stage != STATISTICS:
                self._solved.setdefault(each.identity, []).append(each)

    def learned(self, learner: Learner) -> frozenset[str]:
        """Those of the records (keys) that it learned and did not unlearn."""
        return self._learned(learner, frozenset())

    def _learned(self, learner: Learner, seen: frozenset[str]) -> frozenset[str]:
        if learner.stage == STATISTICS and learner.identity in self._solved:
            models = self._solved[learner.identity]
            return frozenset[str]().union(*(self._learned(each, seen) for each in models))
        held, gone = self._revisions.held(learner.revision), self._without(learner)
        if learner.stage in ("original", "gold") or learner.method == RETRAIN:
            return held.train - gone
        own = held.train | held.holdout if learner.stage == "twin" else held.train
        return (own | self._of_original(learner.original, seen | {learner.weights})) - gone

    def _without(self, learner: Learner) -> frozenset[str]:
        """Those that it did without, or unlearned: by a method that is exact, or that its audit accepted."""
        if learner.forget is None:
            return frozenset()
        exact = learner.stage == "gold" or learner.method == RETRAIN
        if not exact and learner.weights not in self._accepted.get(learner.forget, frozenset()):
            return frozenset()
        return self._forgotten.get(learner.forget, frozenset())

    def _of_original(self, weights: str | None, seen: frozenset[str]) -> frozenset[str]:
        if weights is None or weights in seen:
            return frozenset()
        found = (self._learned(each, seen) for each in self._by_weights.get(weights, ()))
        return frozenset[str]().union(*found)


def rule_of(workspace: Workspace, records: Collection[str], revisions: Revisions, learners: Iterable[Learner]) -> Rule:
    """The rule for some records in a workspace; reads the forget sets and the journal."""
    forgotten, passed = {}, dict[str, frozenset[str]]()
    for held in artifacts(workspace, "forget"):
        forgotten[held.digest] = frozenset(records).intersection(_keys_in(workspace, held.uri, held.digest))
    for deletion in Journal(workspace).all():
        digest = deletion.forget.digest
        passed[digest] = passed.get(digest, frozenset()) | accepted(deletion)
    return Rule(revisions, learners, forgotten, passed)


def _keys_in(workspace: Workspace, uri: str, digest: str) -> frozenset[str]:
    """The record keys of a forget set; none where they were shredded."""
    try:
        said = json.loads((workspace.artifacts.fetch(uri, digest) / "forget.json").read_bytes())
        return frozenset(said["records"])
    except (StorageError, OSError, ValueError, KeyError, TypeError):
        return frozenset()
