"""`Needles`: what is looked for, in every form in which a store may hold it.

They lead to the person. They live in the memory of the search, and in the inventory, a file that is the verifier's own.
"""

import base64
import hashlib
import json
import unicodedata
import urllib.parse
from collections.abc import Iterable, Iterator

from tmu.config import Config
from tmu.search import report
from tmu.search.report import By

SHORTEST_ID = 5
"""Bytes: a shorter id would be found everywhere by chance; it is looked for by its keys alone."""
_FRAGMENT = 32
_LEAST = 8


class Needle(Config):
    """Bytes to be found. who: the number of the id, key or picture that they are of.

    A fragment (`total` > 0) begins `before` bytes into `total` bytes whose SHA-256 is `sha256`, and counts where all
    of these are there. word: neither letter nor digit may stand beside it in a text.
    """

    by: By
    who: int
    hex: str
    before: int = 0
    total: int = 0
    sha256: str = ""
    word: bool = False

    @property
    def data(self) -> bytes:
        """The bytes."""
        return bytes.fromhex(self.hex)


class Picture(Config):
    """A picture by what is left of it in copies. who: its number. pixels: digest (`pictures.pixel_digest`).

    thumb: 64 grey values (8x8) of mean 0 and length 1, empty for a picture of one shade. phash, dhash: 64 bits, hex.
    """

    who: int
    pixels: str
    thumb: tuple[float, ...] = ()
    phash: str = ""
    dhash: str = ""


class Needles(Config):
    """All of it. records, subjects: keys (hex). versions: how many secrets they were made with."""

    records: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    versions: int = 0
    n_ids: int = 0
    n_short_ids: int = 0
    n_files: int = 0
    forms: tuple[Needle, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def counted(self) -> report.Needles:
        """How many of each, for the report."""
        return report.Needles(
            keys=len(self.records) + len(self.subjects),
            key_versions=self.versions,
            ids=self.n_ids,
            short_ids=self.n_short_ids,
            files=self.n_files,
            pictures=len({each.pixels for each in self.pictures}),
        )

    def joined(self, other: "Needles") -> "Needles":
        """Both, each once; numbers (`who`) of the other go on where these end."""
        numbers = [each.who for each in self.forms] + [each.who for each in self.pictures]
        first = 1 + max(numbers, default=-1)
        moved = [each.model_copy(update={"who": each.who + first}) for each in other.forms]
        known = {(each.by, each.hex, each.sha256) for each in self.forms}
        pictures = [each.model_copy(update={"who": each.who + first}) for each in other.pictures]
        seen = {each.pixels for each in self.pictures}
        return Needles(
            records=tuple(dict.fromkeys((*self.records, *other.records))),
            subjects=tuple(dict.fromkeys((*self.subjects, *other.subjects))),
            versions=max(self.versions, other.versions),
            n_ids=max(self.n_ids, other.n_ids),
            n_short_ids=max(self.n_short_ids, other.n_short_ids),
            n_files=max(self.n_files, other.n_files),
            forms=(*self.forms, *(each for each in moved if (each.by, each.hex, each.sha256) not in known)),
            pictures=(*self.pictures, *(each for each in pictures if each.pixels not in seen)),
        )


def of_key(key: str, who: int) -> Iterator[Needle]:
    """A key (32 hex digits) in the forms that stores give it: digits, bytes, base64, and the first eight bytes as a
    number, which tables of tensors hold (little-endian) and JSON may (decimal).
    """
    raw = bytes.fromhex(key)
    number = int.from_bytes(raw[:8], "big", signed=True)
    forms = [key.encode(), key.upper().encode(), raw, raw[:8][::-1], base64.b64encode(raw).rstrip(b"=")]
    for form in forms:
        yield Needle(by=By.KEY, who=who, hex=form.hex())
    yield Needle(by=By.KEY, who=who, hex=str(number).encode().hex(), word=True)


def of_id(raw: str, who: int) -> Iterator[Needle]:
    """An id as text: composed and decomposed, as JSON and addresses escape it. None for one that is too short."""
    if is_short(raw):
        return
    texts = {unicodedata.normalize(form, raw) for form in ("NFC", "NFD")} | {raw}
    forms = {text.encode("utf-8", "surrogateescape") for text in texts}
    forms |= {json.dumps(text)[1:-1].encode() for text in texts}
    forms |= {urllib.parse.quote(text, safe="", errors="surrogateescape").encode() for text in texts}
    forms |= {text.encode("utf-16-le", "surrogatepass") for text in texts}
    for form in sorted(forms):
        yield Needle(by=By.ID, who=who, hex=form.hex(), word=True)


def is_short(raw: str) -> bool:
    """Whether an id is too short to be looked for in bytes."""
    return len(raw.encode("utf-8", "surrogateescape")) < SHORTEST_ID


def of_bytes(by: By, content: bytes, who: int) -> Iterator[Needle]:
    """A fragment of the content, and the content's digests, which name it in listings (MD5, SHA-256) and caches."""
    fragment = _fragment(content)
    if fragment is not None:
        start, data = fragment
        yield Needle(
            by=by, who=who, hex=data.hex(), before=start, total=len(content), sha256=hashlib.sha256(content).hexdigest()
        )
    md5 = hashlib.md5(content, usedforsecurity=False).digest()
    digests = (md5, hashlib.sha256(content).digest(), hashlib.blake2b(content, digest_size=16).digest())
    for digest in digests:
        yield Needle(by=by, who=who, hex=digest.hex())
        yield Needle(by=by, who=who, hex=digest.hex().encode().hex())


def _fragment(content: bytes) -> tuple[int, bytes] | None:
    """The most varied piece of a content, from the middle on: beginnings are alike. None for what has no variety."""
    if len(content) < _LEAST:
        return None
    size = min(_FRAGMENT, len(content))
    starts = range(0, len(content) - size + 1, max(1, (len(content) - size) // 64))
    start = max(starts, key=lambda at: (len(set(content[at : at + 8])), len(set(content[at : at + size])), at))
    data = content[start : start + size]
    return (start, data) if len(set(data[:8])) > 1 else None


def of_keys(records: Iterable[str], subjects: Iterable[str], versions: int, first: int = 0) -> Needles:
    """Needles of keys alone."""
    records, subjects = tuple(dict.fromkeys(records)), tuple(dict.fromkeys(subjects))
    found = [each for number, key in enumerate((*subjects, *records), first) for each in of_key(key, number)]
    return Needles(records=records, subjects=subjects, versions=versions, forms=tuple(found))
