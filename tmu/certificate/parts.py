"""The parts of a certificate, as typed values. None of them leads to a person. Times are ISO 8601 with their zone."""

from typing import Literal

from pydantic import Field

from tmu.config import Config

Result = Literal["PASS", "FAILED", "UNKNOWN"]
Number = int | float | None


class Issuer(Config):
    """Who answers for the certificate: the controller or its processor, and where to ask."""

    name: str = Field(min_length=1)
    contact: str


class Dates(Config):
    """The dates of a request. identified: when the requester's identity was verified; None: nobody asked for it.

    due: by when it must be answered; None: no ledger counts it. extended: whether the month was extended.
    """

    received: str
    identified: str | None
    due: str | None
    extended: bool
    done: str


class Group(Config):
    """Records that share a ground. what: the split, or what they are. exception: why they are kept; empty: erased."""

    what: str
    records: int | None
    ground: str
    exception: str = ""


class Scope(Config):
    """What was asked for, in numbers. commitments: SHA-256 over a salt and the sorted keys; the salt is destroyed."""

    records: int
    subjects: int
    shards: int
    by_split: dict[str, int]
    commitments: dict[str, str]
    plan: str = Field(description="the plan's hash, which was confirmed or approved")


class Entry(Config):
    """A line of the inventory: like copies in one store. checked: how it was looked at again."""

    store: str
    holds: str
    action: str
    copies: int
    tool: str
    at: str
    operator: str
    result: str
    checked: str
    why: str = ""
    until: str = ""


class DerivedModel(Config):
    """A model that came from the erased records. fate: what became of it; why, until: of one that is kept."""

    name: str
    fate: Literal["destroyed", "unlearnt", "retrained", "kept"]
    why: str = ""
    until: str = ""


class NotReached(Config):
    """What nobody could destroy or read: a backup, a locked object, a consumer, the files of a server.

    restore: what must follow its use; of what the search could not read, the rule that accepts it.
    """

    what: str
    expires: str
    restore: str


class Making(Config):
    """How the model was made to forget. code: digest of the method's sources; commit: of the work tree.

    lock: digest of the package versions. parameters: digest of all parameters. seeds: by name. hardware: as in the
    model's manifest.
    """

    method: str
    options: dict[str, str]
    exact: bool
    why: tuple[str, ...]
    tool: str
    commit: str
    dirty: str
    code: str
    lock: str
    parameters: str
    seeds: dict[str, int]
    hardware: dict[str, str]
    data_before: str
    data_after: str


class Measure(Config):
    """A number of the audit with its 95 % interval; floor: what a model shows that never saw the records."""

    metric: str
    model: str
    unit: str
    better: str
    value: Number
    low: Number
    high: Number
    floor: tuple[Number, Number, Number] | None


class Power(Config):
    """What the audit could have shown. convicted: whether the untouched original is; share: the smallest effect that it
    would have found, as a share of the original's own evidence.
    """

    convicted: bool
    p_value: float
    share: Number


class Audit(Config):
    """The audit by its numbers. sha256: of the stored audit's manifest. provenance: data, references, packages.

    old_versions: what whoever has the model before and the model after can tell; empty: it was not looked at.
    """

    outcome: str
    row: str
    reasons: tuple[str, ...]
    sentence: str
    old_versions: str = ""
    measures: tuple[Measure, ...]
    power: Power | None
    references: int
    golds: int
    sha256: str
    provenance: dict[str, str]


class Attack(Config):
    """A kind of attack and whether it was tried on the model that serves."""

    name: Literal["membership", "difference of versions", "attribute", "extraction", "inversion", "reconstruction"]
    state: Literal["run", "not run", "out of scope"]
    why: str


class Check(Config):
    """A check by one principal. found: sentences. report: digest of what it wrote; empty: nothing but `found`."""

    by: str
    tool: str
    at: str
    result: Result
    found: tuple[str, ...]
    read_only: bool | None = None
    report: str = ""


class Recipient(Config):
    """Somebody who had received a copy. answer: what came back; empty: nothing yet."""

    name: str
    told: str
    answer: str


class Served(Config):
    """A model version in service. since: from when on."""

    version: int
    weights: str
    since: str
    blocked: tuple[int, ...] = ()


class Mark(Config):
    """What is kept of a person so that they stay erased."""

    kept: str
    why: str
    until: str


class LogHead(Config):
    """The audit log when the certificate was issued. entries: numbers of the request's entries up to the head.

    outside: the newest head of each place that took one, as `place: SEQ:HASH, time`.
    """

    seq: int
    hash: str
    entries: tuple[int, ...]
    outside: tuple[str, ...] = ()
