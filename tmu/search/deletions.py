"""That a person was taken out, where forget sets can be read no more: by the revisions that deletions left.

The manifest of a deletion says: revision A, without forget set F, became revision B. What A held and B does not hold, F
took out. So a model that forgot F on A has forgotten the person where B can be read and holds nothing of them, and
knows them still where B holds training records of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tmu.search.revisions import Revisions


@dataclass(frozen=True)
class Claim:
    """What an artifact's manifest says of the model in it. original: the weights of the model that it was made from."""

    stage: str
    data: str
    forget: str
    original: str


def claim_of(identity: dict[str, Any]) -> Claim:
    """The claim in an artifact's identity."""
    return Claim(*(str(identity.get(each) or "") for each in ("stage", "data", "forget", "original")))


@dataclass
class Deletions:
    """Filled while things are looked at. claims: by weights, also of models that were destroyed."""

    revisions: Revisions
    claims: Mapping[str, Claim]
    _after: dict[tuple[str, str], str] = field(default_factory=dict)  # (revision, forget set) -> revision

    def note(self, raw: dict[str, Any]) -> None:
        """The content of a `manifest.json`; nothing where it is not a deletion's."""
        try:
            case, made = raw["case"], raw["made"]
            self._after.setdefault((case["data"]["digest"], case["forget"]["digest"]), made["data"]["digest"])
        except (KeyError, TypeError):
            return

    def left_nothing(self, claim: Claim) -> str:
        """The revision without the claim's forget set, where it can be read and holds nothing; else empty."""
        after = self._after.get((claim.data, claim.forget), "")
        held = self.revisions.of(after)
        return after if held is not None and not held.rows else ""

    def left(self, claim: Claim) -> str:
        """The same where it holds nothing, or training records; what is not for training tells nothing of a model."""
        after = self._after.get((claim.data, claim.forget), "")
        held = self.revisions.of(after)
        return after if held is not None and (held.train or not held.rows) else ""

    def unbroken(self, claim: Claim) -> bool:
        """Whether all that the claim's originals learned was in its revision, or taken out by deletions before it."""
        original = self.claims.get(claim.original)
        if original is None or original == claim:
            return False
        if original.stage == "original":
            return original.data == claim.data
        follows = self._after.get((original.data, original.forget)) == claim.data
        return follows and (original.stage == "gold" or self.unbroken(original))
