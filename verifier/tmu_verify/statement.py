"""The statement that the envelope holds: in-toto Statement v1 with our predicate. Its form is checked here.

The fields are described in `docs/certificate.md`; whoever issues certificates checks them in full.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from tmu_verify.faults import Fault, Refused
from tmu_verify.keys import time_of

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:tmu:deletion-certificate:1"
WEIGHTS = "weights.safetensors"
DATA = "data-revision"
PASS = "PASS"  # noqa: S105

_FORM: dict[str, type] = {
    "format": int, "request": str, "deletion": str, "issued": str, "issuer": dict, "dates": dict, "grounds": list,
    "scope": dict, "inventory": list, "models": list, "not_reached": list, "making": dict, "attacks": list,
    "verification": dict, "validation": dict, "recipients": list, "served": list, "mark": dict, "not_proven": list,
}  # fmt: skip
_MAYBE: dict[str, type] = {"audit": dict, "log": dict, "time_stamp": str}  # null where there is none
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Statement:
    """subjects: digests (hex) by algorithm, by name. predicate: the certificate's fields."""

    subjects: dict[str, dict[str, str]]
    predicate: dict[str, Any]

    @property
    def request(self) -> str:
        """The request that it answers."""
        return self.predicate["request"]

    @property
    def issued(self) -> datetime:
        """When it was signed, as the issuer says."""
        return time_of(self.predicate["issued"])

    def files(self) -> dict[str, str]:
        """SHA-256 (hex) of the files of the evidence, by name; the weights, which lie elsewhere, are none of them."""
        listed = {name: digest.get("sha256", "") for name, digest in self.subjects.items()}
        return {name: digest for name, digest in listed.items() if digest and name != WEIGHTS}


def statement_of(raw: Any) -> Statement:
    """The statement, checked for its form and for PASS. Raises Refused."""
    try:
        if set(raw) != {"_type", "subject", "predicateType", "predicate"} or raw["_type"] != STATEMENT_TYPE:
            raise ValueError("no in-toto statement of version 1")
        if raw["predicateType"] != PREDICATE_TYPE:
            raise ValueError("another type of predicate")
        predicate = raw["predicate"]
        _check_form(predicate)
        subjects = {each["name"]: dict(each["digest"]) for each in raw["subject"]}
        if len(subjects) != len(raw["subject"]) or not all(map(_is_subject, subjects.items())):
            raise ValueError("its subjects")
        found = Statement(subjects, predicate)
        time_of(predicate["issued"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(Fault.WRONG_FORMAT, f"It is no certificate of deletion of format 1: {error}.") from error
    for name in ("verification", "validation"):
        if predicate[name].get("result") != PASS:
            raise Refused(Fault.NOT_PASSED, f"Its {name} ended with {predicate[name].get('result')}.")
    return found


def _check_form(predicate: dict[str, Any]) -> None:
    fields = _FORM | _MAYBE
    if set(predicate) != set(fields):
        raise ValueError(f"its fields ({', '.join(sorted(set(predicate) ^ set(fields)))})")
    for name, kind in fields.items():
        value = predicate[name]
        if type(value) is not kind and not (value is None and name in _MAYBE):
            raise ValueError(f"its field `{name}`")
    if predicate["format"] != 1:
        raise ValueError("another format")
    if predicate["log"] is not None:
        int(predicate["log"]["seq"]), str(predicate["log"]["hash"]), [int(each) for each in predicate["log"]["entries"]]


def _is_subject(item: tuple[str, dict[str, str]]) -> bool:
    """A plain name, so that a statement cannot point outside the folder of the evidence."""
    name, digest = item
    plain = name == PurePosixPath(name).name and name not in ("", ".", "..") and "\\" not in name
    return plain and bool(digest) and all(set(value.removesuffix(".dir")) <= _HEX for value in digest.values())
