"""Looking at one thing: its name, its bytes as they lie, and all that is packed into it."""

import hashlib
import json
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tmu.search import databases
from tmu.search.containers import Around, Part, parts, tail_of
from tmu.search.needles import Needles
from tmu.search.pictures import Gallery
from tmu.search.report import By
from tmu.search.scan import Buffer, Scanner
from tmu.search.sparse import pieces

_DEEPEST = 5
_BLOCK = 1 << 22
SHARD, LISTING = b"PAR1", b'[{"m'
HEADS = (SHARD, LISTING)
"""How a shard and a DVC listing begin."""


@dataclass(frozen=True)
class Thing:
    """A file or object to look at. address: as it is, perhaps with ids in it. path: where its bytes lie here.

    facts: what the store tells beside the bytes, such as an object's metadata. named: the part of the address that the
    project chose; what lies above is the verifier's own folder.
    """

    haystack: str
    address: str
    path: Path
    version: str = ""
    named: str = ""
    facts: str = ""


@dataclass(frozen=True)
class Seen:
    """What a content holds. found: (inside, by, numbers of the needles, whether in a list of what was erased).

    md5: of shards and listings, which a revision names by it; of anything else empty.
    """

    sha256: str
    md5: str
    size: int
    found: tuple[tuple[str, By, frozenset[int], bool], ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    opened: int = 0
    images: int = 0


@dataclass
class _Tally:
    found: dict[tuple[str, By, bool], set[int]] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    opened: int = 0
    images: int = 0

    def add(self, inside: str, by: By, who: set[int] | frozenset[int], mark: bool = False) -> None:
        self.found.setdefault((inside, by, mark), set()).update(who)


class Looker:
    """Looks at things; equal contents once. scratch: a private folder for copies."""

    def __init__(self, sought: Needles, scratch: Path, shape: tuple[int, int, int] | None = None) -> None:
        self.sought, self.scratch, self._shape = sought, scratch, shape
        self._scanner, self._gallery = Scanner(sought.forms), Gallery(sought.pictures)
        self._known: dict[str, Seen] = {}
        self._words = _patterns(sought)

    def look(self, thing: Thing) -> Seen:
        """What a file's bytes hold. Raises OSError where it cannot be read."""
        if thing.path.stat().st_size == 0:
            return Seen(hashlib.sha256(b"").hexdigest(), "", 0)
        with thing.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            places = pieces(file)
            sha256, md5 = _digests(data, places)
            known = self._known.get(sha256)
            if known is not None and data[:16] != databases.MARK:  # a database has a log beside it
                return known
            tally = _Tally()
            if len(places) == 1:
                self._content(data, tally, "", 0, False)
            for start, end in places if len(places) > 1 else ():
                with memoryview(data) as whole, whole[start:end] as piece:
                    self._content(piece, tally, "", 0, False)
            if data[:16] == databases.MARK:
                for part in databases.sqlite_parts(thing.path, self.scratch):
                    self._part(part, tally, "", 1)
            seen = _seen(tally, sha256, md5, sum(end - start for start, end in places))
        self._known[sha256] = seen
        return seen

    @staticmethod
    def digests(path: Path) -> Seen:
        """SHA-256 (of one with holes: of its pieces), MD5 and size of a file, and nothing else of it."""
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return Seen(*_digests(data, pieces(file)), len(data))

    def look_at_parts(self, found: Iterator[Part]) -> Seen:
        """What the parts hold that something else took out, such as a database."""
        tally, size = _Tally(), 0
        for part in found:
            size += len(part.data or b"")
            self._part(part, tally, "", 1)
        return _seen(tally, "", "", size)

    def named(self, *texts: str) -> dict[By, frozenset[int]]:
        """What names and facts of a thing hold."""
        data = "\n".join(texts).encode("utf-8", "surrogateescape")
        found: dict[By, set[int]] = {}
        for needle in self._scanner.find(data) if data else ():
            found.setdefault(needle.by, set()).add(needle.who)
        return {by: frozenset(who) for by, who in found.items()}

    def redacted(self, address: str) -> str:
        """An address without keys and ids."""
        for pattern, word in self._words:
            address = pattern.sub(word, address)
        return address

    def _content(self, data: Buffer, tally: _Tally, inside: str, depth: int, mark: bool) -> None:
        plain = memoryview(data)[: tail_of(data)]
        try:
            for needle in self._scanner.find(plain):
                tally.add(inside, needle.by, {needle.who}, mark)
        finally:
            plain.release()
        if depth >= _DEEPEST:
            tally.unread.append((inside, "containers lie in it too deep"))
            return
        for part in parts(data, Around(self._shape)):
            self._part(part, tally, inside, depth, mark)

    def _part(self, part: Part, tally: _Tally, inside: str, depth: int, mark: bool = False) -> None:
        here = ": ".join(filter(None, (inside, self.redacted(part.inside))))
        tally.opened += 1
        if part.unread:
            tally.unread.append((here, part.unread))
        if part.data:
            self._content(part.data, tally, here, depth + 1, mark or part.mark)
        for pixels in part.images if part.images is not None else ():
            tally.images += 1
            found = self._gallery.compare(pixels)
            if found is not None:
                tally.add(here, *found, mark)


def _seen(tally: _Tally, sha256: str, md5: str, size: int) -> Seen:
    found = tuple((inside, by, frozenset(who), mark) for (inside, by, mark), who in tally.found.items())
    return Seen(sha256, md5, size, found, tuple(tally.unread), tally.opened, tally.images)


def _digests(data: mmap.mmap, places: list[tuple[int, int]]) -> tuple[str, str]:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    named_by_md5 = data[:4] in HEADS
    if len(places) > 1:  # two files of the same pieces may have them at other places
        sha256.update(repr(places).encode())
    with memoryview(data) as view:
        for block in (view[at : min(at + _BLOCK, end)] for begin, end in places for at in range(begin, end, _BLOCK)):
            sha256.update(block)
            if named_by_md5:
                md5.update(block)
            block.release()
    return sha256.hexdigest(), md5.hexdigest() if named_by_md5 else ""


def _patterns(sought: Needles) -> list[tuple[re.Pattern[str], str]]:
    texts: dict[str, set[str]] = {"KEY": set(), "ID": set(), "DIGEST": set()}
    for needle in sought.forms:
        word = {By.KEY: "KEY", By.ID: "ID"}.get(needle.by, "DIGEST")
        text = needle.data.decode("utf-8", "surrogateescape")
        if text.isprintable() and not needle.total:
            texts[word].add(text)
    return [
        (re.compile("|".join(map(re.escape, sorted(found, key=len, reverse=True)))), word)
        for word, found in texts.items()
        if found
    ]


def listing_of(content: bytes) -> dict[str, str] | None:
    """A DVC directory listing as MD5 by relative path; None for other content."""
    if content[:1] != b"[" or b'"relpath"' not in content[:4096]:
        return None
    try:
        entries: list[dict[str, Any]] = json.loads(content)
        return {str(each["relpath"]): str(each["md5"]) for each in entries}
    except (ValueError, KeyError, TypeError):
        return None
