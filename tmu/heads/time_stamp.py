"""Heads with time stamps by RFC 3161: an authority signs that a head existed at a time.

Stamped are the bytes `SEQ:HASH`. Answers lie as `SEQ-HASH.tsr` in a folder; anybody can check one with
`openssl ts -verify -in FILE -data HEADFILE -CAfile ROOTS`. Nobody can make one for an earlier time. But who may delete
in the folder can delete them, so name one on another disk, or copy it away.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import httpx

from tmu.check import Check
from tmu.errors import DataError, StorageError, TmuError
from tmu.files import write_atomic
from tmu.heads.authority import Authority
from tmu.heads.noted import Noted
from tmu.heads.place import HeadPlace, head_name, head_of_name
from tmu.ledger.log import Head
from tmu.notify.target import ARRIVED, Answer, name_of


class TimeStamps(HeadPlace):
    """Time stamps of one authority. folder: of its answers.

    inside: whether that folder lies in the workspace, where who can cut the log can delete them, too.
    """

    def __init__(self, authority: Authority, folder: Path, inside: bool = False) -> None:
        self._authority, self._folder, self._inside = authority, folder, inside
        self.id, self.name = name_of(authority.url), f"time stamps of {authority.host}"

    def note(self, head: Head, at: datetime) -> Answer:
        """Have a head stamped, check the answer, and keep it. `at` is not used: the authority has its own clock."""
        path = self._folder / f"{head_name(head)}.tsr"
        try:
            if path.exists():
                return ARRIVED
            write_atomic(path, self._authority.stamp(str(head).encode()))
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
                at = self._stamped(path.read_bytes(), head)
            except OSError as error:
                raise StorageError(f"{path} cannot be read.", "Check its permissions.") from error
            found.append(Noted(seq=head.seq, hash=head.hash, place=self.name, at=at))
        return found

    def check(self) -> list[Check]:
        """Whether stamps can be checked."""
        text = f"{len(self._authority.certificates)} root certificates; stamps are kept in {self._folder}"
        found = [Check(f"{self.name}: roots", "ok", text)]
        if self._inside:
            text = "the stamps lie in the workspace: whoever can cut off the log can delete the stamps of what was cut"
            hint = "Name a folder on another disk in `timestamps`, and move the stamps there."
            found.append(Check(f"{self.name}: folder", "warn", text, hint))
        return found

    def _stamped(self, answer: bytes, head: Head) -> datetime:
        try:
            return self._authority.verified(answer, str(head).encode()).tst_info.gen_time
        except DataError as error:
            raise DataError(
                f"The time stamp of entry {head.seq} is not one of this authority for that head.", error.hint
            ) from error
