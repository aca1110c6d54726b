"""Crypto-shredding: keys give way to commitments under a salt that nobody keeps.

A commitment looks like a key and is none: without the salt nobody can test it against a person. The salt lives in this
process for the length of one shredding and is then gone, so that equal keys of two requests become different.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from tmu.files import canonical_json


class Shredder:
    """The salt of one request, for as long as its keys are replaced."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)

    def key(self, key: str) -> str:
        """A commitment (hex) in place of a hexadecimal key or digest, of the same length up to 64 digits."""
        return self._mac(b"key\0" + key.encode())[: len(key)]

    def all(self, keys: Iterable[str]) -> str:
        """One commitment (64 hex digits) to a set of keys."""
        return self._mac(b"keys\0" + canonical_json(sorted(set(keys))))

    def _mac(self, message: bytes) -> str:
        return hmac.digest(self._salt, message, hashlib.sha256).hex()
