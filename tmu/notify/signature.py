"""The signature of a webhook: who sends it, and when. Standard library only, so that receivers may copy this file.

`Tmu-Signature: t=UNIX,v1=HEX`, HEX = HMAC-SHA256 of `UNIX.BODY` under the shared secret.
"""

import hashlib
import hmac

HEADER, DELIVERY = "Tmu-Signature", "Tmu-Delivery"
TOLERANCE = 300
"""Seconds that a signature may be old, or ahead of the receiver's clock."""


def sign(secret: bytes, body: bytes, at: int) -> str:
    """The header's value. at: Unix time in seconds."""
    return f"t={at},v1={_mac(secret, str(at), body)}"


def verify_signature(secret: bytes, header: str | None, body: bytes, now: float, tolerance: float = TOLERANCE) -> bool:
    """Whether a header is a fresh signature of exactly these bytes. Never raises, whatever was sent.

    now: Unix time in seconds. Of several `v1`, one that fits is enough.
    """
    parts = [part.strip().partition("=") for part in (header or "").split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12):
        return False
    if not abs(now - int(times[0])) <= tolerance:
        return False
    wanted = _mac(secret, times[0], body).encode()
    given = [value.encode("utf-8", "surrogatepass") for name, _, value in parts if name == "v1"]
    return any(hmac.compare_digest(wanted, each) for each in given)


def _mac(secret: bytes, at: str, body: bytes) -> str:
    return hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
