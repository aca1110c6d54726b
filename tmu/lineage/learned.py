"""Which models learned which of some records: the one rule that scope, certificate and search share.

A model learned the training records of the revision that it was trained on. A gold did without its forget set. An
unlearned model was made of another one, and has learned all that that one had, but for its own forget set: nothing else
was unlearned. A fine-tuned twin learned the hold-out as well. A model that its audit refused has unlearned nothing.
"""

import json
from collections.abc import Collection, Iterable
from functools import cached_property

from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.deletion.plan import RETRAIN
from tmu.errors import StorageError
from tmu.lineage.learners import Learner, artifacts
from tmu.lineage.revisions import Revisions
from tmu.workspace import Workspace


def accepted(deletion: Deletion) -> frozenset[str]:
    """Weights of the models that a deletion's own audit did not refuse: what serves, or is still to be judged."""
    if deletion.outcome is not None:
        return frozenset({deletion.outcome.serves.weights})
    return frozenset({deletion.unlearned.weights}) if deletion.unlearned else frozenset()


class Rule:
    """What each model learned of some records. learners: all that are known, also purged ones, for the descent."""

    def __init__(
        self, workspace: Workspace, records: Collection[str], revisions: Revisions, learners: Iterable[Learner]
    ):
        self._workspace, self._records, self._revisions = workspace, frozenset(records), revisions
        self._by_weights: dict[str, list[Learner]] = {}
        for each in learners:
            self._by_weights.setdefault(each.weights, []).append(each)

    def learned(self, learner: Learner) -> frozenset[str]:
        """Those of the records (keys) that it learned and did not unlearn."""
        return self._learned(learner, frozenset())

    def learned_by_weights(self, weights: str) -> frozenset[str] | None:
        """The same of a model by its weights; None where no manifest or tombstone tells how it was made."""
        if weights not in self._by_weights:
            return None
        return frozenset[str]().union(*map(self.learned, self._by_weights[weights]))

    def without(self, forget: str | None) -> frozenset[str]:
        """Those of the records that a forget set (digest) holds; none where it cannot be read any more."""
        return self._forgotten.get(forget, frozenset()) if forget else frozenset()

    def _learned(self, learner: Learner, seen: frozenset[str]) -> frozenset[str]:
        held, gone = self._revisions.held(learner.revision), self.without(learner.forget)
        own = held.train | held.holdout if learner.stage == "twin" else held.train
        if learner.stage in ("original", "gold") or learner.method == RETRAIN:
            return own - gone
        before = self._of_original(learner.original, seen | {learner.weights})
        refused = learner.stage == "unlearned" and learner.weights not in self._accepted.get(learner.forget, ())
        return own | before if refused else (own | before) - gone

    def _of_original(self, weights: str | None, seen: frozenset[str]) -> frozenset[str]:
        if weights is None or weights in seen:
            return frozenset()
        found = (self._learned(each, seen) for each in self._by_weights.get(weights, ()))
        return frozenset[str]().union(*found)

    @cached_property
    def _accepted(self) -> dict[str | None, frozenset[str]]:
        """Accepted models by the digest of their forget set."""
        found: dict[str | None, frozenset[str]] = {}
        for deletion in Journal(self._workspace).all():
            found[deletion.forget.digest] = found.get(deletion.forget.digest, frozenset()) | accepted(deletion)
        return found

    @cached_property
    def _forgotten(self) -> dict[str, frozenset[str]]:
        """The records in each forget set that can still be read, by its digest."""
        found = {}
        for held in artifacts(self._workspace, "forget"):
            found[held.digest] = self._records.intersection(_keys_in(self._workspace, held.uri, held.digest))
        return found


def _keys_in(workspace: Workspace, uri: str, digest: str) -> frozenset[str]:
    """The record keys of a forget set; none where they were shredded."""
    try:
        said = json.loads((workspace.artifacts.fetch(uri, digest) / "forget.json").read_bytes())
        return frozenset(said["records"])
    except (StorageError, OSError, ValueError, KeyError, TypeError):
        return frozenset()
