"""Time stamps by RFC 3161: an authority signs that a head existed at a time. It keeps nothing; we keep its answers.

Stamped are the bytes `SEQ:HASH`. Answers lie as `SEQ-HASH.tsr` in a folder; anybody can check one with
`openssl ts -verify -in FILE -data HEADFILE -CAfile ROOTS`. Nobody can make one for an earlier time. But who may delete
in the folder can delete them, so name one on another disk, or copy it away.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tmu.check import Check
from tmu.errors import ConfigError, DataError, StorageError, TmuError
from tmu.files import write_atomic
from tmu.heads.noted import Noted
from tmu.heads.place import HeadPlace, head_name, head_of_name
from tmu.ledger.log import Head
from tmu.notify.target import ARRIVED, Answer, name_of

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

SECONDS = 10
_MOST_BYTES = 1 << 20
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


class TimeStamps(HeadPlace):
    """Time stamps of one authority. roots: a PEM file with its root certificates. folder: of its answers.

    inside: whether that folder lies in the workspace, where who can cut the log can delete them, too.
    """

    def __init__(self, url: str, roots: Path, folder: Path, inside: bool = False):
        try:
            host = httpx.URL(url).host
        except httpx.InvalidURL:
            host = ""
        if not host:
            raise ConfigError("Setting `timestamp_url` is no address of a web server.", "Write https://HOST/PATH.")
        self.id, self.name = name_of(url), f"time stamps of {host}"
        self._url, self._roots, self._folder, self._inside = url, roots, folder, inside

    def note(self, head: Head, at: datetime) -> Answer:
        """Have a head stamped, check the answer, and keep it. `at` is not used: the authority has its own clock."""
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        path = self._folder / f"{head_name(head)}.tsr"
        try:
            if path.exists():
                return ARRIVED
            builder = TimestampRequestBuilder().data(str(head).encode()).hash_algorithm(HashAlgorithm.SHA256)
            request = builder.cert_request(cert_request=True).nonce(nonce=True).build()
            answer = self._ask(request.as_bytes())
            self._verified(answer, head, request.nonce)
            write_atomic(path, answer)
        except httpx.TimeoutException:
            return Answer("timeout", down=True)
        except (httpx.HTTPError, OSError):
            return Answer("unreachable", down=True)
        except TmuError as error:
            return Answer("not_kept" if isinstance(error, StorageError) else "bad_time_stamp", down=True)
        return ARRIVED

    def held(self) -> Sequence[Noted]:
        """All stamped heads, each with its signature checked."""
        found = []
        for path in sorted(self._folder.glob("*.tsr")):
            head = head_of_name(path.stem)
            if head is None:
                raise DataError(f"{path.name} is no time stamp of ours.", f"Remove it from {self._folder}.")
            try:
                at = self._verified(path.read_bytes(), head).tst_info.gen_time
            except OSError as error:
                raise StorageError(f"{path} cannot be read.", "Check its permissions.") from error
            found.append(Noted(seq=head.seq, hash=head.hash, place=self.name, at=at))
        return found

    def check(self) -> list[Check]:
        """Whether stamps can be checked."""
        text = f"{len(self._certificates)} root certificates; stamps are kept in {self._folder}"
        found = [Check(f"{self.name}: roots", "ok", text)]
        if self._inside:
            text = "the stamps lie in the workspace: whoever can cut off the log can delete the stamps of what was cut"
            hint = "Name a folder on another disk in `timestamps`, and move the stamps there."
            found.append(Check(f"{self.name}: folder", "warn", text, hint))
        return found

    def _ask(self, query: bytes) -> bytes:
        headers = {"Content-Type": _QUERY, "Accept": _REPLY, "User-Agent": "tmu"}
        with httpx.stream("POST", self._url, content=query, headers=headers, timeout=SECONDS) as response:
            response.raise_for_status()
            data = b""
            for part in response.iter_bytes():
                data += part
                if len(data) > _MOST_BYTES:
                    raise DataError("The authority's answer is too long.", "Check `timestamp_url`.")
        return data

    def _verified(self, data: bytes, head: Head, nonce: int | None = None) -> "TimeStampResponse":
        """The answer, if the authority signed it for this head. Raises DataError."""
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

        builder = VerifierBuilder(roots=list(self._certificates), nonce=nonce)
        try:
            answer = decode_timestamp_response(data)
            builder.build().verify_message(answer, str(head).encode())
        except (VerificationError, ValueError) as error:
            raise DataError(
                f"The time stamp of entry {head.seq} is not one of this authority for that head.",
                "Compare with a copy; check `timestamp_ca`, the authority's root certificates.",
            ) from error
        return answer

    @cached_property
    def _certificates(self) -> list[Any]:
        from cryptography.x509 import load_pem_x509_certificates

        try:
            return load_pem_x509_certificates(self._roots.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"Setting `timestamp_ca`: {self._roots} holds no certificates in PEM.",
                "Name a file with the authority's root certificate.",
            ) from error
