"""One search while it goes on: what it was told, what it has found so far, and its two looks."""

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any

from tmu.search.declared import ALIKE, TOMBSTONE, Declared, hit_by_rule
from tmu.search.ground import Found, Ground, Table, s3_client
from tmu.search.haystacks import all_haystacks
from tmu.search.haystacks.s3 import Buckets, NoAnswerError, answer_of
from tmu.search.inventory import Holder, Inventory
from tmu.search.look import HEADS, LISTING, Looker, Seen, Thing
from tmu.search.models import Models
from tmu.search.needles import Needles
from tmu.search.passing import may_pass
from tmu.search.registries import note_versions
from tmu.search.report import By, Haystack, Hit, NotLookedAt, OldVersion
from tmu.search.revisions import Revisions
from tmu.search.sought import Rows, Shards, of_rows, shape_of
from tmu.search.sparse import pieces

Progress = Callable[[int, int | None], None]
_LIVE = "data"  # the haystack of the shards as they are now
_AT_ONCE = 8  # versions that the store is asked for


@dataclass(frozen=True)
class Task:
    """What to search for, and how. before: the inventory of a search before the purge. also: further folders.

    own: the verifier's own files. rules: what is declared. progress: told how many things were looked at.
    """

    needles: Needles
    before: Inventory | None = None
    also: tuple[Path, ...] = ()
    own: tuple[Path, ...] = ()
    rules: tuple[Declared, ...] = ()
    progress: Progress = lambda done, total: None


@dataclass
class Run:
    """One search while it goes on."""

    ground: Ground
    task: Task
    haystacks: dict[str, Haystack] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    unread: list[NotLookedAt] = field(default_factory=list)
    holders: dict[Holder, None] = field(default_factory=dict)
    _missed: list[NotLookedAt] = field(default_factory=list)
    _alike: dict[str, None] = field(default_factory=dict)
    _done: int = 0

    def __post_init__(self) -> None:
        before = self.task.before
        self.sought = self.task.needles.joined(before.needles) if before else self.task.needles
        self.revisions = Revisions(dict(before.revisions) if before else {})
        self.models = Models(self.revisions, before)
        self._live: set[str] = set()

    def derive(self) -> None:
        """First look: read the shards of all revisions; whose rows they are tells more keys and pictures."""
        shape = shape_of(self.ground.workspace)
        found: list[Rows] = []
        seen: set[str] = set()
        reader = Shards(self.sought.records, self.sought.subjects, shape)
        for thing in self._everything(replace(self.ground, shards=True, tables=False)):
            if isinstance(thing, NotLookedAt) and thing.may_pass:
                self._missed.append(thing)  # what it would have told is missing, even if the second look succeeds
            if not isinstance(thing, Thing):
                continue
            try:
                with thing.path.open("rb") as file:
                    head = file.read(4)
                    self._note_here(thing, file)
                if head not in HEADS:
                    continue
                digests = Looker.digests(thing.path)
            except OSError:
                continue  # the second look says so
            if thing.haystack == _LIVE:
                self._live.add(digests.md5)
            if head == LISTING:
                self.revisions.note_listing(digests.md5, thing.path.read_bytes())
            elif digests.md5 not in seen:
                seen.add(digests.md5)
                rows = reader.rows(thing.path)
                if rows is not None:
                    self.revisions.note_shard(digests.md5, rows)
                    found.append(rows)
        self.sought = self.sought.joined(of_rows(found))

    def _note_here(self, thing: Thing, file: BufferedReader) -> None:
        """Note by its digest what lies on this machine itself, where that is of use."""
        if self.ground.here is not None and not thing.version and len(pieces(file)) == 1:
            file.seek(0)
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            self.ground.here[digest.hexdigest(), file.tell()] = thing.path

    def look(self) -> None:
        """Second look: everything, for everything."""
        looker = Looker(self.sought, self.ground.scratch, shape_of(self.ground.workspace))
        for each in chain(self._missed, self._everything(self.ground)):
            begun = time.monotonic()
            if isinstance(each, NotLookedAt):
                self._cannot(each.haystack, looker.redacted(each.address), each.why, may_pass=each.may_pass)
                continue
            try:
                seen = self._look_at(looker, each)
            except Exception as error:  # whatever it was, it must not pass for "nothing there"
                self._unreadable(looker, each, error)
                continue
            self._count(each.haystack, each.address, seen, time.monotonic() - begun)
        note_versions(self.ground, self.models, self.unread)

    def survey(self) -> None:
        """Second look, for the inventory alone."""
        looker = Looker(self.sought, self.ground.scratch, shape_of(self.ground.workspace))
        for each in chain(self._missed, self._everything(replace(self.ground, tables=False))):
            if isinstance(each, NotLookedAt):
                self._cannot(each.haystack, looker.redacted(each.address), each.why, may_pass=each.may_pass)
            if not isinstance(each, Thing):
                continue
            try:
                if each.version or each.haystack == _LIVE:
                    self._look_at(looker, each)
                elif each.path.stat().st_size:
                    self.models.note(each, looker.digests(each.path), looker.redacted(each.address))
            except Exception as error:  # the search after the purge says so; an outage is over by then
                self._unreadable(looker, each, error)
        note_versions(self.ground, self.models, self.unread)

    def _unreadable(self, looker: Looker, each: Thing | Table, error: Exception) -> None:
        why = f"it cannot be read ({type(error).__name__})"
        self._cannot(each.haystack, looker.redacted(each.address), why, may_pass=may_pass(error))

    def _cannot(self, haystack: str, address: str, why: str, *, may_pass: bool) -> None:
        """Note what is not looked at, by its redacted address."""
        self.unread.append(NotLookedAt(haystack=haystack, address=address, why=why, may_pass=may_pass))

    def _look_at(self, looker: Looker, each: Thing | Table) -> Seen:
        address = looker.redacted(each.address)
        version = each.version if isinstance(each, Thing) else ""
        if isinstance(each, Table):
            seen = looker.look_at_parts(each.parts)
        else:
            seen = looker.look(each)
            self.models.note(each, seen, address)
            for by, who in looker.named(each.named, each.facts).items():
                self._hold(each, self._hit(each, address, version, "name", by, len(who), ""))
        for inside, by, who, mark in seen.found:
            why = self._declared(seen.md5, inside, by, mark=mark)
            hit = self._hit(each, address, version, inside, by, len(who), why)
            if not self._looks_alike(seen.md5, by):  # such a shard stays: nobody is to ask whether it is gone
                self._hold(each, hit)
        for inside, why in seen.unread:
            place = ": ".join(filter(None, (address, inside)))
            self.unread.append(NotLookedAt(haystack=each.haystack, address=place, why=why))
        return seen

    def _declared(self, shard: str, inside: str, by: By, *, mark: bool) -> str:
        """Why a hit in a live shard (its MD5) is none: the suppression mark, or a record of somebody else.

        The latter only where the inventory saw it before the purge: the plan tells of equal pictures that stay.
        """
        if shard not in self._live:
            return ""
        if mark:
            return TOMBSTONE
        if not self._looks_alike(shard, by):
            return ""
        picture = f"{shard}:{inside}:{by}"
        self._alike[picture] = None
        return ALIKE if self.task.before and picture in self.task.before.alike else ""

    def _looks_alike(self, shard: str, by: By) -> bool:
        """Whether a hit is a picture in a live shard. One that holds the person is also hit by keys."""
        return shard in self._live and by in (By.PIXELS, By.NEAR)

    def _hit(self, each: Thing | Table, address: str, version: str, inside: str, by: By, needles: int, why: str) -> Hit:
        hit = Hit(
            haystack=each.haystack, address=address, version=version, inside=inside, by=by, needles=needles, why=why
        )
        self.hits.append(hit)
        return hit

    def _hold(self, each: Thing | Table, hit: Hit) -> None:
        """Note the version of an object, to be asked for after the purge."""
        if hit.version and not hit_by_rule(hit, self.task.rules).why:
            bucket, _, key = each.address.removeprefix("s3://").partition("/")
            self.holders[Holder(bucket=bucket, key=key, version=hit.version)] = None

    def old_versions(self) -> tuple[OldVersion, ...]:
        """What the store says today of each version that held something before. Without an answer it is not known."""
        if self.task.before is None or not self.task.before.holders:
            return ()
        client, _ = s3_client(self.ground.workspace)
        holders = self.task.before.holders
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(partial(_answer, client), holders))
        looker, found = Looker(self.sought, self.ground.scratch), []
        for each, (answer, why) in zip(holders, answers, strict=True):
            address = looker.redacted(f"s3://{each.bucket}/{each.key}")
            if answer is not None:
                found.append(OldVersion(address=address, version=each.version, answer=answer))
                continue
            why = f"whether it is gone is not known: {why}"
            self._cannot(Buckets.name, f"{address} ({each.version})", why, may_pass=True)
        return tuple(found)

    def inventory(self, taken: str) -> Inventory:
        """For the search after."""
        return Inventory(
            taken=taken,
            needles=self.sought,
            holders=tuple(self.holders),
            revisions=self.revisions.all_told(),
            covers=self.models.covers(),
            models=self.models.told(),
            alike=tuple(self._alike),
            unanswered=tuple(each for each in self.unread if each.may_pass),
        )

    def _everything(self, ground: Ground) -> Iterator[Found]:
        for haystack in all_haystacks():
            for each in haystack.found(ground):
                self._done += 1
                self.task.progress(self._done, None)
                yield each

    def _count(self, name: str, address: str, seen: Seen, seconds: float) -> None:
        known = self.haystacks.get(name) or Haystack(name=name, address=_beginning(address))
        self.haystacks[name] = known.model_copy(
            update={
                "address": _common(known.address, address),
                "things": known.things + 1,
                "bytes": known.bytes + seen.size,
                "opened": known.opened + seen.opened,
                "images": known.images + seen.images,
                "seconds": round(known.seconds + seconds, 6),
            }
        )


def _answer(client: Any, holder: Holder) -> tuple[str | None, str]:
    """What a store says of a version; None and why where it does not answer."""
    try:
        return answer_of(client, holder.bucket, holder.key, holder.version), ""
    except NoAnswerError as error:
        return None, str(error)


def _beginning(address: str) -> str:
    return address.rpartition("/")[0] or address


def _common(first: str, other: str) -> str:
    """The folder that two addresses share; `…` where they share none."""
    parts = []
    for mine, theirs in zip(first.split("/"), other.split("/"), strict=False):
        if mine != theirs:
            break
        parts.append(mine)
    return "/".join(parts) or "."
