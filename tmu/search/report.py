"""`SearchReport`: what the independent search looked at and found. JSON-ready; free of ids, keys and pictures."""

from collections.abc import Iterable
from enum import StrEnum

from tmu.config import Config


class Outcome(StrEnum):
    """PASS: all was looked at, and nothing is left but what is declared. UNKNOWN: nothing found, not all looked at."""

    PASS = "PASS"  # noqa: S105
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class By(StrEnum):
    """By what a hit was recognised."""

    KEY = "key"  # HMAC of a record or subject, as digits or bytes
    ID = "id"  # as the verifier gave it
    FILE = "encoded bytes"
    PIXELS = "pixels"
    NEAR = "near copy"  # resized, re-encoded or slightly changed


class Learned(StrEnum):
    """What a model learned of the person."""

    YES = "yes"
    UNLEARNED = "unlearned"  # made from a model that learned the person, by a method that takes it out again
    NO = "no"
    UNTELLABLE = "cannot tell"


class Access(Config):
    """What the searcher could do to one store. can_write: None: it could not be tried. how: what was tried."""

    store: str
    can_write: bool | None
    how: str


class Principal(Config):
    """Who searched. account: of the process. credentials: which of the settings, by name. accesses: by store."""

    account: str
    credentials: str
    accesses: tuple[Access, ...]

    @property
    def read_only(self) -> bool:
        """Whether it was shown for every store that the searcher cannot write there."""
        return bool(self.accesses) and all(each.can_write is False for each in self.accesses)


class Needles(Config):
    """How many of each kind were looked for; never which. short_ids: too short for bytes, by keys alone."""

    keys: int = 0
    key_versions: int = 0
    ids: int = 0
    short_ids: int = 0
    files: int = 0
    pictures: int = 0


class Hit(Config):
    """One place that still holds something.

    haystack: its name. address: `path` in the workspace, absolute path, `s3://bucket/key`, `database/table`; keys and
    ids in it are replaced. version: of an S3 object. inside: member, column or row, as far as known. needles: how many
    different ones. why: empty, or the rule by which it may be there: then the hit is declared, and no failure; until:
    date (ISO 8601) to which it may.
    """

    haystack: str
    address: str
    version: str = ""
    inside: str = ""
    by: By
    needles: int
    why: str = ""
    until: str = ""


class Haystack(Config):
    """What was looked at in one store. things: files, objects or tables; images: decoded and compared; opened: parts of
    containers (columns, members, rows' pages) that were read by themselves.
    """

    name: str
    address: str
    things: int = 0
    bytes: int = 0
    opened: int = 0
    images: int = 0
    seconds: float = 0.0


class Model(Config):
    """One model that can be loaded. names: every address of these weights, `models:/NAME/N` among them.

    weights: SHA-256. tensors: of what is in them, however the file was written; empty where only code could read it.
    source: from what `learned` was concluded. why, until: as in `Hit`, where it stays by a rule. foreign: it lies in
    temporary folders alone, and no manifest says how it was made.
    """

    weights: str
    tensors: str = ""
    names: tuple[str, ...]
    foreign: bool = False
    role: str = ""
    data: str = ""
    learned: Learned
    source: str
    why: str = ""
    until: str = ""


class OldVersion(Config):
    """An object's version that held something before. answer: of the store now: `404`, `NoSuchVersion`, or `there`."""

    address: str
    version: str
    answer: str

    @property
    def gone(self) -> bool:
        """Whether the store says that it has it no more."""
        return self.answer in ("404", "NoSuchVersion", "NoSuchKey", "NoSuchBucket")


class NotLookedAt(Config):
    """What could not be read; with one of these nothing can pass, unless a rule (`rule`, `until`) accepts it.

    may_pass: whether the cause may: another search, later, may look there (`passing.py`).
    """

    haystack: str
    address: str
    why: str
    may_pass: bool = False
    rule: str = ""
    until: str = ""


class SearchReport(Config):
    """The whole search. started, finished: UTC, ISO 8601. tool: name and version."""

    format: int = 1
    tool: str
    started: str
    finished: str
    workspace: str
    principal: Principal
    needles: Needles
    haystacks: tuple[Haystack, ...]
    hits: tuple[Hit, ...] = ()
    models: tuple[Model, ...] = ()
    old_versions: tuple[OldVersion, ...] = ()
    not_looked_at: tuple[NotLookedAt, ...] = ()

    @property
    def left(self) -> tuple[Hit, ...]:
        """Hits that no rule declares."""
        return tuple(hit for hit in self.hits if not hit.why)

    @property
    def declared(self) -> tuple[Hit, ...]:
        """Hits that a rule declares, such as the suppression mark."""
        return tuple(hit for hit in self.hits if hit.why)

    @property
    def knowing(self) -> tuple[Model, ...]:
        """Models that learned the person and stay by no rule."""
        return tuple(model for model in self.models if model.learned is Learned.YES and not model.why)

    @property
    def outcome(self) -> Outcome:
        """FAILED for anything that is left; UNKNOWN for anything that could not be looked at or told; else PASS.

        Models that only lie in temporary folders, and of whose making no store here knows, are other programs': they
        are listed, and decide nothing. A copy of a model that is known here is told by its weights.
        """
        if self.left or self.knowing or any(not each.gone for each in self.old_versions):
            return Outcome.FAILED
        untold = any(each.learned is Learned.UNTELLABLE and not each.why and not each.foreign for each in self.models)
        unsought = not (self.needles.keys or self.needles.pictures or self.needles.files)
        unread = any(not each.rule for each in self.not_looked_at)
        return Outcome.UNKNOWN if untold or unsought or unread else Outcome.PASS

    @property
    def unanswered(self) -> tuple[NotLookedAt, ...]:
        """Places for which another search is worth while: they did not answer, and nothing was found elsewhere."""
        if self.outcome is not Outcome.UNKNOWN:
            return ()
        return tuple(each for each in self.not_looked_at if each.may_pass and not each.rule)

    def as_json(self) -> dict[str, object]:
        """All fields and what follows from them: `outcome`, `read_only`, `hits_by_haystack`."""
        counted: dict[str, int] = dict.fromkeys((each.name for each in self.haystacks), 0)
        for hit in self.left:
            counted[hit.haystack] = counted.get(hit.haystack, 0) + 1
        derived = {"outcome": self.outcome, "read_only": self.principal.read_only, "hits_by_haystack": counted}
        return self.model_dump(mode="json") | derived


def merged(hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """Hits in order of haystack and address, equal ones once, with the larger number of needles."""
    found: dict[tuple[str, ...], Hit] = {}
    for hit in hits:
        key = (hit.haystack, hit.address, hit.version, hit.inside, hit.by, hit.why)
        if key not in found or hit.needles > found[key].needles:
            found[key] = hit
    return tuple(found[key] for key in sorted(found))
