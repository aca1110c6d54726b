"""What may be there by a rule that was written down before: the suppression mark, and what a purge record declares."""

import re

from tmu.config import Config
from tmu.search.report import By, Hit, Model, NotLookedAt
from tmu.search.server_files import NAME as FILES
from tmu.settings import Settings

ALIKE = (
    "a record of somebody else, in the data before the purge: its picture equals one of the person's, or looks like it"
)
TOMBSTONE = "the tombstone of what was erased, in a shard of the current revision: it keeps the person from coming back"
SUPPRESSION = "the suppression list: keyed hashes that keep the person from coming back"
STATED = "the operator states: "
STORE_DISK = ".tmu/stack/ceph/osd/block"
FREE_BLOCKS = "free blocks of a disk are not reached; wipe the disk when it is taken out of use"
_LIST = re.compile(r"(^|/)(tombstones\.jsonl|suppression/[^/]+)$")


class Declared(Config):
    """One rule. what: an address as the report has it, or its beginning with `/` at the end, or weights (SHA-256).

    why: the rule. until: date (ISO 8601), empty: not known.
    """

    what: str
    version: str = ""
    why: str
    until: str = ""

    def covers(self, address: str, version: str = "") -> bool:
        """Whether it is about this address."""
        inside = self.what.endswith("/") and address.startswith(self.what)
        return (self.what == address or inside) and self.version in ("", version)


def stated(settings: Settings) -> tuple[Declared, ...]:
    """What the settings declare: the files of a PostgreSQL server, where the operator states what is left in them; the
    disk of the S3 store, where `make up` started one on this machine.
    """
    said, disk = settings.postgres_statement, settings.s3_server == "ceph"
    files = (Declared(what=f"{FILES}/", why=f"{STATED}{said}"),) if said else ()
    return (*files, Declared(what=STORE_DISK, why=FREE_BLOCKS)) if disk else files


def is_suppression_list(address: str) -> bool:
    """Whether a file is the suppression list, by its name."""
    return bool(_LIST.search(address))


def hit_by_rule(hit: Hit, rules: tuple[Declared, ...]) -> Hit:
    """The hit, with the rule that declares it, if one does."""
    if hit.why:
        return hit
    if hit.by is By.KEY and (is_suppression_list(hit.address) or hit.haystack == "suppression list"):
        return hit.model_copy(update={"why": SUPPRESSION})
    rule = next((each for each in rules if each.covers(hit.address, hit.version)), None)
    return hit.model_copy(update={"why": rule.why, "until": rule.until}) if rule else hit


def model_by_rule(model: Model, rules: tuple[Declared, ...]) -> Model:
    """The model, with the rule under which it stays: one that names its weights."""
    rule = next((each for each in rules if each.what == model.weights), None)
    return model.model_copy(update={"why": rule.why, "until": rule.until}) if rule else model


def unread_by_rule(place: NotLookedAt, rules: tuple[Declared, ...]) -> NotLookedAt:
    """What could not be read, with the rule that accepts that."""
    rule = next((each for each in rules if each.covers(place.address)), None)
    return place.model_copy(update={"rule": rule.why, "until": rule.until}) if rule else place
