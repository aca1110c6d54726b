"""The issuer's list of public keys: which is in force when, and which was revoked.

A DSSE envelope over canonical JSON `{"format": 1, "issued", "issuer", "keys", "revoked"}`. keys: `keyid`, `keytype`,
`scheme`, `keyval`, `from`, `until` (null: still in force). revoked: `keyid`, `at`, `why`. The list is signed by a key
of its own that is not revoked; after a rotation also by the key before, so that who holds an older list can go on.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key

from tmu_verify.envelope import canonical, check_signatures, open_envelope, parse, read_bytes
from tmu_verify.faults import Fault, Refused

PAYLOAD_TYPE = "application/vnd.tmu.keys+json"
SCHEMES = (("ed25519", "ed25519"), ("ecdsa", "ecdsa-sha2-nistp256"), ("ecdsa", "ecdsa-sha2-nistp384"))
_KEY = {"keyid", "keytype", "scheme", "keyval", "from", "until"}


@dataclass(frozen=True)
class Listed:
    """A key of the list. since, until: when it is in force. revoked: from when on it counts for nothing."""

    key: Key
    since: datetime
    until: datetime | None
    revoked: datetime | None


@dataclass(frozen=True)
class KeyList:
    """The issuer's keys by id. issuer: as the list names it."""

    issuer: str
    issued: datetime
    keys: dict[str, Listed]

    def check(self, keyid: str, signed: datetime, proven: datetime | None) -> None:
        """Whether a key could sign at a time. proven: the time that an authority stamped; None: nobody did.

        A revoked key can have been stolen, and a thief writes any date: only a time stamp from before counts.
        """
        listed = self.keys.get(keyid)
        if listed is None:
            raise Refused(Fault.UNKNOWN_KEY, f"Key {keyid[:16]} is not in the list of {self.issuer}.")
        if listed.revoked is not None and (proven is None or proven >= listed.revoked):
            when = "no time stamp shows that it was signed before" if proven is None else "it was signed after that"
            raise Refused(Fault.KEY_REVOKED, f"Key {keyid[:16]} was revoked on {listed.revoked.isoformat()}; {when}.")
        for at in (signed, *([proven] if proven else [])):
            if at < listed.since or (listed.until is not None and at > listed.until):
                raise Refused(
                    Fault.KEY_NOT_IN_FORCE,
                    f"Key {keyid[:16]} was not in force at {at.isoformat()}, when the certificate was signed.",
                )


def fingerprint(keytype: str, scheme: str, keyval: dict[str, Any]) -> str:
    """The id of a key: SHA-256 (hex) of its canonical JSON. Who compares it compares the key."""
    return hashlib.sha256(canonical({"keytype": keytype, "scheme": scheme, "keyval": keyval})).hexdigest()


def read_keys(path: Path) -> KeyList:
    """The list of a file, its signatures verified. Raises Refused."""
    return open_keys(read_bytes(path))


def open_keys(data: bytes) -> KeyList:
    """The same of a file's bytes."""
    envelope = open_envelope(data, PAYLOAD_TYPE, "the list of keys")
    found = _list_of(parse(envelope.payload, "the list of keys"))
    try:
        check_signatures(envelope, {keyid: listed.key for keyid, listed in found.keys.items()}, "the list of keys")
    except Refused as error:
        raise Refused(Fault.BAD_KEY_LIST, error.what) from error
    if not any(found.keys[keyid].revoked is None for keyid in envelope.signatures):
        raise Refused(Fault.BAD_KEY_LIST, "The list of keys is signed by revoked keys alone.")
    return found


def time_of(text: Any) -> datetime:
    """A time with its zone, ISO 8601. Raises ValueError."""
    at = datetime.fromisoformat(text) if isinstance(text, str) else None
    if at is None or at.tzinfo is None:
        raise ValueError("a time needs a zone")
    return at


def _list_of(raw: Any) -> KeyList:
    try:
        if raw["format"] != 1 or set(raw) != {"format", "issued", "issuer", "keys", "revoked"}:
            raise ValueError
        revoked: dict[str, datetime] = {}
        for each in raw["revoked"]:
            revoked[each["keyid"]] = min(time_of(each["at"]), revoked.get(each["keyid"], time_of(each["at"])))
        keys = {each["keyid"]: _listed(each, revoked) for each in raw["keys"]}
        if len(keys) != len(raw["keys"]) or set(revoked) - set(keys):
            raise ValueError
        return KeyList(str(raw["issuer"]), time_of(raw["issued"]), keys)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(Fault.BAD_KEY_LIST, "The list of keys has another form.") from error


def _listed(raw: dict[str, Any], revoked: dict[str, datetime]) -> Listed:
    if set(raw) != _KEY or (raw["keytype"], raw["scheme"]) not in SCHEMES:
        raise ValueError
    if raw["keyid"] != fingerprint(raw["keytype"], raw["scheme"], raw["keyval"]):
        raise ValueError
    key = Key.from_dict(raw["keyid"], {name: raw[name] for name in ("keytype", "scheme", "keyval")})
    until = None if raw["until"] is None else time_of(raw["until"])
    return Listed(key, time_of(raw["from"]), until, revoked.get(raw["keyid"]))
