"""Pseudonyms of records and people: HMAC-SHA256 keys, so that no raw id is stored anywhere.

A key is 32 hexadecimal digits (16 bytes). In arrays a key is one element of numpy type `S16`, which sorts and
compares byte by byte; never take such an element out as Python bytes, because numpy then drops trailing zero bytes.
"""

import hashlib
import hmac
import itertools
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from tmu.data.ids import IdRule, alike, normal_id
from tmu.errors import ConfigError, DataError

KEY_BYTES = 16
KEY_DTYPE = np.dtype(f"S{KEY_BYTES}")
_LEAST_SECRET = 16

# Public on purpose: for readers whose contributors are simulated. Whoever holds it can compute every key.
DEMO_SECRET = b"tmu demonstration key, not secret"


class Keys:
    """Turns raw ids into keys under one secret. Each kind of key has its own HMAC domain.

    ids: how ids of people are written before they are hashed; a store says which rule it was built under. former:
    secrets that were in use before, the newest first: what was erased under them stays erased, and is found.
    """

    def __init__(self, secret: bytes, ids: IdRule = IdRule(), former: Sequence[bytes] = ()) -> None:
        if len(secret) < _LEAST_SECRET:
            raise ConfigError(
                f"The key secret has {len(secret)} bytes.",
                f"Use at least {_LEAST_SECRET} random bytes, kept outside the data.",
            )
        self._secret, self.ids, self._former = secret, ids, tuple(former)

    def under(self, ids: IdRule) -> "Keys":
        """The same secrets under another rule of ids."""
        return Keys(self._secret, ids, self._former)

    @property
    def former(self) -> tuple["Keys", ...]:
        """The keys under each former secret, the newest first."""
        return tuple(Keys(secret, self.ids) for secret in self._former)

    @property
    def ring(self) -> tuple["Keys", ...]:
        """These keys, then the former ones."""
        return (self, *self.former)

    def __repr__(self) -> str:
        return f"Keys(id={self.id})"

    def _mac(self, message: bytes) -> bytes:
        return hmac.digest(self._secret, message, hashlib.sha256)

    @property
    def id(self) -> str:
        """16 hex digits that tell secrets apart without giving them away; kept in `store.json`."""
        return self._mac(b"key-id")[:8].hex()

    def record(self, raw_record_id: str) -> str:
        """The record key of a raw record id. It is often a path, and hashed as it is written (in NFC)."""
        return self._mac(b"record\0" + _bytes_of(raw_record_id))[:KEY_BYTES].hex()

    def subject(self, raw_subject_id: str) -> str:
        """The subject key of a raw subject id (the person a record is about). Raises RequestError as `normal_id`."""
        return self._mac(b"subject\0" + _bytes_of(normal_id(raw_subject_id, self.ids)))[:KEY_BYTES].hex()

    def alike(self, raw_subject_id: str) -> str:
        """The key that people share whose ids differ only by letter case, blanks or width (`ids.alike`)."""
        return self._mac(b"alike\0" + _bytes_of(alike(raw_subject_id)))[:KEY_BYTES].hex()

    def lone_subject(self, raw_record_id: str) -> str:
        """The subject key of a record without a subject.

        Its own domain: a record and a person that happen to share an id must not share a key.
        """
        return self._mac(b"lone\0" + _bytes_of(raw_record_id))[:KEY_BYTES].hex()

    def payload(self, canonical: bytes) -> str:
        """HMAC (64 hex digits) of a request's canonical JSON: tells two payloads apart, and tells nothing else."""
        return self._mac(b"payload\0" + canonical).hex()

    def forget_set(self, canonical: bytes) -> str:
        """HMAC (64 hex digits) of a forget set's canonical JSON, by which it is addressed."""
        return self._mac(b"forget\0" + canonical).hex()

    def records(self, canonical: bytes) -> str:
        """HMAC (64 hex digits) of the canonical JSON of the record keys that a plan touches."""
        return self._mac(b"records\0" + canonical).hex()

    def picture(self, pixels: bytes) -> str:
        """The key (32 hex digits) of a picture, from the digest of its pixels (`tmu/data/pixel_digests.py`)."""
        return self._mac(b"picture\0" + pixels)[:KEY_BYTES].hex()

    def suppression(self) -> bytes:
        """The secret (32 bytes) under which looks of erased pictures are encrypted."""
        return self._mac(b"suppression\0")

    def split_fraction(self, record_key: str, seed: int = 0) -> float:
        """A number in [0, 1), uniform over records, that decides a record's split; it never changes for a record."""
        digest = self._mac(b"split\0" + str(seed).encode() + b"\0" + record_key.encode())
        return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # 53 bits: a double holds them exactly, below 1


def _bytes_of(raw_id: str) -> bytes:
    """An id as it is hashed: in Unicode's composed form (NFC), so that two spellings of `José` are one person."""
    return unicodedata.normalize("NFC", raw_id).encode("utf-8", "surrogateescape")


def bucket_of(subject_key: str, n_buckets: int) -> int:
    """The shard (0 .. n_buckets-1) that holds all records of a subject; from the key's leading 32 bits."""
    return int(subject_key[:8], 16) % n_buckets


def buckets_of(subject_keys: np.ndarray, n_buckets: int) -> np.ndarray:
    """`bucket_of` for an array of keys (S16) → int64, same shape."""
    heads = np.ascontiguousarray(subject_keys).view(">u4").reshape(len(subject_keys), KEY_BYTES // 4)[:, 0]
    return heads.astype(np.int64) % n_buckets


def from_hex(keys: Iterable[str]) -> np.ndarray:
    """Hex keys → array (N,) of `S16`. `DataError` with the position of a malformed key."""
    keys = list(keys)
    for position, key in enumerate(keys):
        if len(key) != 2 * KEY_BYTES or not set(key) <= set("0123456789abcdef"):
            raise DataError(f"Key {position} of {len(keys)} is not 32 hexadecimal digits.", "Give keys, not raw ids.")
    return np.frombuffer(bytes.fromhex("".join(keys)), KEY_DTYPE)


def to_hex(keys: np.ndarray) -> list[str]:
    """Array (N,) of `S16` → hex keys."""
    digits = np.ascontiguousarray(keys, KEY_DTYPE).tobytes().hex()
    width = 2 * KEY_BYTES
    return [digits[start : start + width] for start in range(0, len(digits), width)]


def key64(keys: np.ndarray) -> np.ndarray:
    """The first 8 bytes of each key as int64 (N,): what order and augmentation are derived from."""
    heads = np.ascontiguousarray(keys).view(">u8").reshape(len(keys), KEY_BYTES // 8)[:, 0]
    return heads.astype(np.uint64).view(np.int64)


def is_ascending(keys: np.ndarray) -> bool:
    """Whether keys (N,) of `S16` strictly ascend (sorted and without duplicates)."""
    return bool(np.all(keys[:-1] < keys[1:]))


def sorted_union(*groups: Iterable[str]) -> tuple[str, ...]:
    """All hex keys of the groups, each once, in ascending order."""
    return tuple(sorted(set(itertools.chain.from_iterable(groups))))
