"""The plan of a deletion: what it touches in one data revision, by which method, under which rules. Pure values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from tmu.config import Config, Params, PurgeConfig
from tmu.files import digest_of
from tmu.refs import DataRef

RETRAIN = "retrain"
"""Train again without the records: exact for every model."""


class Asked(Config):
    """What a deletion names: keys (HMAC) of people and of single records, or a batch of the ledger."""

    subjects: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    batch: str | None = None

    @classmethod
    def of(cls, subjects: Iterable[str], records: Iterable[str]) -> "Asked":
        """Keys in any order, each once."""
        return cls(subjects=tuple(sorted(set(subjects))), records=tuple(sorted(set(records))))

    def __bool__(self) -> bool:
        return bool(self.subjects or self.records)


@dataclass(frozen=True)
class Cost:
    """A forecast. visits: records seen, times epochs. seconds: None where nothing here tells how fast a visit is.

    measured: the seconds are those of the same work done here before, not a count of visits times their speed.
    """

    visits: int
    seconds: float | None
    measured: bool

    def __add__(self, other: "Cost") -> "Cost":
        seconds = None if self.seconds is None or other.seconds is None else self.seconds + other.seconds
        return Cost(self.visits + other.visits, seconds, self.measured and other.measured)

    def times(self, number: int) -> "Cost":
        """So many of it."""
        return Cost(self.visits * number, self.seconds and self.seconds * number, self.measured)

    def share_of(self, whole: "Cost") -> float | None:
        """Which share of another cost it is: by seconds where both have them, else by visits; None of nothing."""
        mine, all_of_it = (self.seconds, whole.seconds)
        if mine is None or all_of_it is None:
            mine, all_of_it = self.visits, whole.visits
        return mine / all_of_it if all_of_it else None

    def shared(self, among: int) -> "Cost":
        """One of `among` equal parts."""
        return Cost(round(self.visits / among), self.seconds and self.seconds / among, self.measured)

    def below(self, other: "Cost") -> bool:
        """Whether it is the cheaper one: by seconds where both have them, else by visits."""
        if self.seconds is None or other.seconds is None:
            return self.visits < other.visits
        return self.seconds < other.seconds

    def __str__(self) -> str:
        if self.seconds is None:
            return f"{self.visits:,} record visits"
        return f"{self.seconds:.1f} s" if self.seconds < 10 else f"{self.seconds:,.0f} s"


class Risk(Config):
    """What speaks against the method. audits, failed, inconclusive: of its last three. refusal: why the hold-out is no
    guide.

    classes: the numbers behind `refusal` (`tmu/twin/class_mix.py`).
    """

    level: Literal["low", "unknown", "high"] = "unknown"
    audits: int = 0
    failed: int = 0
    inconclusive: int = 0
    refusal: str | None = None
    classes: dict[str, Any] | None = None


class Choice(Config):
    """The method and what it rests on. asked: a method or `auto`. forecast: costs by way; empty where no model has
    learned the records, so that nothing is to be unlearned. pays_from: the deletion from which on the references have
    paid for themselves (None: never, or none are used); deletions: those that they served before this one. to_fit:
    they have still to be fitted; problems_to_fit: the twin problems on them have. among: requests that share both; None
    in plans of an earlier version, and where none are used. notes: sentences on when the references must be fitted
    anew.
    """

    asked: str
    method: str
    reason: str
    forecast: dict[str, Cost] = Field(default_factory=dict)
    risk: Risk = Risk()
    pays_from: int | None = None
    deletions: int = 0
    to_fit: bool = False
    problems_to_fit: bool = False
    among: int | None = None
    notes: tuple[str, ...] = ()


class Resolved(Config):
    """What a request touches in one data revision. All keys are HMACs.

    records: all record keys to erase, sorted. They are not part of what is stored: the forget set holds them, and
    `records_digest` pins them, a MAC under the secret of the keys (`tmu/steps/store_keys.py`), and `id` follows from
    it. by_split, by_class (training records): counts. shards: buckets touched. stays: sentences about what the request
    does not reach. retires: classes (positions) that go as a whole: the model loses their outputs; `by_class` does not
    name them, since a class can be a person.
    """

    id: str
    data: DataRef
    subjects: tuple[str, ...]
    records: tuple[str, ...] = Field((), exclude=True, repr=False)
    records_digest: str
    n_records: int
    by_split: dict[str, int]
    by_class: dict[str, int]
    shards: tuple[int, ...]
    n_train: int
    warnings: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    retires: tuple[int, ...] = ()


class Plan(Resolved):
    """A resolved request with the method chosen for it. rules: digest of the parameters it stands on (`rules_of`).

    purge: what becomes of what it leaves behind; None in plans of an older version.
    """

    choice: Choice
    rules: str
    purge: PurgeConfig | None = None

    @property
    def body(self) -> dict[str, Any]:
        """What is shown, approved and hashed: counts and digests, no key of a person or record. JSON-ready."""
        body = self.model_dump(mode="json", exclude={"subjects"})
        return body | {"n_subjects_named": len(self.subjects)}

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the body's canonical JSON: what a confirmation or an approval names."""
        return digest_of(self.body)


def rules_of(params: Params) -> str:
    """A digest of what params.yaml says of the training, the method and the gates; not of what `auto` weighs."""
    return digest_of(params.stored().model_dump(mode="json", exclude={"auto"}))


def essence(body: dict[str, Any]) -> dict[str, Any]:
    """What of a plan decides whether an approval of it stands: which records, of which classes, erased how, by which
    rules, how risky.

    Not in it: the data revision, the shards, the forecast, the reason, and the numbers behind the risk. Risk is whether
    it is high and whether the classes forbid the method; from `unknown` to `low` is no reason to ask again.
    """
    decided = ("records_digest", "n_records", "n_train", "n_subjects_named", "by_split", "by_class", "warnings")
    choice, risk = body["choice"], body["choice"]["risk"]
    return {name: body[name] for name in decided} | {
        "stays": body.get("stays", []),
        "rules": body.get("rules"),
        "retires": body.get("retires", []),
        "method": choice["method"],
        "risk": [risk.get("level") == "high", risk.get("refusal") is not None],
    }
