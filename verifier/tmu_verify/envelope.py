"""A DSSE envelope as a file of canonical JSON (RFC 8785) that is read strictly: no byte of it can be another."""

import base64
import binascii
import json
from pathlib import Path
from typing import Any

import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key

from tmu_verify.faults import Fault, Refused

_MOST_BYTES = 64 << 20


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises Refused where it cannot be read, or is far too long."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Refused(Fault.UNREADABLE, f"{path.name} is longer than {_MOST_BYTES >> 20} MiB.")
        return path.read_bytes()
    except OSError as error:
        raise Refused(Fault.UNREADABLE, f"{path.name} cannot be read ({type(error).__name__}).") from error


def canonical(value: Any) -> bytes:
    """The one byte string of a JSON value (RFC 8785)."""
    return rfc8785.dumps(value)


def parse(data: bytes, what: str) -> Any:
    """JSON that is canonical to the byte. what: names it in errors."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(Fault.UNREADABLE, f"{what} is no JSON.") from error
    try:
        same = canonical(value) == data
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise Refused(Fault.NOT_CANONICAL, f"{what} has no canonical form.") from error
    if not same:
        raise Refused(Fault.NOT_CANONICAL, f"{what} is not in canonical form: a byte was changed.")
    return value


def open_envelope(data: bytes, payload_type: str, what: str) -> Envelope:
    """The envelope of a file's bytes; its signatures are not verified yet."""
    raw = parse(data, what)
    if not isinstance(raw, dict) or set(raw) != {"payload", "payloadType", "signatures"}:
        raise Refused(Fault.WRONG_FORMAT, f"{what} is no DSSE envelope.")
    if raw["payloadType"] != payload_type:
        raise Refused(Fault.WRONG_FORMAT, f"{what} holds another type of content.")
    signatures = raw["signatures"]
    if not isinstance(signatures, list) or not signatures:
        raise Refused(Fault.WRONG_FORMAT, f"{what} is not signed.")
    for each in signatures:
        if not isinstance(each, dict) or set(each) != {"keyid", "sig"} or not isinstance(each["keyid"], str):
            raise Refused(Fault.WRONG_FORMAT, f"{what} has a signature of another form.")
        _base64(each["sig"], what)
    _base64(raw["payload"], what)
    try:
        return Envelope.from_dict(raw)
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(Fault.WRONG_FORMAT, f"{what} has signatures that cannot be told apart.") from error


def check_signatures(envelope: Envelope, keys: dict[str, Key], what: str) -> None:
    """Every signature must be of a known key, and fit. keys: by id."""
    for keyid, signature in envelope.signatures.items():
        if keyid not in keys:
            raise Refused(Fault.UNKNOWN_KEY, f"{what} is signed with key {keyid[:16]}, which the list does not name.")
        try:
            keys[keyid].verify_signature(signature, envelope.pae())
        except UnverifiedSignatureError as error:
            raise Refused(Fault.BAD_SIGNATURE, f"The signature of {what} by key {keyid[:16]} does not fit.") from error


def _base64(text: Any, what: str) -> None:
    """Standard alphabet, padded, with no bit that decoding ignores."""
    try:
        same = isinstance(text, str) and base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except (binascii.Error, ValueError):
        same = False
    if not same:
        raise Refused(Fault.NOT_CANONICAL, f"{what} holds base64 that is not canonical: a byte was changed.")
