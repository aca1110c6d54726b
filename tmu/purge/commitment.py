"""Salted commitments: what a purge was about, for who has the salt and the keys; for all others a random number."""

import hashlib
import secrets

from tmu.purge.scope import Scope


def new_salt() -> str:
    """256 random bits as hex."""
    return secrets.token_hex(32)


def commitments(scope: Scope, salt: str) -> dict[str, str]:
    """SHA-256 (hex) over the salt and the sorted keys, for records and subjects apart.

    The salt lies in the purge's record as long as the keys do, so that a receipt for the requester can state it; it is
    destroyed with them. Without it no list of candidates can be tried against a commitment.
    """
    return {name: _commit(salt, keys) for name, keys in (("records", scope.records), ("subjects", scope.subjects))}


def _commit(salt: str, keys: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join((salt, *sorted(keys))).encode()).hexdigest()
