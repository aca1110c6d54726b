"""`Trace`: one thing in one store that a deletion left behind, and what is to become of it."""

from enum import StrEnum

from tmu.config import Config


class Holds(StrEnum):
    """What of a person it holds."""

    IMAGES = "images"
    KEYS = "keys"
    OUTPUTS = "outputs"  # of a model, by record: references, features, audits
    WEIGHTS = "weights"
    NAMES = "names"  # of files and objects


class Action(StrEnum):
    """What becomes of it."""

    DESTROY = "destroy"
    REWRITE = "rewrite"  # the rest of the file stays
    SHRED = "shred"  # replaced by a salted commitment, the salt destroyed
    EXPIRE = "expire"  # nothing can destroy it now; it ends by itself, `until`
    KEEP = "keep"  # under a rule, `until`


class Trace(Config):
    """One trace.

    place: the `Place` that found it. address: where, free of raw ids. version: the object's version id in S3. why: the
    rule or the lock, of what stays. until: date (ISO 8601) to which it stays; empty: not known, or it goes now.
    """

    place: str
    address: str
    version: str = ""
    holds: Holds
    action: Action
    why: str = ""
    until: str = ""

    @property
    def stays(self) -> bool:
        """Whether it is there after the purge, by rule or because nothing can destroy it yet."""
        return self.action in (Action.EXPIRE, Action.KEEP)

    def ran_out(self, today: str) -> bool:
        """Whether it stayed until a date that has come. today: ISO 8601."""
        return self.stays and bool(self.until) and self.until[:10] <= today[:10]

    def ended(self) -> "Trace":
        """It, when nothing keeps it any more."""
        return self.model_copy(update={"action": Action.DESTROY, "why": "", "until": ""})
