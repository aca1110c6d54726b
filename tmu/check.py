"""One finding of `tmu doctor`: what was looked at, what was found, and what mends it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Check:
    """A finding. state: ok, warn or fail.

    mend: the next step in words, empty where it is ok. repair: does that step and says what it did, where a program
    can do it safely; `tmu doctor --mend` calls it.
    """

    name: str
    state: str
    text: str
    mend: str = ""
    repair: Callable[[], str] | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        """What programs are told: the fields, and whether `--mend` can mend it."""
        mendable = self.state != "ok" and self.repair is not None
        return {"name": self.name, "state": self.state, "text": self.text, "mend": self.mend, "mendable": mendable}
