"""The issuer's audit log against the head that a certificate names.

An extract is one JSON object a line, `{"seq", "request", "event", "body", "hash"}`, as `tmu ledger export` writes it.
Each body holds the hash of the entry before. So the head, which the certificate's signature covers, vouches for every
entry before it; the extract may begin anywhere before the request's first entry.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from tmu_verify.envelope import read_bytes
from tmu_verify.faults import Fault, Refused

GENESIS = "0" * 64
_FIELDS = {"seq", "request", "event", "body", "hash"}


def check_log(path: Path, head: dict[str, Any], request: str) -> int:
    """Compare a log with the head; returns the number of entries that were checked.

    head: `seq`, `hash` and `entries`, the numbers of the request's entries up to it.
    """
    seen: dict[int, dict[str, Any]] = {}
    previous: str | None = None
    for line in read_bytes(path).splitlines():
        entry, content = _read(line)
        _check_link(entry, content, max(seen, default=None), previous)
        if entry["seq"] == head["seq"] and entry["hash"] != head["hash"]:
            raise Refused(
                Fault.LOG_REWRITTEN,
                f"Entry {entry['seq']} has another hash than the head that the certificate names.",
            )
        seen[entry["seq"]], previous = entry, entry["hash"]
    for seq in sorted({*head["entries"], head["seq"]}):
        if seq not in seen:
            raise Refused(Fault.LOG_CUT, f"Entry {seq} is missing, which the certificate names.")
    others = [seq for seq in head["entries"] if seen[seq]["request"] != request]
    if others:
        raise Refused(Fault.LOG_REWRITTEN, f"Entry {others[0]} is of another request.")
    return len(seen)


def _read(line: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        entry = json.loads(line)
        content = json.loads(entry["body"])
        if set(entry) != _FIELDS or not isinstance(entry["seq"], int):
            raise ValueError
        (content["seq"], content["request"], content["event"], content["previous"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(Fault.LOG_BROKEN, "A line of the log is no entry.") from error
    return entry, content


def _check_link(entry: dict[str, Any], content: dict[str, Any], last: int | None, previous: str | None) -> None:
    seq = entry["seq"]
    if hashlib.sha256(entry["body"].encode("utf-8", "surrogatepass")).hexdigest() != entry["hash"]:
        raise Refused(Fault.LOG_BROKEN, f"Entry {seq} was changed: its bytes do not give its hash.")
    if any(content[name] != entry[name] for name in ("seq", "request", "event")):
        raise Refused(Fault.LOG_BROKEN, f"Entry {seq} was moved or relabelled.")
    if last is not None and seq != last + 1:
        raise Refused(Fault.LOG_CUT, f"Entry {last + 1} is missing: entry {seq} comes next.")
    if previous is None and seq == 1:
        previous = GENESIS
    if previous is not None and content["previous"] != previous:
        raise Refused(Fault.LOG_BROKEN, f"Entry {seq} does not follow entry {seq - 1}.")
