"""Who acts: an identity that the caller established, never a field of a form."""

import re
from dataclasses import dataclass
from typing import Literal

from tmu.errors import RequestError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Actor:
    """An identity, made by the layer that authenticated it.

    name: a role account or staff pseudonym: lower-case letters, digits and `._-`, at most 64; no e-mail address.
    method: how it is known. `token`: an authenticated call; `code`: a code given out there (`approval_codes`).
    `system`: a flow of ours. `cli`: whoever has the workspace at hand; nobody has checked who that is. `form`: what
    somebody typed on a page that knows nobody.
    """

    name: str
    method: Literal["token", "code", "system", "cli", "form"]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise RequestError(
                "The actor's name has a form that may not go into the log.",
                "Use 1 to 64 of a-z, 0-9 and `._-`, beginning with a letter or digit.",
            )

    @property
    def authenticated_person(self) -> bool:
        """Whether a call proved that this person acts: the condition for approving."""
        return self.method in ("token", "code")


OPERATOR = Actor("operator", "cli")
"""Whoever calls the command line: no name of a user of this machine is stored."""

SYSTEM = Actor("tmu", "system")
"""Who acts when a flow does."""
